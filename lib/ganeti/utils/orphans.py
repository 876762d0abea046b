"""Finds and ends processes that a program has left running.

A killed daemon has no record of the programs that it ran, and a script that failed or was
stopped may leave children that have left its process group. A process belongs to a run if any
of these is true:

* its environment has a variable (``NAME=value``) that no other program has;
* its output goes to the file that the run's output goes to;
* its parent belongs to the run, and is alive;
* another process of its session belongs to the run: each program is run in a new session
  (``process.run_logged``), and a process cannot join an existing session.

So a child escapes only if it drops its environment (``env -i``), its output and its session,
and loses its parent before we look.

A pid alone does not identify a process, as it may be reused at any moment. Therefore a process
is held by a descriptor (pidfd_open(2)) and checked once more before it is signalled.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)

#: Seconds from SIGTERM to SIGKILL.
TERM_GRACE_SECONDS = 5.0
#: How often SIGKILL is sent to processes that keep starting others.
_ROUNDS = 10
#: How often, and at which interval, a process is read again that is in the middle of execve(2).
_EXEC_LOOKS, _EXEC_LOOK_SECONDS = 50, 0.002


@dataclass(frozen=True)
class _Process:
    """A process, identified by pid and start time together."""

    pid: int
    started: int  # clock ticks since boot
    session: int = field(compare=False)  # changes with setsid(2), perhaps after we read it
    parent: int = field(compare=False)  # changes when the parent ends


def end(variables: Collection[str], grace_seconds: float = TERM_GRACE_SECONDS) -> int:
    """End all processes with one of these ``NAME=value`` variables, and return their number.

    They get SIGTERM, and SIGKILL after ``grace_seconds``. Only processes whose environment we
    may read are found. Processes that cannot be ended are logged.
    """
    marks = {variable.encode() for variable in variables}
    if not marks:
        return 0
    return _end_processes(
        lambda process: not marks.isdisjoint(_environment(process.pid)), grace_seconds
    )


def end_family(
    root: int, *, output: str, variable: str = "", grace_seconds: float = TERM_GRACE_SECONDS
) -> int:
    """End all processes of a program that we started, and return their number.

    ``root`` is the program's pid and the leader of its session. It may have ended, but must not
    have been waited for, so that its pid is not reused. ``output`` is the ``descriptor_target``
    of its output; ``variable`` is a ``NAME=value`` that only it and its children have.
    Processes older than the program are spared: an administrator may be following its log.
    """
    first = _read(root)
    since = first.started if first is not None else 0
    mark = variable.encode()

    def belongs(process: _Process) -> bool:
        if process.started < since:
            return False
        if root in (process.pid, process.session):
            return True
        if output and output in [descriptor_target(fd, process.pid) for fd in (1, 2)]:
            return True
        return variable != "" and mark in _environment(process.pid)

    return _end_processes(belongs, grace_seconds)


def _end_processes(belongs: Callable[[_Process], bool], grace_seconds: float) -> int:
    found: set[_Process] = set()
    for number in (signal.SIGTERM, *[signal.SIGKILL] * _ROUNDS):
        living = _find_processes(belongs, found)
        if not living:
            return len(found)
        found.update(living)
        _signal(living, number, grace_seconds)
    logger.warning(
        "Processes that cannot be ended: %s", ", ".join(str(process.pid) for process in living)
    )
    return len(found)


def _find_processes(
    belongs: Callable[[_Process], bool], known: Collection[_Process]
) -> list[_Process]:
    """Return the processes of a run and the known ones, parents first.

    Their descendants and all processes in their sessions are among them.
    """
    processes = list(_other_processes())
    found = {process for process in processes if process in known or belongs(process)}
    while True:
        pids = {process.pid for process in found}
        sessions = {process.session for process in found}
        more = {
            process
            for process in processes
            if process.parent in pids or process.session in sessions
        } - found
        if not more:
            # Parents first: a parent whose child is killed might end and hide that it was stopped.
            return sorted(found, key=lambda process: (process.started, process.pid))
        found |= more


def _other_processes() -> Iterator[_Process]:
    """Yield the living processes of this machine outside of our own session."""
    own = os.getsid(0)
    for name in os.listdir("/proc"):
        process = _read_living(int(name)) if name.isdecimal() else None
        if process is not None and process.session not in (0, own):
            yield process


def _read_living(pid: int) -> _Process | None:
    """Return a process, or None if it has ended or does not exist."""
    return _read(pid, ended=(b"Z", b"X"))


def _read(pid: int, ended: Collection[bytes] = ()) -> _Process | None:
    """Return a process according to proc(5), or None if its state is one of ``ended``."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The second field, the name in brackets, may contain blanks and brackets.
            words = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    if len(words) < 20 or words[0] in ended:
        return None
    return _Process(pid, session=int(words[3]), started=int(words[19]), parent=int(words[1]))


def descriptor_target(fd: int, pid: int | str = "self") -> str:
    """Return the kernel's name for what a descriptor is open on; '' if it cannot be read.

    The file itself is not accessed: it may be on a file server that hangs.
    """
    try:
        return os.readlink(f"/proc/{pid}/fd/{fd}")
    except OSError:
        return ""


def _environment(pid: int) -> set[bytes]:
    """Return the variables of a process; none if it has ended or is another user's."""
    for _ in range(_EXEC_LOOKS):
        found = _read_proc(pid, "environ")
        if not found:
            # In the middle of execve(2) a process shows neither environment nor arguments. Read
            # the environment again: execve may have finished in between.
            arguments = _read_proc(pid, "cmdline")
            found = _read_proc(pid, "environ")
            if not found and not arguments and _read_living(pid) is not None:
                time.sleep(_EXEC_LOOK_SECONDS)
                continue
        return set(found.split(b"\0"))
    return set()


def _read_proc(pid: int, name: str) -> bytes:
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except OSError:  # gone, or another user's
        return b""


def _signal(processes: Collection[_Process], number: signal.Signals, grace_seconds: float) -> None:
    """Signal processes, and wait until they have ended, at most ``grace_seconds``."""
    with contextlib.ExitStack() as stack:
        waiting = select.poll()
        left = 0
        for process in processes:
            try:
                handle = os.pidfd_open(process.pid)
                stack.callback(os.close, handle)
                if _read_living(process.pid) == process:
                    signal.pidfd_send_signal(handle, number)
                    waiting.register(handle, select.POLLIN)
                    left += 1
            except ProcessLookupError:
                continue
            except OSError as err:
                logger.warning("Cannot end process %d: %s", process.pid, err.strerror)
        deadline = time.monotonic() + grace_seconds
        while left and (seconds := deadline - time.monotonic()) > 0:
            for handle, _ in waiting.poll(seconds * 1000):
                waiting.unregister(handle)
                left -= 1
