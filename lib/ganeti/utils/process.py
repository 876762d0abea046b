"""Programs that we run: in a session of their own, with an environment that is ours."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ganeti import errors
from ganeti.utils import orphans
from ganeti.utils.orphans import TERM_GRACE_SECONDS

#: How often a running program's job is asked whether it was told to stop.
POLL_SECONDS = 0.1
#: Where programs are looked for (Ganeti gives its hooks and OS scripts the same).
SAFE_PATH = "/sbin:/bin:/usr/sbin:/usr/bin"

#: Bytes of an output's end that are kept or read to quote its last lines.
_TAIL_BYTES = 16384
#: Bytes of output that are still read once the program has ended: a child of its may go on.
_LAST_BYTES = 1 << 20


@dataclass(frozen=True)
class Ended:
    """How a program ended: exit status, or minus the signal; was it told to stop?"""

    status: int
    cancelled: bool = False
    #: The seconds that it had and took longer than.
    overdue: float | None = None

    def __str__(self) -> str:
        """The words for an error message."""
        if self.overdue is not None:
            return f"not done after {self.overdue:g} seconds"
        if self.status < 0:
            return f"killed by signal {-self.status}"
        return f"exit code {self.status}"


@dataclass(frozen=True)
class Limits:
    """When a program that runs is told to end, and how patiently."""

    cancelled: Callable[[], bool] = lambda: False
    #: What it may take altogether.
    seconds: float | None = None
    #: How often ``cancelled`` is asked.
    poll_seconds: float = POLL_SECONDS
    grace_seconds: float = TERM_GRACE_SECONDS


@dataclass(frozen=True)
class Program:
    """What is to be run. It inherits nothing: no environment, no input, no files, no terminal.

    When it fails or is told to end, what it started is ended with it, as far as it can be
    found (``orphans``): by the variable named ``mark`` of its environment, if there is one that
    no other program has.
    """

    argv: Sequence[str]
    environment: Mapping[str, str]
    directory: str = "/"
    mark: str = ""
    limits: Limits = field(default_factory=Limits)

    def start(self, output: int) -> subprocess.Popen[bytes]:
        """Start it in a session of its own, its output into a file descriptor."""
        try:
            return subprocess.Popen(
                list(self.argv),
                env=dict(self.environment),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                close_fds=True,
                start_new_session=True,
            )
        except OSError as err:
            raise errors.CommandError(f"cannot run {self.argv[0]}: {err.strerror}") from None


def run_logged(program: Program, log: str) -> Ended:
    """Run a program to its end, its output appended to the file ``log`` (mode 0600).

    ``CommandError`` when it cannot be started.
    """
    try:
        fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as err:
        raise errors.CommandError(f"cannot write {log}: {err.strerror}") from None
    try:
        return _run(program, fd)
    finally:
        os.close(fd)


def run_captured(program: Program) -> tuple[Ended, str]:
    """Run a program to its end: how it ended, and the end of its output (16 KiB at most).

    ``CommandError`` when it cannot be started.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(reader, False)
    output = bytearray()
    try:
        try:
            ended = _run(program, writer, lambda: _drain(reader, output), reader)
        finally:
            os.close(writer)
        return ended, _text_of(output)
    finally:
        os.close(reader)


def _run(
    program: Program,
    output: int,
    drain: Callable[[], object] = lambda: None,
    reader: int | None = None,
) -> Ended:
    """Run it to its end; ``drain`` is called whenever ``reader`` has something, and last."""
    child, limits = program.start(output), program.limits
    handle = os.pidfd_open(child.pid)
    try:
        cancelled, overdue = _wait(handle, limits, drain, reader)
        # Nobody has waited for it yet, so that its number is still its own.
        if cancelled or overdue or not _succeeded(child.pid):
            variable = program.environment.get(program.mark)
            orphans.end_family(
                child.pid,
                output=orphans.descriptor_target(output),
                grace_seconds=limits.grace_seconds,
                variable="" if variable is None else f"{program.mark}={variable}",
            )
            # If /proc shows us nothing of others (hidepid), this is what can be done.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
        drain()
        return Ended(child.wait(), cancelled, limits.seconds if overdue else None)
    finally:
        os.close(handle)


def _wait(
    handle: int, limits: Limits, drain: Callable[[], object], reader: int | None
) -> tuple[bool, bool]:
    """Wait for the end of a process, or for a reason to end it: canceled, overdue."""
    end = None if limits.seconds is None else time.monotonic() + limits.seconds
    waiting = select.poll()
    waiting.register(handle, select.POLLIN)
    if reader is not None:
        waiting.register(reader, select.POLLIN)
    while True:
        ready = {fd for fd, _ in waiting.poll(limits.poll_seconds * 1000)}
        if handle in ready:
            return False, False
        if ready:
            drain()
        if limits.cancelled():
            return True, False
        if end is not None and time.monotonic() >= end:
            return False, True


def _succeeded(pid: int) -> bool:
    """Did a child that ended, and was not waited for, end well?"""
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return found is not None and found.si_code == os.CLD_EXITED and found.si_status == 0


def _drain(reader: int, output: bytearray) -> None:
    """Move what a pipe holds to the end of ``output``, of which only the end is kept."""
    left = _LAST_BYTES
    with contextlib.suppress(BlockingIOError):
        while left > 0 and (data := os.read(reader, 1 << 16)):
            output += data
            del output[:-_TAIL_BYTES]
            left -= len(data)


def tail(path: str) -> str:
    """The end of a log as text, 16 KiB at most; empty when it cannot be read."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            return _text_of(file.read())
    except OSError:
        return ""


def _text_of(output: bytes | bytearray) -> str:
    """Text without the first line if that may be cut: half a secret cannot be recognised."""
    text = output.decode("utf-8", errors="replace")
    if len(output) < _TAIL_BYTES:
        return text
    return text.partition("\n")[2] or text


def output_of(argv: Sequence[str], *, data: bytes = b"", timeout: float = 60.0) -> bytes:
    """What a program makes of ``data``; ``CommandError`` with its last line when it fails."""
    try:
        done = subprocess.run(
            list(argv),
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError:
        raise errors.CommandError(f"the program {argv[0]} is missing") from None
    except OSError as err:
        raise errors.CommandError(f"cannot run {argv[0]}: {err.strerror}") from None
    except subprocess.TimeoutExpired:
        raise errors.CommandError(f"{argv[0]} did not end within {timeout:g} s") from None
    if done.returncode != 0:
        words = done.stderr.decode("utf-8", errors="replace").strip().splitlines()
        raise errors.CommandError(
            f"{argv[0]} failed ({Ended(done.returncode)})" + (f": {words[-1]}" if words else "")
        )
    return done.stdout
