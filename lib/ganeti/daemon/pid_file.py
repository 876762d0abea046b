"""The pid file, whose lock says that a daemon runs, whatever number is in it.

The lock is a flock(2), as Ganeti's is, so that either daemon sees the other's. It belongs
to the open file, not to the process: a successor inherits the descriptor and with it the
lock, and no moment is left in which a third process could take it. (A record lock of
fcntl(2) is lost as soon as its process closes any descriptor of the file.) The mode is
0600: whoever may open a file may lock it, and hold up a start as long as he likes.

Nothing here waits: a lock is taken at once, or somebody else has it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat

from ganeti import errors
from ganeti.utils import procfs
from ganeti.utils.text import describe_os_error

MODE = 0o600
#: How often a file may be replaced between our open and our lock before we give up.
_TRIES = 10
#: Bytes of a pid file that are read: a number and its line end.
_NUMBER_SIZE = 20


class PidFileError(errors.Error):
    """The pid file cannot be used, in words."""


class AlreadyRunning(PidFileError):
    """Another process holds the lock, or is the living daemon that the file names."""

    def __init__(self, pid: int | None, path: str, holder: int | None = None) -> None:
        if pid:
            text = f"already running with pid {pid} ({path} is its pid file)"
        elif holder:
            text = f"{path} is locked by {procfs.describe(holder)}"
        else:
            text = f"{path} is locked by a process that is not known"
        super().__init__(text)
        self.pid = pid


class PidFile:
    """An open and locked pid file.

    ``path`` is where it was opened, ``fd`` its descriptor, which is not inheritable.
    """

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self.fd = fd

    @classmethod
    def create(cls, path: str, program: str) -> PidFile:
        """Open or create the file, lock it, and write this process's number.

        Raises ``AlreadyRunning`` when it is locked, or when its number is that of a living
        process called ``program``, and ``PidFileError`` when it cannot be used.
        """
        for _ in range(_TRIES):
            found = cls._open(path)
            try:
                found.lock()
                pid = found.read()
                if pid is not None and pid != os.getpid() and procfs.name_of(pid) == program:
                    # It locks in another way, as Ganeti 2's and our first version did.
                    raise AlreadyRunning(pid, path)
                if found.is_in_place():
                    found.write()
                    return found
            except BaseException:
                found.close()
                raise
            found.close()  # the one before us removed it between our open and our lock
        raise PidFileError(f"{path} is being replaced all the time")

    @classmethod
    def _open(cls, path: str) -> PidFile:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            fd = os.open(path, flags, MODE)
        except OSError as err:
            if err.errno == errno.ELOOP:
                raise PidFileError(
                    f"{path} is a symbolic link, which is not followed; remove it: rm {path}"
                ) from None
            if err.errno == errno.ENOENT:
                raise PidFileError(
                    f"{os.path.dirname(path)} does not exist, where the pid file should be"
                ) from None
            if err.errno in (errno.EISDIR, errno.ENXIO):
                raise PidFileError(f"{path} is no regular file") from None
            raise
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise PidFileError(f"{path} is no regular file")
        with contextlib.suppress(OSError):  # it may belong to another user
            os.fchmod(fd, MODE)
        return cls(path, fd)

    def lock(self) -> None:
        """Take the lock, or keep it; raises ``AlreadyRunning`` when another process has it."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = self.read()
            alive = pid is not None and procfs.name_of(pid) is not None
            raise AlreadyRunning(
                pid if alive else None, self.path, procfs.flock_holder(self.fd)
            ) from None

    def read(self) -> int | None:
        """The number in the file; None when it holds none."""
        text = os.pread(self.fd, _NUMBER_SIZE, 0).strip()
        return int(text) if text.isdigit() and int(text) > 0 else None

    def write(self) -> None:
        """Say that this process is the daemon. The file is never empty meanwhile."""
        number = f"{os.getpid()}\n".encode("ascii")
        os.pwrite(self.fd, number, 0)
        os.ftruncate(self.fd, len(number))

    def is_in_place(self) -> bool:
        """Is the open file still the one that has this path?"""
        try:
            found = os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        mine = os.fstat(self.fd)
        return (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)

    def remove(self) -> None:
        """Remove the file, if it is still this one and no other process is named in it."""
        if self.is_in_place() and self.read() == os.getpid():
            os.unlink(self.path)

    def close(self) -> None:
        """Close the descriptor; the lock goes with the last one of this open file."""
        os.close(self.fd)


def running(path: str, program: str) -> int | None:
    """The pid of the daemon whose pid file this is, read without taking its lock for long.

    None when nobody runs; 0 when somebody holds the lock and the file does not say who.
    Raises ``PidFileError`` when the file is there and cannot be examined.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as err:
        raise PidFileError(f"cannot read {describe_os_error(err)}") from None
    found = PidFile(path, fd)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        pid = found.read()
        return pid if pid is not None and procfs.name_of(pid) == program else None
    except BlockingIOError:
        return found.read() or 0
    finally:
        found.close()
