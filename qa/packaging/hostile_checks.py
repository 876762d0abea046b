"""An unprivileged local user who obstructs as much as possible, without effect.

The user locks every file that they can open, with flock(2) and fcntl(2), puts links and pipes into
every folder that they can write to, and sends both daemons every signal. A start, a reload and a
hand-over must not take a second longer than without that user.
"""

import contextlib
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from machine import (
    LIB,
    LOG,
    PREFIX,
    PROGRAMS,
    RUN,
    check,
    connection,
    get,
    has_ended,
    last_log,
    pid_of,
    run,
    stop,
    until,
)

#: Seconds that the user may delay an action.
BOUND = 1.0
OPTIONS = ("-p", "5080", "-b", "127.0.0.1")
#: Names that the daemons use; random names cannot be guessed.
BAIT = (
    "ganeti-rapi.pid",
    "rapi-daemon.log",
    "ganeti-query",
    "master.lock",
    "rapi.pem",
    "users",
    "ganeti",
    "openssl.cnf",
)

MEDDLER = """
import contextlib, fcntl, os, signal, stat, sys
kept, laid, locked = [], 0, 0

def lock(path):
    global locked
    with contextlib.suppress(OSError):
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return
        for flags in (os.O_RDWR, os.O_RDONLY):
            with contextlib.suppress(OSError):
                fd = os.open(path, flags | os.O_NONBLOCK)
                kept.append(fd)
                for take in (fcntl.flock, fcntl.lockf):
                    for kind in (fcntl.LOCK_EX, fcntl.LOCK_SH):
                        with contextlib.suppress(OSError):
                            take(fd, kind | fcntl.LOCK_NB)
                            locked += 1
                            break
                return

def lay(folder, names):
    global laid
    for number, name in enumerate(names):
        with contextlib.suppress(OSError):
            path = os.path.join(folder, name)
            os.mkfifo(path) if number % 2 else os.symlink("/dev/zero", path)
            laid += 1

pids, bait = sys.argv[1].split(","), sys.argv[2].split(",")
for top in sys.argv[3:]:
    for folder, _, names in os.walk(top):
        lay(folder, bait)
        for name in names:
            lock(os.path.join(folder, name))
refused = 0
for pid in filter(None, pids):
    for number in sorted(signal.valid_signals()):
        try:
            os.kill(int(pid), number)
        except PermissionError:
            refused += 1
print(locked, laid, refused, flush=True)
signal.pause()
"""


@contextlib.contextmanager
def meddler(*daemons: str) -> Iterator[None]:
    """Let the user `nobody` obstruct."""
    pids = ",".join(str(pid_of(name)) for name in daemons)
    places = map(str, (LIB, RUN, LOG, "/tmp", "/srv", PREFIX / "share/ganeti-rapi", PROGRAMS))
    child = subprocess.Popen(
        [sys.executable, "-c", MEDDLER, pids, ",".join(BAIT), *places],
        text=True,
        stdout=subprocess.PIPE,
        user="nobody",
        group="nogroup",
        extra_groups=[],
    )
    try:
        assert child.stdout is not None
        locked, _, refused = map(int, child.stdout.readline().split())
        assert locked > 30, f"he found only {locked} files to lock"
        assert refused == len(signal.valid_signals()) * len(daemons), "a signal of his arrived"
        yield
    finally:
        child.kill()
        child.wait()


def seconds(action: Callable[[], None]) -> float:
    """Return the seconds of an action."""
    begin = time.monotonic()
    action()
    return time.monotonic() - begin


def reload() -> None:
    """Send SIGHUP; wait until the log reports the reload."""
    before = last_log().count("Reloaded")
    os.kill(pid_of("ganeti-rapi"), signal.SIGHUP)
    until(lambda: last_log().count("Reloaded") > before, "the reload")


def hand_over() -> None:
    """Send SIGUSR2; wait until another process serves."""
    before = pid_of("ganeti-rapi")
    os.kill(before, signal.SIGUSR2)
    until(lambda: pid_of("ganeti-rapi") != before, "the successor")
    get(connection(), "/version")


def start() -> None:
    """Start both daemons; each returns once it answers."""
    run("ganeti-masterd")
    run("ganeti-rapi", *OPTIONS)


def end() -> None:
    """End both daemons if they run."""
    for program in ("ganeti-rapi", "ganeti-masterd"):
        if (RUN / f"{program}.pid").exists():
            stop(program)


def judge(action: Callable[[], None], alone: float, again: Callable[[], None] = end) -> None:
    """Print the seconds with the obstructing user; fail if the delay exceeds the limit.

    A busy machine may be slow once; a lock that holds something up is slow every time. ``again``
    prepares another try.
    """
    took = seconds(action)
    for _ in range(2):
        if took < alone + BOUND:
            break
        again()
        took = seconds(action)
    words = f"{action.__name__}: {alone:.2f} s alone, {took:.2f} s with him"
    print(f"    {words}", flush=True)
    assert took < alone + BOUND, words


@check
def a_local_user_without_rights_holds_nobody_up() -> None:
    alone = {}
    end()
    start()
    for action in (reload, hand_over):
        alone[action] = seconds(action)
    with meddler("ganeti-rapi", "ganeti-masterd"):
        for action in (reload, hand_over):
            judge(action, alone[action], again=lambda: None)
        end()
    alone[start] = seconds(start)
    end()
    with meddler():
        judge(start, alone[start])
        get(connection(), "/2/info")
        end()


@check
def what_a_crash_left_behind_is_no_lever_for_him() -> None:
    end()
    start()
    for program in ("ganeti-rapi", "ganeti-masterd"):
        pid = pid_of(program)
        os.kill(pid, signal.SIGKILL)
        until(functools.partial(has_ended, pid), "its end")
    with meddler():
        assert seconds(start) < 10.0 and pid_of("ganeti-rapi") and pid_of("ganeti-masterd")
    stop("ganeti-rapi")  # The master serves the following checks.
