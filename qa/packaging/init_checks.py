"""The init script, with and without systemd's units; the log rotation beside Ganeti's."""

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from machine import EXAMPLES, LOG, RUN, TIMEOUT, check, connection, get, until
from services import (
    BOTH,
    FRONT,
    LOGS,
    MASTER,
    UNITS,
    another_master,
    is_active,
    main_pid,
    processes,
    start,
    state,
    stop,
    systemctl,
)

SCRIPT = Path("/etc/init.d/ganeti-rapi")
LSB = Path("/lib/lsb/init-functions")


def init(*words: str, code: int = 0, user: str | None = None) -> str:
    """Return the output of the init script; its exit code must be ``code``."""
    more = {"user": user, "group": "nogroup", "extra_groups": []} if user else {}
    done = subprocess.run(
        [str(SCRIPT), *words],
        text=True,
        timeout=TIMEOUT * 3,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **more,
    )  # type: ignore[call-overload]
    assert done.returncode == code, (words, done.returncode, done.stdout)
    assert done.stdout.strip() and "Errno" not in done.stdout, (words, done.stdout)
    return str(done.stdout)


def pid_of(program: str) -> int:
    """Return the pid in its pid file."""
    return int((RUN / f"{program}.pid").read_text())


@contextlib.contextmanager
def without(*paths: Path) -> Iterator[None]:
    """Move these files away for a while."""
    for path in paths:
        path.rename(path.with_name(path.name + ".away"))
    systemctl("daemon-reload")
    try:
        yield
    finally:
        for path in paths:
            path.with_name(path.name + ".away").rename(path)
        systemctl("daemon-reload")


@contextlib.contextmanager
def plain() -> Iterator[None]:
    """Prepare a machine without our units and daemons: the script does everything itself."""
    stop(FRONT, MASTER)
    script = SCRIPT.read_bytes()
    with without(*(UNITS / f"{name}.service" for name in BOTH)):
        try:
            yield
        finally:
            subprocess.run([str(SCRIPT), "stop"], stdout=subprocess.DEVNULL)
            assert SCRIPT.read_bytes() == script


def each_verb() -> None:
    """Call every verb in turn, and check what it prints."""
    assert init("status", code=3).count("is not running") == 2
    assert init("stop").count("it was not running") == 2
    for verb in ("reload", "force-reload"):
        assert init(verb, code=7).count("it is not running") == 2
    assert "it is not running" in init("upgrade", code=7)
    assert "nothing to do" in init("try-restart") and not processes(FRONT)
    said = init("start")
    pids = {name: pid_of(name) for name in BOTH}
    for name, pid in pids.items():
        assert re.search(rf"Starting {name}\.\.\. ?done \(pid {pid}\)", said), said
        assert f"{name} is running (pid {pid})" in init("status")
        assert f"already running, pid {pid}" in init("start")
    arguments = Path(f"/proc/{pids[FRONT]}/cmdline").read_bytes().split(b"\0")
    assert b"--require-authentication" in arguments and b"127.0.0.1" in arguments
    for verb in ("reload", "force-reload"):
        assert init(verb).count("done") == 2
    assert {name: pid_of(name) for name in BOTH} == pids
    assert f"took over from pid {pids[FRONT]}" in init("upgrade")
    assert pid_of(MASTER) == pids[MASTER] and pid_of(FRONT) != pids[FRONT]
    assert init("try-restart").count("done") == 4
    assert init("restart").count("done") == 4 and pid_of(MASTER) != pids[MASTER]
    assert get(connection(), "/version") == 2
    assert init("stop").count("done") == 2
    for name in BOTH:
        assert not processes(name) and not (RUN / f"{name}.pid").exists()


def one_daemon() -> None:
    """Call every verb with one daemon's name; the other daemon keeps running."""
    init("start")
    front, master = pid_of(FRONT), pid_of(MASTER)
    said = init("restart", MASTER)
    assert FRONT not in said and pid_of(FRONT) == front and pid_of(MASTER) != master
    init("stop", FRONT)
    assert "is not running" in init("status", FRONT, code=3) and "is running" in init(
        "status", MASTER
    )
    assert "is not running" in init("status", code=3)
    init("reload", MASTER)
    assert "is not running" in init("reload", FRONT, code=7)
    assert init("try-restart").count("done") == 2 and not processes(FRONT)
    assert "is a restart" in init("upgrade", MASTER, code=3)
    init("start", FRONT)
    init("stop")


@check
def the_init_script_is_installed_to_be_run() -> None:
    assert os.access(EXAMPLES / "ganeti-rapi.initd", os.X_OK)


@check
def each_verb_of_the_init_script_without_units() -> None:
    with plain():
        each_verb()


@check
def each_verb_of_the_init_script_without_the_lsbs_functions() -> None:
    with plain(), without(LSB):
        each_verb()


@check
def each_verb_of_the_init_script_where_there_are_units() -> None:
    stop(FRONT, MASTER)
    each_verb()
    init("start")
    for name in BOTH:
        assert is_active(name) and main_pid(name) == pid_of(name)
    init("stop")
    assert not is_active(FRONT) and not is_active(MASTER)


@check
def the_init_script_takes_one_daemons_name() -> None:
    with plain():
        one_daemon()
    one_daemon()
    start(*BOTH)


@check
def what_the_init_script_does_not_know_is_refused() -> None:
    for words in (
        (),
        ("nonsense",),
        ("start", "ganeti-noded"),
        ("start", "all"),
        ("restart", FRONT, MASTER),
        ("stop", "--force"),
    ):
        assert "Usage" in init(*words, code=2)


@check
def where_there_is_nothing_to_do_the_init_script_says_so() -> None:
    with plain():
        with another_master():
            assert "not the master, nothing to do" in init("start", FRONT)
        with state():
            said = init("start")
            assert said.count("incomplete configuration, will not run") == 2, said
            until(lambda: not processes(FRONT) and not processes(MASTER), "the end of both")
    start(*BOTH)


@check
def a_start_that_fails_says_why() -> None:
    defaults = Path("/etc/default/ganeti-rapi")
    before = defaults.read_text()
    with plain():
        defaults.write_text(before.replace("-b 127.0.0.1", "-b 192.0.2.1"))
        try:
            assert "192.0.2.1" in init("start", FRONT, code=1)
        finally:
            defaults.write_text(before)
        (RUN / "ganeti-rapi.pid").unlink(missing_ok=True)
    start(*BOTH)


@check
def a_host_that_only_serves_the_api_has_no_master() -> None:
    defaults = Path("/etc/default/ganeti-rapi")
    before = defaults.read_text()
    with plain():
        defaults.write_text(before.replace("MASTERD_ENABLED=yes", "MASTERD_ENABLED=no"))
        try:
            assert f"Starting {MASTER}" not in init("start") and not processes(MASTER)
            assert MASTER not in init("status")
            assert "MASTERD_ENABLED=no" in init("start", MASTER) and not processes(MASTER)
            init("stop")
        finally:
            defaults.write_text(before)
        with without(Path("/usr/sbin/ganeti-masterd")):
            assert f"Starting {MASTER}" not in init("start") and processes(FRONT)
            assert "not installed" in init("start", MASTER, code=5)
            init("stop")
    start(*BOTH)


@check
def a_pid_file_that_was_left_is_not_believed() -> None:
    with plain(), subprocess.Popen(["sleep", "1000"]) as stranger:
        for number in ("1", str(stranger.pid), "999999", "", "nonsense", "-1", "0"):
            (RUN / "ganeti-rapi.pid").write_text(f"{number}\n")
            assert "exists" in init("status", FRONT, code=1)
            assert "it was not running" in init("stop", FRONT)
            assert "it is not running" in init("reload", FRONT, code=7)
            assert stranger.poll() is None, "another program was ended"
        init("start", FRONT)
        assert processes(FRONT) == {pid_of(FRONT)}
        stranger.kill()
    start(*BOTH)


@check
def an_ordinary_user_is_told_the_truth() -> None:
    file = RUN / "ganeti-rapi.pid"
    file.chmod(0o600)
    said = init("status", FRONT, user="nobody")
    assert f"{FRONT} is running (pid" in said and str(pid_of(FRONT)) in said, said
    for verb in ("start", "stop", "restart", "reload", "upgrade"):
        assert "root" in init(verb, code=4, user="nobody")
    stop(FRONT)
    assert "is not running" in init("status", FRONT, code=3, user="nobody")
    file.write_text("999999\n")
    file.chmod(0o600)
    assert "is not running, but" in init("status", FRONT, code=1, user="nobody")
    subprocess.run(["mount", "-o", "remount,hidepid=2", "/proc"], check=True)
    try:
        assert "unknown" in init("status", FRONT, code=4, user="nobody")
    finally:
        subprocess.run(["mount", "-o", "remount,hidepid=0", "/proc"], check=True)
        file.unlink()
    start(FRONT)


# -- log rotation ---------------------------------------------------------------------

#: As in Debian's package; its script would send each daemon SIGHUP.
GANETIS = """\
/var/log/ganeti/*.log {
  weekly
  missingok
  rotate 52
  notifempty
  compress
  delaycompress
  create 640
  sharedscripts
  su root root
}
"""


def writes_to_new_log() -> bool:
    """Return whether the front logs new requests to its new log and not to the old one."""
    get(connection(), "/version?after=rotation")
    log = LOG / "rapi-daemon.log"
    assert log.with_name("rapi-daemon.log.1").exists()
    return log.exists() and "after=rotation" in log.read_text()


@check
def either_log_rotation_is_enough() -> None:
    ours = (EXAMPLES / "ganeti-rapi.logrotate").read_text()
    for text in (ours, GANETIS):
        config = Path("/etc/logrotate-check")
        config.write_text(text)
        for log in LOGS.values():
            (LOG / f"{log}.1").unlink(missing_ok=True)
        done = subprocess.run(
            ["logrotate", "--force", "--state=/tmp/state", str(config)],
            text=True,
            capture_output=True,
        )
        assert done.returncode == 0 and not done.stderr, done.stderr
        until(writes_to_new_log, "a line in the new log")
        config.unlink()
