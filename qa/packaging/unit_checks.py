"""Our own systemd units, in a booted system."""

import re
import signal
import subprocess
import time
from pathlib import Path

from machine import CLUSTER, EXAMPLES, LIB, LOG, RUN, SECRET, ask, check, connection, get, until
from services import (
    BOTH,
    FRONT,
    MASTER,
    RequestLoad,
    another_master,
    file_with,
    hand_over,
    is_active,
    kill,
    let_pass,
    lines,
    main_pid,
    processes,
    running,
    send,
    show,
    start,
    stop,
    systemctl,
    told,
)

#: Seconds that `systemctl start` may take where there is nothing to do.
AT_ONCE = 2.0
#: Longer than RestartSec, so that a unit that is restarted again and again would show.
LOOP = 5.0
#: Signals that mean nothing to either daemon.
MEANINGLESS = (
    signal.SIGUSR1,
    signal.SIGQUIT,
    signal.SIGALRM,
    signal.SIGVTALRM,
    signal.SIGPROF,
    signal.SIGIO,
    signal.SIGRTMIN,
    signal.SIGRTMIN + 5,
    signal.SIGRTMAX,
)


def assert_skipped(*units: str) -> None:
    """Check that starting these is quick and no failure, and that nothing runs or is retried."""
    systemctl("reset-failed")
    for unit in units:
        begin = time.monotonic()
        systemctl("start", unit)
        took = time.monotonic() - begin
        assert took < AT_ONCE, f"start of {unit} took {took:.1f} s"
    invocations = [show(unit, "InvocationID") for unit in units]
    let_pass(LOOP)
    for unit, invocation in zip(units, invocations):
        state = [show(unit, name) for name in ("ActiveState", "SubState", "NRestarts")]
        assert state == ["inactive", "dead", "0"], (unit, state, told(unit))
        assert show(unit, "InvocationID") == invocation, told(unit)
        assert not processes(unit)


# -- nothing to do --------------------------------------------------------------------


@check
def a_boot_without_a_cluster_starts_neither_and_fails_neither() -> None:
    for unit in BOTH:
        assert systemctl("is-enabled", unit).strip() == "enabled"
        assert show(unit, "ActiveState") == "inactive", told(unit)
    assert "ganeti" not in systemctl("--failed", "--no-legend", "--plain")


@check
def without_a_cluster_a_start_does_nothing_at_once() -> None:
    assert_skipped(*BOTH)
    assert not LIB.exists() or not any(LIB.iterdir())


@check
def the_units_have_no_mistakes() -> None:
    for unit in BOTH:
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", f"/etc/systemd/system/{unit}.service"],
            text=True,
            capture_output=True,
        )
        ours = [line for line in done.stderr.splitlines() if "ganeti-" in line]
        assert done.returncode == 0 and not ours, ours


@check
def where_a_real_ganeti_is_our_master_does_not_start_nor_stop_its() -> None:
    luxid = Path("/etc/systemd/system/ganeti-luxid.service")
    LIB.mkdir(exist_ok=True)
    with file_with(luxid, "[Service]\nExecStart=sleep 3600\n"):
        systemctl("start", "ganeti-luxid")
        (LIB / "config.data").write_text("{}")
        (LIB / "master.db").touch()
        try:
            assert_skipped(MASTER)
            assert is_active("ganeti-luxid"), "it was stopped"
        finally:
            (LIB / "config.data").unlink()
            (LIB / "master.db").unlink()
            systemctl("stop", "ganeti-luxid")


# -- a cluster ------------------------------------------------------------------------


@check
def a_cluster_is_made_whatever_the_umask_and_both_start() -> None:
    subprocess.run(["ganeti-cluster", "init", CLUSTER], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(
        ["rapi-passwd", "admin"],
        input=SECRET + "\n",
        text=True,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    start(*BOTH)
    for unit in BOTH:
        assert processes(unit) == {main_pid(unit)}
        assert int((RUN / f"{unit}.pid").read_text()) == main_pid(unit)
    assert ask("GET", "/2/info")[1]["name"] == CLUSTER


@check
def the_first_instance_succeeds() -> None:
    Path("/srv/ganeti/os").mkdir(exist_ok=True)
    subprocess.run(["cp", "-r", str(EXAMPLES / "os/noop"), "/srv/ganeti/os/"], check=True)
    subprocess.run(["chmod", "-R", "go+rX", "/srv/ganeti/os"], check=True)
    code, job = ask(
        "POST",
        "/2/instances",
        {
            "__version__": 1,
            "mode": "create",
            "name": "web.example.com",
            "os_type": "noop",
            "disk_template": "file",
            "disks": [{"size": "1G"}],
            "nics": [{}],
        },
    )
    assert code == 200, job
    until(lambda: ask("GET", f"/2/jobs/{job}")[1]["end_ts"], "the job's end")
    view = ask("GET", f"/2/jobs/{job}")[1]
    assert view["status"] == "success", view["opresult"]


@check
def who_is_not_the_master_starts_nothing_at_once() -> None:
    stop(*BOTH)
    with another_master():
        assert_skipped(*BOTH)
        assert show(FRONT, "Result") == "exec-condition"
    start(*BOTH)


@check
def a_host_without_our_master_says_so_in_the_file_of_defaults() -> None:
    stop(MASTER)
    defaults = Path("/etc/default/ganeti-rapi")
    before = defaults.read_text()
    defaults.write_text(before.replace("MASTERD_ENABLED=yes", "MASTERD_ENABLED=no"))
    try:
        assert_skipped(MASTER)
    finally:
        defaults.write_text(before)
    start(MASTER)


# -- reload, hand-over, signals, ends -------------------------------------------------


@check
def a_reload_is_over_when_systemctl_returns() -> None:
    running()
    for unit in BOTH:
        pid = main_pid(unit)
        for number in range(5):
            log = LOG / {FRONT: "rapi-daemon.log", MASTER: "master-daemon.log"}[unit]
            log.rename(log.with_suffix(f".{number}"))
            systemctl("reload", unit)
            assert log.exists(), f"{unit} had not begun a new log"
            assert is_active(unit) and main_pid(unit) == pid
            assert show(unit, "SubState") == "running"


@check
def a_hand_over_loses_no_request_and_systemd_follows() -> None:
    running()
    with RequestLoad() as load:
        for _ in range(3):
            before = main_pid(FRONT)
            pid = hand_over()
            load.go_on()
            until(lambda: main_pid(FRONT) == pid, "systemd to follow")
            until(lambda: before not in processes(FRONT), "the predecessor's end")
            assert pid != before and is_active(FRONT) and show(FRONT, "SubState") == "running"
            load.go_on()
    assert not load.failures, load.failures
    assert show(FRONT, "NRestarts") == "0" and processes(FRONT) == {main_pid(FRONT)}


@check
def after_a_hand_over_everything_is_as_before() -> None:
    running()
    hand_over()
    until(lambda: len(processes(FRONT)) == 1, "the predecessor's end")
    systemctl("reload", FRONT)
    assert ask("GET", "/2/info")[0] == 200
    stop(FRONT)
    start(FRONT)


@check
def signals_without_a_meaning_are_logged_and_ignored() -> None:
    running()
    for unit in BOTH:
        pid = main_pid(unit)
        for number in MEANINGLESS + ((signal.SIGUSR2,) if unit == MASTER else ()):
            before = lines(unit, f"pid={pid} .*Ignoring .*has no meaning")
            send(pid, number)
            until(
                lambda: lines(unit, f"pid={pid} .*Ignoring .*has no meaning") > before,
                f"a line of {unit} about signal {number}",
            )
            assert lines(unit, f"pid={pid} .*Ignoring .*has no meaning") == before + 1
        assert main_pid(unit) == pid and is_active(unit)
        assert int((RUN / f"{unit}.pid").read_text()) == pid
    assert ask("GET", "/2/info")[0] == 200


@check
def what_was_killed_is_started_again() -> None:
    running()
    for unit in BOTH:
        before = main_pid(unit)
        kill(before)
        until(lambda: is_active(unit) and main_pid(unit) not in (0, before), "the restart")
        assert int((RUN / f"{unit}.pid").read_text()) == main_pid(unit)
    until(lambda: ask("GET", "/2/info")[0] == 200, "an answer from the master")


@check
def a_start_that_always_fails_comes_to_an_end_and_is_told() -> None:
    running()
    stop(FRONT)
    drop_in = Path("/etc/systemd/system/ganeti-rapi.service.d/wrong.conf")
    for words in ("-b 192.0.2.1", "--nonsense", "-C /nowhere.pem"):
        with file_with(
            drop_in,
            f'[Service]\nRestartSec=0.1\nEnvironmentFile=\nEnvironment="RAPI_ARGS={words}"\n',
        ):
            systemctl("reset-failed")
            systemctl("start", FRONT, code=1)
            until(lambda: show(FRONT, "NRestarts") == "5", "the last try")
            let_pass(1)
            assert show(FRONT, "ActiveState") == "failed" and show(FRONT, "NRestarts") == "5"
            assert words.split()[-1] in told(FRONT), told(FRONT)
    start(FRONT)


@check
def guests_go_on_when_the_master_stops() -> None:
    running()
    marker = next(Path("/run/ganeti").rglob("web.example.com*"), None)
    stop(MASTER)
    assert marker is None or marker.exists()
    start(MASTER)
    view = ask("GET", "/2/instances/web.example.com")[1]
    assert view["status"] == "running", view["status"]


@check
def a_stop_ends_both_and_leaves_no_pid_file() -> None:
    running()
    stop(FRONT, MASTER)
    for log in ("rapi-daemon.log", "master-daemon.log"):
        assert re.search("stopped$", (LOG / log).read_text().splitlines()[-1])


@check
def a_reader_needs_a_password_as_the_defaults_say() -> None:
    running()
    start(*BOTH)
    client = connection()
    assert get(client, "/version") == 2
    client.request("GET", "/2/info")
    assert client.getresponse().status == 401
