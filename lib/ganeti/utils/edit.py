"""Editing a file that others edit too, perhaps in a directory of another user.

An editor reads the file, changes the text, and replaces the file by a new one in one step
(``io.write_file``). Two dangers are met here:

- Of two editors at the same time the second would undo what the first one did. ``locked`` lets
  one at a time work. Its lock is a file beside the edited one, which is replaced and so
  cannot carry a lock itself.
- Where root edits a file in the directory of an unprivileged user, that user may have laid a
  symbolic link to any file of root's there. ``follow_links`` follows links of root and of the
  caller only, and ``read_file`` follows none that turn up later.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import stat
import time
from collections.abc import Callable, Iterator

from ganeti import errors, pathutils
from ganeti.utils import io

#: Seconds that an editor waits for another; each needs some milliseconds.
LOCK_WAIT = 10.0
#: Seconds between two tries to get the lock.
LOCK_INTERVAL = 0.02
#: As many links as the kernel follows in one path.
MAX_LINKS = 40


class EditError(errors.Error):
    """The file cannot be edited: why, and the cure."""


def follow_links(path: str) -> str:
    """The absolute path, without symbolic links, of what ``path`` leads to.

    The last components need not exist. Raises ``EditError`` for a link that neither root nor
    the caller owns, and ``OSError`` where the way is closed or endless.
    """
    resolved, followed = "", 0
    remaining = _components(path if path.startswith("/") else f"{os.getcwd()}/{path}")
    while remaining:
        name = remaining.pop()
        if name == "..":
            resolved = resolved.rpartition("/")[0]
            continue
        candidate = f"{resolved}/{name}"
        target = _read_link(candidate)
        if target is None:
            resolved = candidate
            continue
        followed += 1
        if followed > MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        resolved = "" if target.startswith("/") else resolved
        remaining += _components(target)
    return resolved or "/"


def _components(path: str) -> list[str]:
    """The names in a path, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _read_link(path: str) -> str | None:
    """Where a symbolic link leads; None where there is none. Raises as ``follow_links``."""
    try:
        fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        # Of the descriptor: the owner of the directory may replace the link meanwhile.
        found = os.fstat(fd)
        if not stat.S_ISLNK(found.st_mode):
            return None
        # A further name of root's own link would pass for one that root laid here.
        if found.st_uid not in (0, os.geteuid()) or found.st_nlink > 1:
            whose = "with several names" if found.st_nlink > 1 else f"of {_user(found.st_uid)}"
            raise EditError(
                f"{path} is a symbolic link {whose}, and may lead anywhere: only "
                "links of root and your own are followed; name the file that you "
                f"mean, or remove the link with: rm {path}"
            )
        return os.readlink("", dir_fd=fd)
    finally:
        os.close(fd)


def _user(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"the user with number {uid}"


def read_file(path: str) -> tuple[bytes, os.stat_result] | None:
    """What a file holds, and its owner and mode; None if there is none.

    Raises ``OSError``, also for a symbolic link and for what is no file.
    """
    try:
        # A pipe would have us wait for its writer.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            is_directory = stat.S_ISDIR(found.st_mode)
            words = "Is a directory" if is_directory else "Not a regular file"
            raise OSError(errno.EINVAL, words, path)
        with open(fd, "rb", closefd=False) as file:
            return file.read(), found
    finally:
        os.close(fd)


@contextlib.contextmanager
def locked(
    path: str,
    wait: float = LOCK_WAIT,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Be the only one who edits a file, as far as all who do so take this lock.

    Raises ``EditError`` after ``wait`` seconds, and ``OSError`` where no file can be made
    in the directory.
    """
    lock = pathutils.beside(path, "lock")
    deadline = clock() + wait
    while (fd := _try_to_lock(lock)) is None:
        if clock() >= deadline:
            raise EditError(
                f"somebody else has been editing {path} for {wait:g} seconds; try "
                f"again, and if nobody does, remove {lock}"
            )
        sleep(LOCK_INTERVAL)
    try:
        yield
    finally:
        # While it is held: nobody else's lock has this name.
        with contextlib.suppress(OSError):
            os.unlink(lock)
        os.close(fd)


def _try_to_lock(lock: str) -> int | None:
    """A descriptor that holds the lock; None while another has it."""
    try:
        fd = io.lock_file(lock)
    except BlockingIOError:
        return None
    except PermissionError:
        if os.path.lexists(lock):  # root's, or another user's, who is at work
            return None
        raise
    except OSError as err:
        if not os.path.lexists(lock):
            raise
        raise EditError(
            f"cannot lock {lock}: {err.strerror}; remove it with: rm -r {lock}"
        ) from None
    if _is_at(fd, lock):
        return fd
    os.close(fd)  # whoever held it has removed its name
    return None


def _is_at(fd: int, path: str) -> bool:
    """Does the path still name the file that this descriptor is of?"""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False
