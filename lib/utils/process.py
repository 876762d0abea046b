"""Programs that we run: in a session of their own, with an environment that is ours."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ganeti import errors

#: How often a running program's job is asked whether it was told to stop.
POLL_SECONDS = 0.1
#: What a program has, from the polite request to end until it is killed.
TERM_GRACE_SECONDS = 5.0
#: Where programs are looked for (Ganeti gives its hooks and OS scripts the same).
SAFE_PATH = "/sbin:/bin:/usr/sbin:/usr/bin"

#: Bytes of a log's end that are read to quote its last lines.
_TAIL_BYTES = 16384


@dataclass(frozen=True)
class Ended:
    """How a program ended: exit status, or minus the signal; was it told to stop?"""

    status: int
    cancelled: bool = False

    def __str__(self) -> str:
        """The words for an error message."""
        if self.status < 0:
            return f"killed by signal {-self.status}"
        return f"exit code {self.status}"


def run_logged(argv: Sequence[str], *, environment: Mapping[str, str], log: str,
               directory: str = "/", cancelled: Callable[[], bool] = lambda: False,
               poll_seconds: float = POLL_SECONDS,
               grace_seconds: float = TERM_GRACE_SECONDS) -> Ended:
    """Run a program to its end, its output appended to the file ``log`` (mode 0600).

    It inherits nothing: no environment, no input, no open files, no terminal.
    Once ``cancelled()`` holds, it and what it started are told to end, and
    killed if they do not. ``CommandError`` when it cannot be started.
    """
    try:
        fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as err:
        raise errors.CommandError(f"cannot write {log}: {err.strerror}") from None
    try:
        child = subprocess.Popen(
            list(argv), env=dict(environment), cwd=directory, stdin=subprocess.DEVNULL,
            stdout=fd, stderr=fd, close_fds=True, start_new_session=True)
    except OSError as err:
        raise errors.CommandError(f"cannot run {argv[0]}: {err.strerror}") from None
    finally:
        os.close(fd)
    while True:
        try:
            return Ended(child.wait(poll_seconds))
        except subprocess.TimeoutExpired:
            if cancelled():
                return Ended(_end(child, grace_seconds), cancelled=True)


def _end(child: subprocess.Popen[bytes], grace_seconds: float) -> int:
    """End the program's whole group, politely first; its status."""
    _signal_group(child, signal.SIGTERM)
    try:
        child.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        pass
    # Also when the program itself ended: what it started may have stayed.
    _signal_group(child, signal.SIGKILL)
    return child.wait()


def _signal_group(child: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)


def last_lines(path: str, count: int) -> list[str]:
    """The last lines of a log, as text; none when it cannot be read."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            return file.read().decode("utf-8", errors="replace").splitlines()[-count:]
    except OSError:
        return []


def output_of(argv: Sequence[str], *, data: bytes = b"", timeout: float = 60.0) -> bytes:
    """What a program makes of ``data``; ``CommandError`` with its last line when it fails."""
    try:
        done = subprocess.run(list(argv), input=data, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout, check=False)
    except FileNotFoundError:
        raise errors.CommandError(f"the program {argv[0]} is missing") from None
    except OSError as err:
        raise errors.CommandError(f"cannot run {argv[0]}: {err.strerror}") from None
    except subprocess.TimeoutExpired:
        raise errors.CommandError(f"{argv[0]} did not end within {timeout:g} s") from None
    if done.returncode != 0:
        words = done.stderr.decode("utf-8", errors="replace").strip().splitlines()
        raise errors.CommandError(f"{argv[0]} failed ({Ended(done.returncode)})"
                                  + (f": {words[-1]}" if words else ""))
    return done.stdout
