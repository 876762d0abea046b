"""The pid file, whose lock says that a daemon runs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator

from ganeti import constants
from ganeti.daemon.base import Daemon, DaemonError


@contextlib.contextmanager
def held(daemon: Daemon, fd: int | None) -> Iterator[None]:
    """Hold the pid file's lock: whoever has it is the daemon, whatever the number says.

    ``fd``: the file of a predecessor, who unlocks it now that we are ready.
    """
    if fd is None:
        try:
            fd = _lock(daemon.pid_file)
        except FileNotFoundError:
            raise DaemonError(f"{os.path.dirname(daemon.pid_file)} does not exist; "
                              "is there a cluster? (ganeti-cluster init NAME creates one)",
                              constants.EXIT_NODESETUP_ERROR) from None
    else:
        fcntl.lockf(fd, fcntl.LOCK_EX)
    daemon.pid_fd = fd
    try:
        number = f"{os.getpid()}\n".encode("ascii")
        os.pwrite(fd, number, 0)        # never empty: a successor writes over the old number
        os.ftruncate(fd, len(number))
        yield
    finally:
        if daemon.pid_fd is not None:
            with contextlib.suppress(OSError):
                os.unlink(daemon.pid_file)
        os.close(fd)


def give_up_pid_file(daemon: Daemon) -> None:
    """Leave it to a successor, who waits for its lock."""
    assert daemon.pid_fd is not None
    fcntl.lockf(daemon.pid_fd, fcntl.LOCK_UN)
    daemon.pid_fd = None


def _lock(path: str) -> int:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise DaemonError(f"{path} is no regular file")
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            other = os.read(fd, 20).decode("ascii", "replace").strip()
            os.close(fd)
            raise DaemonError(f"already running with pid {other or 'unknown'} "
                              f"({path} is locked)") from None
        os.fchmod(fd, 0o644)
        # The one before us may have removed the file between our open and our lock.
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(fd).st_ino == os.stat(path).st_ino:
                return fd
        os.close(fd)
