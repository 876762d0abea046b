"""What programs leave running: found by what they cannot easily lose, and ended.

A daemon that was killed cannot have noted what it ran, and a script that failed or
was stopped may leave children that have moved out of its process group. What
belongs to a run is known by any of these:

* a variable that no other program has (``NAME=value`` in its environment);
* the file that its output goes to;
* a parent of its own kind, as long as that lives;
* a session with one of them: programs are run in sessions of their own
  (``process.run_logged``), and none can join a session that is there.

So a child gets away only if it drops its environment (``env -i``), its output
and its session, and loses its parent before we look.

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
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)

#: How long programs have, from the polite request to end until they are killed.
TERM_GRACE_SECONDS = 5.0
#: How often processes are killed that keep making others.
_ROUNDS = 10
#: How often, and how far apart, a process is looked at that is in the middle of execve(2).
_EXEC_LOOKS, _EXEC_LOOK_SECONDS = 50, 0.002


@dataclass(frozen=True)
class _Process:
    """One that runs; pid and start time together are never another's."""

    pid: int
    started: int  # clock ticks since the machine's start
    session: int = field(compare=False)  # changes with setsid(2), after we looked perhaps
    parent: int = field(compare=False)  # changes when a parent ends


def end(variables: Collection[str], grace_seconds: float = TERM_GRACE_SECONDS) -> int:
    """End all processes that have one of these ``NAME=value``, politely first; their number.

    Only processes that this one may look into are found. What cannot be ended is logged.
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
    """End what belongs to a program that we started, also if it ended; returns their number.

    ``root`` is its pid, the head of a session, which nobody has waited for yet (so that the
    number is not another's); ``output`` is the ``descriptor_target`` of its output;
    ``variable`` is a ``NAME=value`` that only it and its children have. Processes that were
    there before the program began are spared, whatever they have: an administrator may follow
    its log.
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
    """Those that belong to a run or are known already, what they started, and what shares a
    session with one of them."""
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
            # Parents first: one that outlived its child would end as if by itself.
            return sorted(found, key=lambda process: (process.started, process.pid))
        found |= more


def _other_processes() -> Iterator[_Process]:
    """All processes of this machine, but this one's session and those that ended."""
    own = os.getsid(0)
    for name in os.listdir("/proc"):
        process = _read_living(int(name)) if name.isdecimal() else None
        if process is not None and process.session not in (0, own):
            yield process


def _read_living(pid: int) -> _Process | None:
    """A process that lives."""
    return _read(pid, ended=(b"Z", b"X"))


def _read(pid: int, ended: Collection[bytes] = ()) -> _Process | None:
    """proc(5), ``stat``; a program's name, which comes second, may hold anything."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            words = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    if len(words) < 20 or words[0] in ended:
        return None
    return _Process(pid, session=int(words[3]), started=int(words[19]), parent=int(words[1]))


def descriptor_target(fd: int, pid: int | str = "self") -> str:
    """Where a file descriptor leads, in the kernel's words; empty when that cannot be told.

    The file itself is not touched: it may be another program's, on a server that hangs.
    """
    try:
        return os.readlink(f"/proc/{pid}/fd/{fd}")
    except OSError:
        return ""


def _environment(pid: int) -> set[bytes]:
    """The ``NAME=value`` of a process; empty for one that is gone or another user's."""
    for _ in range(_EXEC_LOOKS):
        found = _read_proc(pid, "environ")
        if not found:
            # In the middle of execve(2) a process shows neither environment nor arguments; it
            # may have come out of it since.
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
    """Signal them all, and wait until they ended or the time is over."""
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
