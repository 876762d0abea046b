"""Sets owners and modes, as root, of files in directories that other users may change.

Theory. The directories belong to the daemons' users. Such a user may replace an entry by a link
at any moment, and would gain another user's file if root changed its owner by name. Therefore:

    Every path is opened component by component with openat(2). A symbolic link is followed
    only if it is in a directory that root alone can write to.
    Owner and mode are set on an open descriptor after it was checked, never on a name.
    A link, a file with several hard links, and anything but files and directories are skipped.
    A file of a user whom the entry distrusts, the other daemon's user, is skipped: it could
    have been moved here.

Skipped entries are reported to the administrator.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

#: Links followed in one path; the kernel has the same limit.
_MAX_LINKS = 40
#: Levels of subdirectories that are changed.
_MAX_DEPTH = 16


@dataclass(frozen=True)
class OwnedPath:
    """A file or directory with the owner and mode to set; uid or gid -1 is not changed.

    A ``private`` file may have less permissions for group and others than ``mode``.
    """

    path: str
    mode: int
    uid: int = -1
    gid: int = -1
    directory: bool = False
    #: Create the directory if it is missing, and its missing parents with mode 0755.
    make: bool = False
    private: bool = False
    #: Mode of the files in the directory, at any depth; subdirectories get ``mode``.
    files: int | None = None
    #: Do not report symbolic links below the directory.
    links: bool = False
    #: Uid of a user whose files are not given to another user.
    distrusted: int = -1
    #: Bytes, one of which the file must begin with; another file is skipped silently.
    magic: tuple[bytes, ...] = ()


@dataclass
class OwnershipReport:
    """Lines about what was changed, and about what was skipped."""

    changed: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)


class _LeftAlone(Exception):
    """An entry is skipped; the message says why."""


def apply(entries: Sequence[OwnedPath], *, dry_run: bool = False) -> OwnershipReport:
    """Set owners and modes, or with ``dry_run`` only report them; raise ``OSError``."""
    report = OwnershipReport()
    for entry in entries:
        try:
            with _parent(entry, dry_run) as parent:
                if parent is not None:
                    _EntryApplier(entry, report, dry_run).apply(
                        parent, os.path.basename(entry.path), entry.path
                    )
                elif entry.make:  # its parent is created only without dry_run
                    report.changed.append(_made(entry))
        except _LeftAlone as err:
            report.odd.append(str(err))
        except OSError as err:  # it names a descriptor, which does not help
            raise OSError(err.errno, err.strerror, entry.path) from None
    return report


class _EntryApplier:
    """Applies one entry."""

    def __init__(self, entry: OwnedPath, report: OwnershipReport, dry_run: bool) -> None:
        self._entry = entry
        self._report = report
        self._dry_run = dry_run

    def apply(self, parent: int, name: str, path: str) -> None:
        """Set owner and mode of the entry, then of everything in it."""
        entry = self._entry
        fd = _open_entry(parent, name)
        made = fd is None and entry.make
        if made:
            self._report.changed.append(_made(entry))
            if not self._dry_run:
                os.mkdir(name, 0o700, dir_fd=parent)
                fd = _open_entry(parent, name)
        if fd is None:
            return
        if entry.directory and stat.S_ISLNK(os.fstat(fd).st_mode):
            os.close(fd)  # the administrator may have moved the directory to another disk
            fd = _walk(path, False, _checker(entry))
        if fd is None:
            raise _LeftAlone(f"{path}: a symbolic link that leads nowhere, so left alone")
        try:
            changes = len(self._report.changed)
            self._apply_to(fd, path, entry.directory, entry.mode, entry.private)
            if made:  # the line about its creation is enough
                del self._report.changed[changes:]
            if entry.files is not None:
                self._apply_to_tree(fd, path, entry.files, 0)
        finally:
            os.close(fd)

    def _apply_to_tree(self, fd: int, path: str, file_mode: int, depth: int) -> None:
        if depth == _MAX_DEPTH:
            raise _LeftAlone(f"{path}: too deep, so left alone")
        for name in sorted(os.listdir(f"/proc/self/fd/{fd}")):
            below = f"{path}/{name}"
            inner = _open_entry(fd, name)
            if inner is None:  # removed just now
                continue
            try:
                found = os.fstat(inner)
                directory = stat.S_ISDIR(found.st_mode)
                if stat.S_ISLNK(found.st_mode) and self._entry.links:
                    continue
                self._apply_to(
                    inner,
                    below,
                    directory,
                    self._entry.mode if directory else file_mode,
                    not directory,
                )
                if directory:
                    self._apply_to_tree(inner, below, file_mode, depth + 1)
            except _LeftAlone as err:
                self._report.odd.append(str(err))
            finally:
                os.close(inner)

    def _apply_to(self, fd: int, path: str, directory: bool, mode: int, private: bool) -> None:
        """Set owner and mode of an open file or directory; raise ``_LeftAlone`` if it is unsafe."""
        entry, found = self._entry, os.fstat(fd)
        _check_kind(found, path, directory)
        if entry.magic and not _begins_with(fd, entry.magic):
            return
        uid = found.st_uid if entry.uid == -1 else entry.uid
        gid = found.st_gid if entry.gid == -1 else entry.gid
        if uid != found.st_uid == entry.distrusted:
            raise _LeftAlone(
                f"{path}: belongs to {_user(found.st_uid)}, so it is not given to {_user(uid)}"
            )
        before = stat.S_IMODE(found.st_mode)
        after = (before & mode & 0o077) | (mode & 0o700) if private else mode
        words = []
        if (uid, gid) != (found.st_uid, found.st_gid):
            words.append(
                f"owner {_user(found.st_uid)}:{_group(found.st_gid)} -> {_user(uid)}:{_group(gid)}"
            )
            if not self._dry_run:
                os.chown(f"/proc/self/fd/{fd}", uid, gid)
        if before != after:
            words.append(f"mode {before:04o} -> {after:04o}")
        if words:
            self._report.changed.append(f"{path}: {', '.join(words)}")
            if not self._dry_run:  # even if it was right: chown(2) clears bits
                os.chmod(f"/proc/self/fd/{fd}", after)


def _made(entry: OwnedPath) -> str:
    return f"{entry.path}: made, mode {entry.mode:04o}"


def _open_entry(parent: int, name: str) -> int | None:
    """Open an entry with O_PATH, which needs no permission; return None if it is missing."""
    try:
        return os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    except FileNotFoundError:
        return None


def _check_kind(found: os.stat_result, path: str, directory: bool) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise _LeftAlone(f"{path}: a symbolic link, so left alone")
    if directory:
        if not stat.S_ISDIR(found.st_mode):
            raise _LeftAlone(f"{path}: not a directory, so left alone")
    elif not stat.S_ISREG(found.st_mode):
        raise _LeftAlone(f"{path}: not a regular file, so left alone")
    elif found.st_nlink > 1:
        raise _LeftAlone(f"{path}: has {found.st_nlink} hard links, so left alone")


def _begins_with(fd: int, beginnings: tuple[bytes, ...]) -> bool:
    with open(f"/proc/self/fd/{fd}", "rb", buffering=0) as file:
        return file.read(max(map(len, beginnings))).startswith(beginnings)


# -- the way to an entry ------------------------------------------------------------


@contextlib.contextmanager
def _parent(entry: OwnedPath, dry_run: bool) -> Iterator[int | None]:
    """Yield a descriptor of an entry's directory, or None if it is missing and not created."""
    fd = _walk(os.path.dirname(entry.path), entry.make and not dry_run, _checker(entry))
    try:
        yield fd
    finally:
        if fd is not None:
            os.close(fd)


def _checker(entry: OwnedPath) -> Callable[[int, int, str], None]:
    """Return the check of links: none is needed where the owner does not change."""
    return _check_link if (entry.uid, entry.gid) != (-1, -1) else lambda *_: None


def _walk(path: str, make: bool, check_link: Callable[[int, int, str], None]) -> int | None:
    """Open a directory component by component; return None if it is missing and not created.

    ``check_link(directory, link, words)`` raises ``_LeftAlone`` for a link it refuses.
    """
    parts = [part for part in path.split("/") if part][::-1]
    links = 0
    fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        while parts:
            name = parts.pop()
            inner = _open_entry(fd, name)
            if inner is None and make:
                os.mkdir(name, 0o755, dir_fd=fd)
                inner = _open_entry(fd, name)
                if inner is not None and stat.S_ISDIR(os.fstat(inner).st_mode):
                    os.chmod(f"/proc/self/fd/{inner}", 0o755)  # mkdir(2) applies the umask
            if inner is None:
                return None
            mode = os.fstat(inner).st_mode
            if stat.S_ISLNK(mode):
                try:
                    check_link(fd, inner, f"{path}: {name} is a symbolic link, so left alone")
                    target = os.readlink("", dir_fd=inner)
                finally:
                    os.close(inner)
                links += 1
                if links > _MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                parts += [part for part in target.split("/") if part][::-1]
                inner = os.open(
                    "/" if target.startswith("/") else ".",
                    os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC,
                    dir_fd=fd,
                )
            elif not stat.S_ISDIR(mode):
                os.close(inner)
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            os.close(fd)
            fd = inner
        fd, result = -1, fd
        return result
    finally:
        if fd != -1:
            os.close(fd)


def _check_link(directory: int, link: int, words: str) -> None:
    """Raise ``_LeftAlone`` for a link that another user than root may have created."""
    found = os.fstat(directory)
    is_roots = found.st_uid == 0 and os.fstat(link).st_uid == 0
    others_may_replace = found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX
    if not is_roots or others_may_replace:
        raise _LeftAlone(words)


# -- names --------------------------------------------------------------------------


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
