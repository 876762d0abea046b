"""Editing a file that others edit too, perhaps in a directory of another user.

An editor reads the file, changes the text, and replaces the file by a new one in one step
(``io.write_file``). This module guards against two dangers:

- The second of two simultaneous editors would undo the change of the first. ``locked`` admits
  one at a time. Its lock is a separate file next to the edited one: the edited file is replaced
  and cannot carry a lock itself.
- Where root edits a file in an unprivileged user's directory, that user may have put a symbolic
  link there that leads to one of root's files. ``follow_links`` follows only links that root or
  the caller owns, and ``read_file`` follows no link that appears later.
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

#: Seconds that an editor waits for another one; an edit takes some milliseconds.
LOCK_WAIT = 10.0
#: Seconds between two attempts to get the lock.
LOCK_INTERVAL = 0.02
#: Links followed in one path; the kernel has the same limit.
MAX_LINKS = 40


class EditError(errors.Error):
    """The file cannot be edited; the message says why, and what to do."""


def follow_links(path: str) -> str:
    """Return the absolute path that ``path`` leads to, with all symbolic links resolved.

    The last components need not exist. Raise ``EditError`` for a link that neither root nor
    the caller owns, and ``OSError`` for a directory without permission or a loop of links.
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
    """Return the names in a path, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _read_link(path: str) -> str | None:
    """Return the target of a symbolic link, or None if there is no link; see ``follow_links``."""
    try:
        fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        # fstat of the descriptor: the directory's owner may replace the link at any moment.
        found = os.fstat(fd)
        if not stat.S_ISLNK(found.st_mode):
            return None
        # A hard link to one of root's own symbolic links would look like root's work.
        if found.st_uid not in (0, os.geteuid()) or found.st_nlink > 1:
            whose = "with several names" if found.st_nlink > 1 else f"of {_user(found.st_uid)}"
            raise EditError(
                f"{path} is a symbolic link {whose}, and may lead anywhere: only "
                "links of root and your own are followed; give the path of the file "
                f"itself, or remove the link with: rm {path}"
            )
        return os.readlink("", dir_fd=fd)
    finally:
        os.close(fd)


def _user(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"the user with uid {uid}"


def read_file(path: str) -> tuple[bytes, os.stat_result] | None:
    """Return a file's content and its status (owner, mode); None if the file does not exist.

    Raise ``OSError`` if it cannot be read, or is a symbolic link or not a regular file.
    """
    try:
        # O_NONBLOCK: opening a pipe would wait for its writer.
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
    """Hold the lock that all editors of a file take.

    Raise ``EditError`` if another editor still has it after ``wait`` seconds, and ``OSError``
    if no file can be created in the directory.
    """
    lock = pathutils.beside(path, "lock")
    deadline = clock() + wait
    while (fd := _try_to_lock(lock)) is None:
        if clock() >= deadline:
            raise EditError(
                f"another editor has held the lock of {path} for {wait:g} seconds; try "
                f"again, and if there is no other editor, remove {lock}"
            )
        sleep(LOCK_INTERVAL)
    try:
        yield
    finally:
        # Unlinked before it is released: until then the name cannot be another editor's lock.
        with contextlib.suppress(OSError):
            os.unlink(lock)
        os.close(fd)


def _try_to_lock(lock: str) -> int | None:
    """Return a descriptor that holds the lock, or None while another editor has it."""
    try:
        fd = io.lock_file(lock)
    except BlockingIOError:
        return None
    except PermissionError:
        if os.path.lexists(lock):  # another user, or root, is editing
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
    os.close(fd)  # its holder has unlinked it in the meantime
    return None


def _is_at(fd: int, path: str) -> bool:
    """Return whether the path still leads to the file of this descriptor."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False
