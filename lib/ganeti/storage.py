"""Disks as files: the templates file and sharedfile, and the volumes of simulated nodes.

All of them are sparse: they have their size from the first moment and take
space as they are written to.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Protocol

from ganeti import errors, pathutils
from ganeti.constants import DiskTemplate
from ganeti.objects import Cluster, Disk
from ganeti.utils import io
from ganeti.utils.dir_cache import WatchedDirectory
from ganeti.utils.text import describe_os_error

MIB = 1024 * 1024

#: MiB that DRBD keeps for its own records beside each disk (Ganeti: 128).
DRBD_META_SIZE = 128

#: Kept in files; the others are volumes, which only simulated nodes have.
FILE_BASED = frozenset({DiskTemplate.FILE, DiskTemplate.SHARED_FILE})
VOLUMES = frozenset({DiskTemplate.PLAIN, DiskTemplate.DRBD})

#: What open(2) says of O_TMPFILE on a file system or kernel that does not know it.
_NO_TMPFILE = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL})

#: Directories of the system: file storage in one of them would be an accident.
FORBIDDEN = frozenset(
    "/ /bin /boot /dev /etc /home /lib /lib32 /lib64 /libx32 /opt /proc /root "
    "/run /sbin /sys /usr /usr/bin /usr/lib /usr/lib32 /usr/lib64 /usr/local "
    "/usr/sbin /usr/share /var /var/lib /var/run /var/tmp /tmp".split()
)


def make_sparse(path: str, size: int) -> None:
    """A new file of ``size`` MiB; ``BlockDeviceError`` when it exists or cannot be made.

    It appears under its name with its whole size, or not at all, and has no
    other name before: a crash leaves nothing behind.
    """
    try:
        directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _make_nameless(directory, path, size)
        finally:
            os.close(directory)
    except FileExistsError:
        raise errors.BlockDeviceError(f"There is a disk at {path} already") from None
    except OSError as err:
        raise errors.BlockDeviceError(f"Cannot make the disk {path}: {err.strerror}") from None


def _make_nameless(directory: int, path: str, size: int) -> None:
    """open(2), O_TMPFILE; file systems that have it not get the name first."""
    try:
        fd = os.open(".", os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600, dir_fd=directory)
    except OSError as err:
        if err.errno not in _NO_TMPFILE:
            raise
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(fd, "wb") as file:
                file.truncate(size * MIB)
        except OSError:
            os.unlink(path)
            raise
        return
    with open(fd, "wb") as file:
        file.truncate(size * MIB)
        # Unlike a rename, a link fails if there is one. The descriptor of a folder has
        # Python follow the symbolic link, which the plain call does not.
        os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=directory)


def _remove(path: str) -> None:
    try:
        io.remove_file(path)
    except OSError as err:
        raise errors.BlockDeviceError(f"Cannot remove the disk {path}: {err.strerror}") from None


def allowed_directories(paths: pathutils.Paths) -> list[str] | None:
    """What the administrator's list allows, one absolute directory a line; None without a list."""
    try:
        with open(paths.file_storage_paths_file, encoding="utf-8") as file:
            lines = [line.strip() for line in file]
    except FileNotFoundError:
        return None
    except OSError as err:
        raise errors.FileStoragePathError(f"Cannot read {describe_os_error(err)}") from None
    except UnicodeDecodeError as err:
        raise errors.FileStoragePathError(
            f"Cannot read {paths.file_storage_paths_file}: {err}"
        ) from None
    return [os.path.normpath(line) for line in lines if line.startswith("/")]


def check_directory(directory: str, paths: pathutils.Paths) -> None:
    """``FileStoragePathError`` when disks may not be kept here."""
    if not os.path.isabs(directory) or os.path.normpath(directory) != directory:
        raise errors.FileStoragePathError(
            f"The file storage directory {directory} is no absolute, normalized path"
        )
    if directory in FORBIDDEN:
        raise errors.FileStoragePathError(f"{directory} is no place for file storage")
    allowed = allowed_directories(paths)
    if allowed is None:
        return
    if not any(directory == base or pathutils.is_below(directory, base) for base in allowed):
        raise errors.FileStoragePathError(
            f"{directory} is not among the directories of {paths.file_storage_paths_file}"
        )


class NodeDisks(Protocol):
    """Disks of one node."""

    def path(self, disk: Disk) -> str: ...

    def create(self, disk: Disk) -> None: ...

    def remove(self, disk: Disk) -> None: ...


class FileDisks:
    """Disks of the templates file and sharedfile, at the path that each one names."""

    def __init__(self, cluster: Cluster, paths: pathutils.Paths) -> None:
        self._bases = [
            base for base in (cluster.file_storage_dir, cluster.shared_file_storage_dir) if base
        ]
        self._paths = paths

    def path(self, disk: Disk) -> str:
        """Where a disk is; ``FileStoragePathError`` when it may not be there."""
        path = str(disk.logical_id[1])
        base = self._base(path)
        if os.path.normpath(path) != path or not pathutils.is_below(
            os.path.realpath(path), os.path.realpath(base)
        ):
            raise errors.FileStoragePathError(f"The disk {path} leads out of {base}")
        return path

    def create(self, disk: Disk) -> None:
        """Make a disk, and the folders on the way to it."""
        path = self.path(disk)
        check_directory(self._base(path), self._paths)
        try:
            io.make_directory(os.path.dirname(path), 0o750)
        except OSError as err:
            raise errors.BlockDeviceError(
                f"Cannot make the folder of {path}: {err.strerror}"
            ) from None
        make_sparse(path, disk.size)

    def remove(self, disk: Disk) -> None:
        """Remove a disk, and its folders as far as they are empty; none there is fine."""
        path = self.path(disk)
        _remove(path)
        folder = os.path.dirname(path)
        while folder not in self._bases and pathutils.is_below(folder, self._base(path)):
            try:
                os.rmdir(folder)
            except OSError:
                return
            folder = os.path.dirname(folder)

    def _base(self, path: str) -> str:
        for base in self._bases:
            if pathutils.is_below(path, base):
                return base
        raise errors.FileStoragePathError(
            f"The disk {path} is in no storage directory of the cluster"
        )


class CountedDisks:
    """Disks of a node whose space is a given figure: an entry each below ``directory``.

    A volume is a sparse file there. A disk of a file template is where its path
    says, as everywhere, and a link here counts it for this node.
    """

    def __init__(self, directory: str, files: FileDisks) -> None:
        self._directory = directory
        self._files = files
        self._used: WatchedDirectory[int] = WatchedDirectory(directory, self._count)

    def path(self, disk: Disk) -> str:
        """Where a disk's data is."""
        if disk.dev_type in FILE_BASED:
            return self._files.path(disk)
        return self._entry(disk)

    def create(self, disk: Disk) -> None:
        """Make a disk; what was made of it is gone again when that fails."""
        try:
            io.make_directory(self._directory, 0o750)
        except OSError as err:
            raise errors.BlockDeviceError(
                f"Cannot make {self._directory}: {err.strerror}"
            ) from None
        if disk.dev_type not in FILE_BASED:
            make_sparse(self._entry(disk), disk.size)
            return
        self._files.create(disk)
        try:
            os.symlink(self._files.path(disk), self._entry(disk))
        except OSError as err:
            self._files.remove(disk)
            raise errors.BlockDeviceError(
                f"Cannot make {self._entry(disk)}: {err.strerror}"
            ) from None

    def remove(self, disk: Disk) -> None:
        """Remove a disk; none there is fine."""
        if disk.dev_type in FILE_BASED:
            self._files.remove(disk)
        _remove(self._entry(disk))

    def used(self) -> int:
        """MiB that the disks take, as large as they may grow."""
        try:
            return self._used.value()
        except OSError as err:
            raise errors.BlockDeviceError(
                f"Cannot read {self._directory}: {err.strerror}"
            ) from None

    def _entry(self, disk: Disk) -> str:
        return pathutils.inside(self._directory, f"{disk.uuid}.{disk.dev_type}")

    def _count(self, names: list[str]) -> int:
        total = 0
        for name in names:
            if not name.startswith("."):
                with contextlib.suppress(OSError):  # removed just now
                    size = os.stat(pathutils.inside(self._directory, name)).st_size
                    total += -(-size // MIB)
                    total += DRBD_META_SIZE if name.endswith(DiskTemplate.DRBD) else 0
        return total
