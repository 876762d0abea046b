"""Runs programs in new sessions, with a given environment, and ends them with their children."""

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

#: Seconds between two questions whether the program's job was cancelled.
POLL_SECONDS = 0.1
#: PATH of the programs; Ganeti gives its hooks and OS scripts the same.
SAFE_PATH = "/sbin:/bin:/usr/sbin:/usr/bin"

#: Bytes at the end of an output that are kept, so that its last lines can be quoted.
_TAIL_BYTES = 16384
#: Bytes that are read at most after the program has ended: its children may go on writing.
_LAST_BYTES = 1 << 20


@dataclass(frozen=True)
class Ended:
    """The end of a program: its exit status, or minus the signal that killed it."""

    status: int
    cancelled: bool = False
    #: The limit in seconds that it exceeded, if it did.
    overdue: float | None = None

    def __str__(self) -> str:
        """Return the end in words, for an error message."""
        if self.overdue is not None:
            return f"not done after {self.overdue:g} seconds"
        if self.status < 0:
            return f"killed by signal {-self.status}"
        return f"exit code {self.status}"


@dataclass(frozen=True)
class Limits:
    """Conditions under which a running program is stopped, and the time that it gets to end."""

    cancelled: Callable[[], bool] = lambda: False
    #: Seconds that the program may run.
    seconds: float | None = None
    #: Seconds between two calls of ``cancelled``.
    poll_seconds: float = POLL_SECONDS
    grace_seconds: float = TERM_GRACE_SECONDS


@dataclass(frozen=True)
class Program:
    """A program to run. It inherits no environment, input, open files or terminal.

    When it fails or is stopped, its children are ended as far as ``orphans`` finds them.
    ``mark`` names a variable of its environment whose value no other program has, if there is
    one: it identifies children.
    """

    argv: Sequence[str]
    environment: Mapping[str, str]
    directory: str = "/"
    mark: str = ""
    limits: Limits = field(default_factory=Limits)

    def start(self, output: int) -> subprocess.Popen[bytes]:
        """Start the program in a new session with its output to a descriptor."""
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
    """Run a program until it ends, and append its output to the file ``log`` (mode 0600).

    Raise ``CommandError`` if it cannot be started.
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
    """Run a program; return how it ended and the last 16 KiB of its output.

    Raise ``CommandError`` if it cannot be started.
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
    """Run a program; call ``drain`` whenever ``reader`` is readable, and once at the end."""
    child, limits = program.start(output), program.limits
    handle = os.pidfd_open(child.pid)
    try:
        cancelled, overdue = _wait(handle, limits, drain, reader)
        # The child is not waited for before this is done, so that its pid is not reused.
        if cancelled or overdue or not _succeeded(child.pid):
            variable = program.environment.get(program.mark)
            orphans.end_family(
                child.pid,
                output=orphans.descriptor_target(output),
                grace_seconds=limits.grace_seconds,
                variable="" if variable is None else f"{program.mark}={variable}",
            )
            # The last resort where /proc hides other users' processes (hidepid).
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
        drain()
        return Ended(child.wait(), cancelled, limits.seconds if overdue else None)
    finally:
        os.close(handle)


def _wait(
    handle: int, limits: Limits, drain: Callable[[], object], reader: int | None
) -> tuple[bool, bool]:
    """Wait until a process ends or has to be stopped; return (cancelled, overdue)."""
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
    """Return whether a child has exited with status 0; it remains to be waited for."""
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return found is not None and found.si_code == os.CLD_EXITED and found.si_status == 0


def _drain(reader: int, output: bytearray) -> None:
    """Append the content of a pipe to ``output``, and drop all but its last bytes."""
    left = _LAST_BYTES
    with contextlib.suppress(BlockingIOError):
        while left > 0 and (data := os.read(reader, 1 << 16)):
            output += data
            del output[:-_TAIL_BYTES]
            left -= len(data)


def tail(path: str) -> str:
    """Return the last 16 KiB of a log as text; '' if it cannot be read."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            return _text_of(file.read())
    except OSError:
        return ""


def _text_of(output: bytes | bytearray) -> str:
    """Return output as text, without a first line that may be cut.

    ``redaction`` would not recognise half a secret.
    """
    text = output.decode("utf-8", errors="replace")
    if len(output) < _TAIL_BYTES:
        return text
    return text.partition("\n")[2] or text


def output_of(argv: Sequence[str], *, data: bytes = b"", timeout: float = 60.0) -> bytes:
    """Return a program's output for the input ``data``.

    Raise ``CommandError`` with the last line of its error output if it fails.
    """
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
