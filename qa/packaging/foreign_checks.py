"""Units that are not ours: the process that was started stays the main one, or systemd follows.

Ganeti's upstream unit has Type=simple and passes -f. With Debian's init script, daemon-util and
older units of ours the daemon detaches.
"""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

from machine import RUN, check, connection, get, listens, until
from services import (
    FRONT,
    UNITS,
    RequestLoad,
    file_with,
    hand_over,
    is_active,
    kill,
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

UNIT = UNITS / "ganeti-rapi.service"
SIMPLE = """\
[Unit]
ConditionPathExists=/var/lib/ganeti/rapi.pem

[Service]
Type=simple
{more}
ExecStart=/usr/sbin/ganeti-rapi -f -b 127.0.0.1
Restart=on-failure
SuccessExitStatus=0 11
"""
FORKING = """\
[Service]
Type=forking
PIDFile=/run/ganeti/ganeti-rapi.pid
ExecStart=/usr/sbin/ganeti-rapi -b 127.0.0.1
ExecReload=kill -HUP $MAINPID
Restart=on-failure
"""
AS_USER = "User=gnt-rapi\nGroup=gnt-daemons"


@contextlib.contextmanager
def unit(text: str) -> Iterator[None]:
    """Use this unit instead of ours, with the front running; restore ours afterwards."""
    running()
    stop(FRONT)
    try:
        with file_with(UNIT, text):
            systemctl("start", FRONT)
            until(lambda: listens(5080), "the front")
            get(connection(), "/version")  # It accepts no SIGUSR2 while it starts.
            yield
            systemctl("stop", FRONT)
    finally:
        for pid in processes(FRONT):
            kill(pid)
        systemctl("reset-failed")
        (RUN / "ganeti-rapi.pid").unlink(missing_ok=True)
        start(FRONT)


def daemon_pid() -> int:
    """Return the pid of the process that serves, from its pid file."""
    return int((RUN / "ganeti-rapi.pid").read_text())


def hand_over_under_load(times: int) -> None:
    """Check that no request is lost, and that the main process stays the same."""
    first, restarts = main_pid(FRONT), show(FRONT, "NRestarts")
    with RequestLoad() as load:
        for _ in range(times):
            before = daemon_pid()
            pid = hand_over()
            load.go_on()
            assert pid not in (first, before) and daemon_pid() == pid
            until(lambda: processes(FRONT) == {first, pid}, "the end of whoever is in between")
            assert is_active(FRONT) and main_pid(FRONT) == first, told(FRONT)
            load.go_on()
    assert not load.failures, load.failures
    assert show(FRONT, "NRestarts") == restarts


@check
def under_type_simple_a_hand_over_is_no_outage() -> None:
    for more in ("", AS_USER):
        with unit(SIMPLE.format(more=more)):
            hand_over_under_load(2)


@check
def under_type_simple_a_stop_ends_both() -> None:
    for more in ("", AS_USER):
        with unit(SIMPLE.format(more=more)):
            hand_over()
            hand_over()
            stop(FRONT)
            assert show(FRONT, "Result") == "success"


@check
def under_type_simple_signals_reach_the_successor() -> None:
    with unit(SIMPLE.format(more="")):
        first = main_pid(FRONT)
        pid = hand_over()
        log = Path("/var/log/ganeti/rapi-daemon.log")
        log.rename(log.with_suffix(".old"))
        send(first, signal.SIGHUP)
        # The main process may have begun the new log itself, with a line of its own.
        until(
            lambda: log.exists() and lines(FRONT, f"pid={pid} .*Reloaded"),
            "a new log, and a reload, after SIGHUP to the main process",
        )
        for number in (signal.SIGUSR1, signal.SIGQUIT, signal.SIGRTMIN):
            for receiver in (first, pid):
                send(receiver, number)
        until(lambda: lines(FRONT, f"pid={pid} .*has no meaning") >= 3, "three lines")
        assert processes(FRONT) == {first, pid} and main_pid(FRONT) == first
        successor = hand_over()  # To the main process, which passes it on.
        until(lambda: processes(FRONT) == {first, successor}, "the end of the one in between")


@check
def under_type_simple_a_killed_successor_is_a_failure_and_is_restarted() -> None:
    with unit(SIMPLE.format(more="")):
        first, pid = main_pid(FRONT), hand_over()
        kill(pid)
        until(lambda: is_active(FRONT) and main_pid(FRONT) not in (0, first), "the restart")
        assert show(FRONT, "NRestarts") == "1"
        until(
            lambda: (RUN / "ganeti-rapi.pid").exists() and daemon_pid() == main_pid(FRONT),
            "the pid file of the new one",
        )
        hand_over_under_load(1)


@check
def under_type_simple_a_killed_main_process_is_restarted() -> None:
    with unit(SIMPLE.format(more="")):
        first = main_pid(FRONT)
        hand_over()
        kill(first)
        until(lambda: is_active(FRONT) and main_pid(FRONT) not in (0, first), "the restart")
        until(lambda: processes(FRONT) == {main_pid(FRONT)}, "only the new one")


@check
def under_type_forking_systemd_follows() -> None:
    with unit(FORKING), RequestLoad() as load:
        for _ in range(2):
            pid = hand_over()
            load.go_on()
            until(lambda: main_pid(FRONT) == pid and processes(FRONT) == {pid}, "systemd to follow")
            assert is_active(FRONT)
            load.go_on()
        assert show(FRONT, "NRestarts") == "0"
        systemctl("reload", FRONT)
        load.go_on()
    assert not load.failures, load.failures


@check
def under_type_forking_a_stop_ends_it() -> None:
    with unit(FORKING):
        hand_over()
        stop(FRONT)
