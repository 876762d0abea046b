"""Programs that outlived the daemon that ran them: found by their environment, and ended.

Whoever was killed cannot have noted what it ran, but what it ran carries a
mark: a variable that no other program has. A process may have dropped its
environment on the way (``env -i``), so what shares a session with a marked one
counts too; programs are run in sessions of their own (``process.run_logged``),
and none can join a session that is there.

A pid says nothing by itself, since it may be another's a moment later. So a
process is held by a descriptor (pidfd_open(2)) and looked at once more before
it is signalled.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from ganeti.utils.process import TERM_GRACE_SECONDS

#: How often processes are killed that keep making others.
_ROUNDS = 10


@dataclass(frozen=True)
class _Process:
    """One that runs; pid and start time together are never another's."""

    pid: int
    session: int
    started: int


def end(variables: Collection[str], grace_seconds: float = TERM_GRACE_SECONDS) -> int:
    """End all processes that have one of these ``NAME=value``, politely first; their number.

    Only processes that this one may look into are found. What cannot be ended is logged.
    """
    marks = {variable.encode() for variable in variables}
    found: set[_Process] = set()
    for number in (signal.SIGTERM, *[signal.SIGKILL] * _ROUNDS):
        living = _find(marks)
        if not living:
            return len(found)
        found.update(living)
        _signal(living, number, grace_seconds)
    logging.warning("Processes that cannot be ended: %s",
                    ", ".join(str(process.pid) for process in living))
    return len(found)


def _find(marks: set[bytes]) -> list[_Process]:
    """Those that have a mark, and those in a session with one of them."""
    processes = list(_all()) if marks else []
    sessions = {process.session for process in processes
                if not marks.isdisjoint(_environment(process.pid))}
    return [process for process in processes if process.session in sessions]


def _all() -> Iterator[_Process]:
    """All processes of this machine, but this one's session and those that ended."""
    own = os.getsid(0)
    for name in os.listdir("/proc"):
        process = _look(int(name)) if name.isdecimal() else None
        if process is not None and process.session not in (0, own):
            yield process


def _look(pid: int) -> _Process | None:
    """proc(5), ``stat``; a program's name, which comes second, may hold anything."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            words = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    if len(words) < 20 or words[0] in (b"Z", b"X"):
        return None
    return _Process(pid, session=int(words[3]), started=int(words[19]))


def _environment(pid: int) -> set[bytes]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return set(file.read().split(b"\0"))
    except OSError:                         # gone, or another user's
        return set()


def _signal(processes: Collection[_Process], number: signal.Signals,
            grace_seconds: float) -> None:
    """Signal them all, and wait until they ended or the time is over."""
    with contextlib.ExitStack() as stack:
        waiting = select.poll()
        left = 0
        for process in processes:
            try:
                handle = os.pidfd_open(process.pid)
                stack.callback(os.close, handle)
                if _look(process.pid) == process:
                    signal.pidfd_send_signal(handle, number)
                    waiting.register(handle, select.POLLIN)
                    left += 1
            except ProcessLookupError:
                continue
            except OSError as err:
                logging.warning("Cannot end process %d: %s", process.pid, err.strerror)
        deadline = time.monotonic() + grace_seconds
        while left and (seconds := deadline - time.monotonic()) > 0:
            for handle, _ in waiting.poll(seconds * 1000):
                waiting.unregister(handle)
                left -= 1
