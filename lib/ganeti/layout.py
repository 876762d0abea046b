"""Directories and files of a cluster on this machine, with their owners and modes.

The modes are Ganeti 3.0's. Creating or restoring a cluster makes the directories;
``ganeti-cluster ensure-dirs`` sets all owners and modes again. ``utils.ownership`` applies what is
listed here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ganeti import daemon, objects, pathutils, ssconf
from ganeti.utils.ownership import OwnedPath

#: First bytes of a database and of its log (SQLite's file format, sections 1.3 and 4.1).
SQLITE = (b"SQLite format 3\0", b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")

#: A database that was replaced and kept, or its log: master.db.damaged-20260131-120000.
_KEPT = re.compile(r"master\.db\.[a-z-]+-[0-9]{8}-[0-9]{6}(?:-[0-9]+)?(?:-wal)?", re.ASCII)


@dataclass(frozen=True)
class Owners:
    """Uids of the daemons' users, and the gid of their group; -1 leaves an owner unchanged."""

    master: int = -1
    rapi: int = -1
    group: int = -1


def directories(
    paths: pathutils.Paths,
    owners: Owners,
    file_storage_dir: str,
    nodes: Sequence[objects.Node] = (),
) -> Iterator[OwnedPath]:
    """Yield the directories that a cluster needs, which are made where they are missing.

    An existing directory for disks that the administrator has chosen keeps its owner and mode.
    """

    def directory(
        path: str,
        mode: int,
        uid: int = owners.master,
        distrusted: int = owners.rapi,
    ) -> OwnedPath:
        return OwnedPath(
            path, mode, uid, owners.group, directory=True, make=True, distrusted=distrusted
        )

    yield directory(paths.lib_dir, 0o755)
    yield directory(paths.rapi_dir, 0o750, owners.rapi, -1)
    yield directory(paths.log_dir, 0o770)
    yield directory(paths.os_log_dir, 0o750)
    for path, mode in daemon.run_directories(paths):
        yield directory(path, mode)
    yield directory(paths.fake_hypervisor_dir, 0o750)
    yield directory(paths.simulated_nodes_dir, 0o750)
    for node in nodes:
        if node.simulated:
            yield directory(paths.simulated_node(node.name), 0o750)
    if file_storage_dir == paths.file_storage_dir or not os.path.isdir(file_storage_dir):
        yield directory(file_storage_dir, 0o750)


def database(path: str, owners: Owners) -> Iterator[OwnedPath]:
    """Yield a database, its log and the log's index."""
    for suffix in ("", "-wal", "-shm"):
        yield OwnedPath(
            path + suffix, 0o600, owners.master, owners.group, private=True, distrusted=owners.rapi
        )


def files(paths: pathutils.Paths, owners: Owners) -> Iterator[OwnedPath]:
    """Yield the files of a cluster and the directories with their contents, as far as they
    exist."""
    group = owners.group

    def of_master(
        path: str, mode: int = 0o600, *, private: bool = True, magic: tuple[bytes, ...] = ()
    ) -> OwnedPath:
        return OwnedPath(
            path, mode, owners.master, group, private=private, magic=magic, distrusted=owners.rapi
        )

    def tree(path: str, mode: int, *, links: bool = False) -> OwnedPath:
        return OwnedPath(
            path,
            0o750,
            owners.master,
            group,
            directory=True,
            files=mode,
            links=links,
            distrusted=owners.rapi,
        )

    for path in (paths.master_db, paths.next_db, paths.unfinished_db, paths.work_db):
        yield from database(path, owners)
    for name in _names(paths.lib_dir):
        if _KEPT.fullmatch(name):
            yield of_master(pathutils.inside(paths.lib_dir, name), magic=SQLITE)
        elif name.startswith("ssconf_"):
            yield of_master(pathutils.inside(paths.lib_dir, name), ssconf.MODE, private=False)
    for path in (paths.master_lock, paths.backup_key, paths.damage_mark):
        yield of_master(path)
    yield OwnedPath(paths.rapi_cert, 0o600, owners.rapi, group, private=True)
    for path in paths.users_files:
        yield OwnedPath(path, 0o640, owners.rapi, group, private=True)
    yield of_master(paths.master_log, 0o640)
    # Either daemon may replace the other's files in the log directory.
    yield OwnedPath(
        paths.rapi_log, 0o640, owners.rapi, group, private=True, distrusted=owners.master
    )
    yield tree(paths.fake_hypervisor_dir, 0o644)
    yield tree(paths.simulated_nodes_dir, 0o644)
    # A link in there stands for a disk of the template file, which is elsewhere.
    yield tree(paths.disks_dir, 0o600, links=True)
    yield tree(paths.file_storage_dir, 0o600)


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
