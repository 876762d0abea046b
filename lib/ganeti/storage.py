"""Disks as files: the templates file and sharedfile, and the volumes of simulated nodes.

All files are sparse: they have their full size from the start, and take space on the
file system only as guests write to them.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Protocol

from ganeti import errors, pathutils
from ganeti.constants import DRBD_META_SIZE, DiskTemplate
from ganeti.objects import Cluster, Disk
from ganeti.utils import io
from ganeti.utils.dir_cache import WatchedDirectory
from ganeti.utils.text import describe_os_error

MIB = 1024 * 1024

#: Templates of disks in files. The others are volumes, which only simulated nodes have.
FILE_BASED = frozenset({DiskTemplate.FILE, DiskTemplate.SHARED_FILE})
VOLUMES = frozenset({DiskTemplate.PLAIN, DiskTemplate.DRBD})

#: Errors of open(2) on a file system or kernel without O_TMPFILE.
_NO_TMPFILE = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL})

#: System directories, which must not hold file storage.
FORBIDDEN = frozenset(
    "/ /bin /boot /dev /etc /home /lib /lib32 /lib64 /libx32 /opt /proc /root "
    "/run /sbin /sys /usr /usr/bin /usr/lib /usr/lib32 /usr/lib64 /usr/local "
    "/usr/sbin /usr/share /var /var/lib /var/run /var/tmp /tmp".split()
)


def make_sparse(path: str, size: int) -> None:
    """Create a file of ``size`` MiB; raise ``BlockDeviceError`` if it exists or that fails.

    The file gets its name only when it has its full size, and has no other name before,
    so a crash leaves nothing behind.
    """
    try:
        directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _make_nameless(directory, path, size)
        finally:
            os.close(directory)
    except FileExistsError:
        raise errors.BlockDeviceError(f"A disk already exists at {path}") from None
    except OSError as err:
        raise errors.BlockDeviceError(f"Cannot create the disk {path}: {err.strerror}") from None


def _make_nameless(directory: int, path: str, size: int) -> None:
    """Create the file without a name (O_TMPFILE in open(2)), where possible, then link it."""
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
        # A link, unlike a rename, fails if the name exists. With a directory descriptor
        # Python calls linkat(2) and follows the symbolic link in /proc; otherwise it does not.
        os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=directory)


def _remove(path: str) -> None:
    try:
        io.remove_file(path)
    except OSError as err:
        raise errors.BlockDeviceError(f"Cannot remove the disk {path}: {err.strerror}") from None


def allowed_directories(paths: pathutils.Paths) -> list[str] | None:
    """Return the directories that the administrator's list allows, or None without a list."""
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
    """Raise ``FileStoragePathError`` if disks must not be stored in this directory."""
    if not os.path.isabs(directory) or os.path.normpath(directory) != directory:
        raise errors.FileStoragePathError(
            f"The file storage directory {directory} is not an absolute, normalized path"
        )
    if directory in FORBIDDEN:
        raise errors.FileStoragePathError(
            f"The system directory {directory} cannot be used for file storage"
        )
    allowed = allowed_directories(paths)
    if allowed is None:
        return
    if not any(directory == base or io.is_below(directory, base) for base in allowed):
        raise errors.FileStoragePathError(
            f"{directory} is not listed in {paths.file_storage_paths_file}"
        )


class NodeDisks(Protocol):
    """The disks of one node, wherever it keeps them."""

    def path(self, disk: Disk) -> str: ...

    def create(self, disk: Disk) -> None: ...

    def remove(self, disk: Disk) -> None: ...


class FileDisks:
    """Disks of the templates file and sharedfile, at the path in their logical id."""

    def __init__(self, cluster: Cluster, paths: pathutils.Paths) -> None:
        self._bases = [
            base for base in (cluster.file_storage_dir, cluster.shared_file_storage_dir) if base
        ]
        self._paths = paths

    def path(self, disk: Disk) -> str:
        """Return a disk's path; raise ``FileStoragePathError`` outside the storage directories."""
        path = str(disk.logical_id[1])
        base = self._base(path)
        if os.path.normpath(path) != path or not io.is_below(
            os.path.realpath(path), os.path.realpath(base)
        ):
            raise errors.FileStoragePathError(f"The disk {path} is outside of {base}")
        return path

    def create(self, disk: Disk) -> None:
        """Create a disk, and the directories above it."""
        path = self.path(disk)
        check_directory(self._base(path), self._paths)
        try:
            io.make_directory(os.path.dirname(path), 0o750)
        except OSError as err:
            raise errors.BlockDeviceError(
                f"Cannot create the directory of {path}: {err.strerror}"
            ) from None
        make_sparse(path, disk.size)

    def remove(self, disk: Disk) -> None:
        """Remove a disk if it exists, and the directories above it that become empty."""
        path = self.path(disk)
        _remove(path)
        folder = os.path.dirname(path)
        while folder not in self._bases and io.is_below(folder, self._base(path)):
            try:
                os.rmdir(folder)
            except OSError:
                return
            folder = os.path.dirname(folder)

    def _base(self, path: str) -> str:
        for base in self._bases:
            if io.is_below(path, base):
                return base
        raise errors.FileStoragePathError(
            f"The disk {path} is not in a storage directory of the cluster"
        )


class CountedDisks:
    """Disks of a node whose disk space was given, with an entry for each in ``directory``.

    The entry of a volume is a sparse file with its data. The entry of a file-based disk
    is a symbolic link to the file, so that the disk counts for this node.
    """

    def __init__(self, directory: str, files: FileDisks) -> None:
        self._directory = directory
        self._files = files
        self._used: WatchedDirectory[int] = WatchedDirectory(directory, self._count)

    def path(self, disk: Disk) -> str:
        """Return the path of a disk's data."""
        if disk.dev_type in FILE_BASED:
            return self._files.path(disk)
        return self._entry(disk)

    def create(self, disk: Disk) -> None:
        """Create a disk, or nothing if that fails."""
        try:
            io.make_directory(self._directory, 0o750)
        except OSError as err:
            raise errors.BlockDeviceError(
                f"Cannot create {self._directory}: {err.strerror}"
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
                f"Cannot create {self._entry(disk)}: {err.strerror}"
            ) from None

    def remove(self, disk: Disk) -> None:
        """Remove a disk and its entry, as far as they exist."""
        if disk.dev_type in FILE_BASED:
            self._files.remove(disk)
        _remove(self._entry(disk))

    def used(self) -> int:
        """Return the MiB that all disks take when they are full."""
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
                with contextlib.suppress(OSError):  # it has just been removed
                    size = os.stat(pathutils.inside(self._directory, name)).st_size
                    total += -(-size // MIB)
                    total += DRBD_META_SIZE if name.endswith(DiskTemplate.DRBD) else 0
        return total
