"""Files that are written whole or not at all, locks, long socket paths, descriptor limits."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping

from ganeti import pathutils


def fsync_directory(path: str) -> None:
    """Make the names in a directory durable; without this a power cut may undo a rename."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_file(
    path: str,
    data: bytes | str,
    *,
    mode: int = 0o644,
    durable: bool = True,
    uid: int = -1,
    gid: int = -1,
    replace: bool = True,
) -> None:
    """Replace a file in one step: readers see the old content or the new one.

    With ``durable``, file and directory are synced, so that the new content survives a power
    cut. Without ``replace``, raise ``FileExistsError`` if the file exists.
    """
    directory, name = os.path.split(path)
    # The name is cut because a file name has at most 255 bytes, suffix included.
    temporary = f"{path.removesuffix(name)}.{name[:60]}.{secrets.token_hex(4)}"
    content = data.encode("utf-8") if isinstance(data, str) else data
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with open(fd, "wb") as file:
            os.fchmod(fd, mode)
            if (uid, gid) != (-1, -1):
                os.fchown(fd, uid, gid)
            file.write(content)
            file.flush()
            if durable:
                os.fsync(fd)
        if not replace:
            os.link(temporary, path)
            os.unlink(temporary)
        else:
            os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    if durable:
        fsync_directory(directory or ".")


def replace_file(finished: str, path: str) -> None:
    """Rename a finished file to ``path``; a power cut leaves either the old file or the new one."""
    sync_file(finished)
    os.rename(finished, path)
    fsync_directory(os.path.dirname(os.path.abspath(path)))


def sync_file(path: str) -> None:
    """Sync the content of a file to the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def copy_file(path: str, copy: str, mode: int = 0o600) -> None:
    """Copy a file to a new one and sync its content, but not the name in its directory."""
    with (
        open(path, "rb") as source,
        open(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as target,
    ):
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        os.fsync(target.fileno())


def patch_file(path: str, patches: Mapping[int, bytes]) -> None:
    """Write each value at its offset (the key) of a file, and sync the file."""
    fd = os.open(path, os.O_WRONLY)
    try:
        for offset, data in patches.items():
            os.pwrite(fd, data, offset)
        os.fsync(fd)
    finally:
        os.close(fd)


def lock_file(path: str) -> int:
    """Lock a file, creating it if necessary, until the returned descriptor is closed.

    Raise ``BlockingIOError`` if another process holds the lock. Like Ganeti's locks it is a
    flock(2), which survives that another descriptor of the same file is closed.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as err:
        if err.errno != errno.ELOOP:
            raise
        raise OSError(err.errno, "a symbolic link, which is not followed here", path) from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as err:
        os.close(fd)
        if err.errno in (errno.EAGAIN, errno.EACCES):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), path) from None
        raise OSError(err.errno, err.strerror, path) from None
    return fd


def remove_file(path: str) -> bool:
    """Remove a file; return whether it existed."""
    try:
        os.unlink(path)
        return True
    except FileNotFoundError:
        return False


def make_directory(path: str, mode: int, uid: int = -1, gid: int = -1) -> None:
    """Create a missing directory; an existing one keeps its mode and owner.

    Missing parents get mode 0755 whatever the administrator's umask is, because the daemons'
    users must be able to pass through them.
    """
    if os.path.isdir(path):
        return
    parent = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(parent):
        make_directory(parent, 0o755)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if os.path.isdir(path):  # another process has just created it
            return
        raise
    # By descriptor: a user who may write to the parent could replace the new directory by a link.
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if (uid, gid) != (-1, -1):
            os.fchown(fd, uid, gid)
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


@contextlib.contextmanager
def short_socket_path(path: str) -> Iterator[str]:
    """Yield a path to the same socket that fits into a socket's address (107 bytes).

    A longer path is replaced by one through a descriptor of its directory, which is open only
    inside the ``with`` block.
    """
    if len(os.fsencode(path)) <= pathutils.SOCKET_PATH_MAX:
        yield path
        return
    directory, name = os.path.split(path)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{fd}/{name}"
    finally:
        os.close(fd)


def is_below(path: str, directory: str) -> bool:
    """Return whether an absolute path is below a directory."""
    path, directory = os.path.normpath(path), os.path.normpath(directory)
    return (
        os.path.isabs(path)
        and os.path.commonpath([path, directory]) == directory
        and path != directory
    )


def raise_descriptor_limit(wanted: int, *, beyond_hard: bool = False) -> int:
    """Raise the soft limit on open descriptors to ``wanted`` as far as possible; return it.

    ``beyond_hard`` raises the hard limit as well where that is allowed. Programs that this process
    starts inherit both.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if beyond_hard and hard != resource.RLIM_INFINITY and hard < wanted:
        with contextlib.suppress(ValueError, OSError):  # only root may raise the hard limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, wanted))
            hard = wanted
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
