"""Gives files and directories their owners and modes, as root, where others may rename them.

Theory. The directories belong to the daemons' users, who may put links there, exchange
entries at any moment, and would gain a file of somebody else if root gave it to them by its
name. So:

    every path is walked from / on with openat(2); a link is followed only out of a directory
    that root alone can write to
    what is changed is the open descriptor, after a look at it, never a name
    a link, a file with further hard links, and what is neither file nor directory stay as
    they are
    what belongs to a user whom the entry distrusts stays as it is: another daemon's user,
    whose file could have been moved here

What was left alone is reported, for an administrator to look at.
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

#: Links on the way to one path; the kernel follows 40.
_MAX_LINKS = 40
#: Levels of directories in which a tree is followed.
_MAX_DEPTH = 16


@dataclass(frozen=True)
class OwnedPath:
    """A file or directory with the owner and mode that it shall have; -1 leaves the owner.

    A ``private`` file may be closed more tightly than ``mode`` says, for group and others.
    """

    path: str
    mode: int
    uid: int = -1
    gid: int = -1
    directory: bool = False
    #: A directory that is missing is made, with parents that everybody may pass.
    make: bool = False
    private: bool = False
    #: Mode of the files in a directory, at any depth; its directories get ``mode``.
    files: int | None = None
    #: Links in a tree are left alone without a word.
    links: bool = False
    #: What belongs to this user is not given away.
    distrusted: int = -1
    #: Bytes that a file must begin with; another file is left alone without a word.
    magic: tuple[bytes, ...] = ()


@dataclass
class OwnershipReport:
    """What was changed, and what was left alone: a line each."""

    changed: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)


class _LeftAlone(Exception):
    """Something is not as it should be, in words; it stays as it is."""


def apply(entries: Sequence[OwnedPath], *, dry_run: bool = False) -> OwnershipReport:
    """Set owners and modes; with ``dry_run`` only report. Raises ``OSError`` of the system."""
    report = OwnershipReport()
    for entry in entries:
        try:
            with _parent(entry, dry_run) as parent:
                if parent is not None:
                    _EntryApplier(entry, report, dry_run).apply(
                        parent, os.path.basename(entry.path), entry.path
                    )
                elif entry.make:  # below one that is only to be made
                    report.changed.append(_made(entry))
        except _LeftAlone as err:
            report.odd.append(str(err))
        except OSError as err:  # of a descriptor, whose number tells nobody anything
            raise OSError(err.errno, err.strerror, entry.path) from None
    return report


class _EntryApplier:
    """One entry of the table being applied."""

    def __init__(self, entry: OwnedPath, report: OwnershipReport, dry_run: bool) -> None:
        self._entry = entry
        self._report = report
        self._dry_run = dry_run

    def apply(self, parent: int, name: str, path: str) -> None:
        """Apply the entry itself, then what is in it."""
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
            os.close(fd)  # an administrator may have moved it to another disk
            fd = _walk(path, False, _checker(entry))
        if fd is None:
            raise _LeftAlone(f"{path}: a symbolic link that leads nowhere, so left alone")
        try:
            changes = len(self._report.changed)
            self._apply_to(fd, path, entry.directory, entry.mode, entry.private)
            if made:  # its line says all of it
                del self._report.changed[changes:]
            if entry.files is not None:
                self._apply_to_tree(fd, path, 0)
        finally:
            os.close(fd)

    def _apply_to_tree(self, fd: int, path: str, depth: int) -> None:
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
                assert self._entry.files is not None
                self._apply_to(
                    inner,
                    below,
                    directory,
                    self._entry.mode if directory else self._entry.files,
                    not directory,
                )
                if directory:
                    self._apply_to_tree(inner, below, depth + 1)
            except _LeftAlone as err:
                self._report.odd.append(str(err))
            finally:
                os.close(inner)

    def _apply_to(self, fd: int, path: str, directory: bool, mode: int, private: bool) -> None:
        """Give an open file or directory its owner and mode; ``_LeftAlone`` if that is unsafe."""
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
            if not self._dry_run:  # also where it was right: chown(2) takes bits away
                os.chmod(f"/proc/self/fd/{fd}", after)


def _made(entry: OwnedPath) -> str:
    return f"{entry.path}: made, mode {entry.mode:04o}"


def _open_entry(parent: int, name: str) -> int | None:
    """Open an entry itself, whatever it is, without a right to read it; None if it is missing."""
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
    """Open the directory that holds an entry; None where that is missing and not made."""
    fd = _walk(os.path.dirname(entry.path), entry.make and not dry_run, _checker(entry))
    try:
        yield fd
    finally:
        if fd is not None:
            os.close(fd)


def _checker(entry: OwnedPath) -> Callable[[int, int, str], None]:
    """Links matter only where something is given away."""
    return _check_link if (entry.uid, entry.gid) != (-1, -1) else lambda *_: None


def _walk(path: str, make: bool, check_link: Callable[[int, int, str], None]) -> int | None:
    """Open a directory from / on; ``check_link(directory, link, words)`` may refuse a link."""
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
                    os.chmod(f"/proc/self/fd/{inner}", 0o755)  # whatever the umask is
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
    """Refuse a link that somebody other than root can have made."""
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
