"""The pid file, whose lock shows that a daemon runs, whatever pid is in it.

The lock is a flock(2) like that of Ganeti's daemons, so that ours and theirs see each other's.
It belongs to the open file, not to the process: a successor inherits the descriptor and the
lock, and at no moment could a third process take it. (A record lock of fcntl(2) is lost as
soon as its process closes any descriptor of the file.) The mode is 0600, because a user who
can open the file can lock it, and so prevent a start.

Nothing here waits: a lock is taken immediately or not at all.
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
#: How often the file may be replaced between our open and our lock before we give up.
_TRIES = 10
#: Bytes of a pid file that are read: a pid and its line end.
_NUMBER_SIZE = 20


class PidFileError(errors.Error):
    """The pid file cannot be used; the message says why."""


class AlreadyRunning(PidFileError):
    """Another process holds the lock, or the file has the pid of a running daemon."""

    def __init__(self, pid: int | None, path: str, holder: int | None = None) -> None:
        if pid:
            text = f"already running with pid {pid} ({path} is its pid file)"
        elif holder:
            text = f"{path} is locked by {procfs.describe(holder)}"
        else:
            text = f"{path} is locked by an unknown process"
        super().__init__(text)
        self.pid = pid


class PidFile:
    """An open and locked pid file.

    ``path`` is the path at which it was opened, ``fd`` its descriptor (not inheritable).
    """

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self.fd = fd

    @classmethod
    def create(cls, path: str, program: str) -> PidFile:
        """Open or create the file, lock it, and write this process's pid.

        Raise ``AlreadyRunning`` if it is locked or has the pid of a running process called
        ``program``, and ``PidFileError`` if it cannot be used.
        """
        for _ in range(_TRIES):
            found = cls._open(path)
            try:
                found.lock()
                pid = found.read()
                if pid is not None and pid != os.getpid() and procfs.name_of(pid) == program:
                    # A daemon with another kind of lock, like Ganeti 2's or our first version.
                    raise AlreadyRunning(pid, path)
                if found.is_in_place():
                    found.write()
                    return found
            except BaseException:
                found.close()
                raise
            found.close()  # its owner removed it between our open and our lock
        raise PidFileError(f"{path} keeps being replaced")

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
                    f"the directory of the pid file, {os.path.dirname(path)}, does not exist"
                ) from None
            if err.errno in (errno.EISDIR, errno.ENXIO):
                raise PidFileError(f"{path} is not a regular file") from None
            raise
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise PidFileError(f"{path} is not a regular file")
        with contextlib.suppress(OSError):  # it may belong to another user
            os.fchmod(fd, MODE)
        return cls(path, fd)

    def lock(self) -> None:
        """Take or keep the lock; raise ``AlreadyRunning`` if another process holds it."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = self.read()
            alive = pid is not None and procfs.name_of(pid) is not None
            raise AlreadyRunning(
                pid if alive else None, self.path, procfs.flock_holder(self.fd)
            ) from None

    def read(self) -> int | None:
        """Return the pid in the file; None if there is no number."""
        text = os.pread(self.fd, _NUMBER_SIZE, 0).strip()
        return int(text) if text.isdigit() and int(text) > 0 else None

    def write(self) -> None:
        """Write this process's pid; the file is at no moment empty."""
        number = f"{os.getpid()}\n".encode("ascii")
        os.pwrite(self.fd, number, 0)
        os.ftruncate(self.fd, len(number))

    def is_in_place(self) -> bool:
        """Return whether the path still leads to the open file."""
        try:
            found = os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        mine = os.fstat(self.fd)
        return (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)

    def remove(self) -> None:
        """Remove the file unless it was replaced or has another process's pid."""
        if self.is_in_place() and self.read() == os.getpid():
            os.unlink(self.path)

    def close(self) -> None:
        """Close the descriptor; the last copy of it releases the lock."""
        os.close(self.fd)


def running(path: str, program: str) -> int | None:
    """Return the pid of the daemon that runs with a pid file, holding its lock only briefly.

    Return None if no daemon runs, and 0 if the file is locked but has no pid. Raise
    ``PidFileError`` if the file exists but cannot be read.
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
