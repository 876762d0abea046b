"""Restoring a backup: a new database in the place of the present one, which is kept.

Since the backup was made jobs have run, and ids were given. So whatever had not ended
in it ends in error, and ids go on above the highest one that is known of; where it is
not known, far above.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

from ganeti import (
    bootstrap,
    certificate,
    layout,
    objects,
    other_ganeti,
    pathutils,
    storage,
)
from ganeti.db import files, schema
from ganeti.db.store import Store
from ganeti.jqueue import id_gaps, rows
from ganeti.jqueue.job import Moment
from ganeti.layout import Owners
from ganeti.maintenance import backup, check, encrypted_secrets, wal
from ganeti.maintenance.backup import BackupError, Contents
from ganeti.utils import io, ownership

#: How far ids are raised when it is not known which ones were given since the backup.
AHEAD = 1_000_000

#: What a job says that had not ended when the backup was made.
RESTORED = "restored from a backup; whether it ran since is not known; it was not run again"


@dataclass(frozen=True)
class RestoredSecrets:
    """How to get them: ``key`` is a copy of the key that encrypted them; or go on ``without``."""

    key: str | None = None
    without: bool = False


@dataclass
class Restored:
    """What was done, for people."""

    contents: Contents
    made: int | None = None  # when the backup was, seconds since the epoch
    kept: str | None = None  # where the database before it is
    ended: Sequence[int] = ()  # jobs that were not finished
    last: int = 0  # ids go on above this one
    guessed: bool = False  # it is not known which ids were given since
    lacking: Sequence[str] = ()  # instances without their private parameters
    master: str = ""  # name of the master's node


class _PresentState(NamedTuple):
    """What the present database tells of the time since the backup."""

    cluster: str
    last: int
    served: int


def restore(
    paths: pathutils.Paths,
    source: str,
    *,
    secrets: RestoredSecrets = RestoredSecrets(),
    owners: Owners = Owners(),
    clock: Callable[[], float] = time.time,
) -> Restored:
    """Make the backup ``source`` this machine's database; ``BackupError`` says why not."""
    sign = other_ganeti.find(paths)
    if sign is not None:
        raise BackupError(sign.refusal(other_ganeti.SERVE_IT))
    if not os.path.isfile(source):
        raise BackupError(f"there is no file {source}")
    with backup.as_backup_error(source):
        owners = _owners(paths, owners)
        io.make_directory(paths.lib_dir, 0o755, owners.master, owners.group)
        with _lock(paths, owners):
            files.finish_install(paths)
            files.discard(paths.unfinished_db)
            try:
                files.copy(source, paths.unfinished_db)
                result = _prepare(paths, source, secrets, owners, clock())
                result.kept = _keep(paths, clock())
                _set_owners(owners, paths.unfinished_db, result.kept)
                files.install(paths)
            finally:
                files.discard(paths.unfinished_db)
    return result


def _owners(paths: pathutils.Paths, owners: Owners) -> Owners:
    """The files belong to whom the present ones belong to."""
    if not os.path.exists(paths.master_db):
        return owners
    found = os.stat(paths.master_db)
    return Owners(found.st_uid, owners.rapi, found.st_gid)


def _set_owners(owners: Owners, *databases: str | None) -> None:
    """Set owners of new databases, safely: the directory may belong to the master's user."""
    report = ownership.apply(
        [entry for path in databases if path is not None for entry in layout.database(path, owners)]
    )
    if report.odd:
        raise BackupError(report.odd[0])


@contextlib.contextmanager
def _lock(paths: pathutils.Paths, owners: Owners) -> Iterator[None]:
    """Keep masters away meanwhile; ``BackupError`` when one works."""
    try:
        fd = io.lock_file(paths.master_lock)
    except BlockingIOError:
        raise BackupError("ganeti-masterd is running; stop it first") from None
    try:
        os.fchown(fd, owners.master, owners.group)
        yield
    finally:
        os.close(fd)


def _prepare(
    paths: pathutils.Paths, source: str, secrets: RestoredSecrets, owners: Owners, now: float
) -> Restored:
    """Make of the copy what a master can work with."""
    with contextlib.closing(sqlite3.connect(paths.unfinished_db, isolation_level=None)) as copy:
        files.prepare(copy)
        lacking = _check_backup(copy, source, secrets, paths)
        made = backup.load_value(copy, backup.MADE)
        copy.execute("DELETE FROM cluster_value WHERE name LIKE 'backup.%'")
        found = check.load_objects(copy)
        result = Restored(backup.contents(copy), made, lacking=lacking)
    cluster = cast(objects.Cluster, found["cluster"][0])
    store = Store.open(paths.unfinished_db)
    try:
        _end_unfinished_jobs(store, _read_present(paths), cluster.uuid, now, result)
    finally:
        store.close()
    result.master = _master_name(found)
    _make_directories(
        paths, cluster, result.master, cast(list[objects.Node], found["node"]), owners
    )
    return result


def _master_name(found: dict[str, list[objects.ConfigObject]]) -> str:
    """Return the name of the master's node."""
    cluster = cast(objects.Cluster, found["cluster"][0])
    return next(
        node.name
        for node in cast(list[objects.Node], found["node"])
        if node.uuid == cluster.master_node
    )


def _check_backup(
    copy: sqlite3.Connection, source: str, secrets: RestoredSecrets, paths: pathutils.Paths
) -> list[str]:
    """Is the backup whole? Afterwards it has this program's schema, and its secrets.

    Answers the names of instances that lack their private parameters.
    """
    damage = check.check_structure(copy)
    if not damage:
        backup.check_mark(copy, source, backup.APPLICATION_ID, schema.APPLICATION_ID)
        (version,) = copy.execute("PRAGMA user_version").fetchone()
        if version != schema.VERSION:
            schema.upgrade(copy, version)
        damage = check.full(copy)
    if damage:
        raise BackupError(f"{source} is damaged and was not restored: {damage[0]}")
    (mark,) = copy.execute("PRAGMA application_id").fetchone()
    copy.execute(f"PRAGMA application_id={schema.APPLICATION_ID}")
    return _restore_secrets(copy, secrets, paths) if mark == backup.APPLICATION_ID else []


def _restore_secrets(
    copy: sqlite3.Connection, secrets: RestoredSecrets, paths: pathutils.Paths
) -> list[str]:
    private, some = encrypted_secrets.owners(copy)
    if secrets.without:
        encrypted_secrets.discard(copy)
        return private
    try:
        if some:
            encrypted = backup.load_value(copy, backup.ENCRYPTED) or {}
            encrypted_secrets.put_back(
                copy, encrypted_secrets.decrypt(encrypted, secrets.key or paths.backup_key)
            )
    except encrypted_secrets.WrongKey as err:
        raise BackupError(
            f"{err}; without the right key (--key FILE) the secrets of these instances are "
            f"lost: {', '.join(some)}; --without-secrets goes on without them"
        ) from None
    return []


def _read_present(paths: pathutils.Paths) -> _PresentState | None:
    """What the present database tells; None when there is none, or it cannot be believed."""
    if not os.path.exists(paths.master_db):
        return None
    try:
        if wal.find_problem(paths.master_db) is not None:
            return None
        with contextlib.closing(files.connect(paths.master_db)) as connection:
            if check.cheap(connection):
                return None
            found = check.load_objects(connection)
            return _PresentState(
                found["cluster"][0].uuid, rows.last_id(connection), rows.service_seconds(connection)
            )
    except (*files.UNREADABLE, files.NotSafe, OSError):
        return None


def _end_unfinished_jobs(
    store: Store, before: _PresentState | None, cluster: str, now: float, result: Restored
) -> None:
    """End what had not ended; raise ids and time of service above what was used up since."""
    unfinished = rows.load_live(store)

    def change(connection: sqlite3.Connection) -> None:
        served = rows.service_seconds(connection)
        last = rows.last_id(connection)
        if before is not None:
            last = max(last, before.last)
        result.guessed = before is None or before.cluster != cluster
        if result.guessed:
            last += AHEAD
        elif before is not None:
            served = max(served, before.served)
        id_gaps.skip_to(connection, last)
        rows.set_value(connection, "served", served)
        for job in unfinished:
            job.give_up(RESTORED, Moment(now, served))
            rows.replace(connection, job)
        result.last = last
        result.ended = [job.id for job in unfinished]

    store.write(change).result()


def _make_directories(
    paths: pathutils.Paths,
    cluster: objects.Cluster,
    master: str,
    nodes: list[objects.Node],
    owners: Owners,
) -> None:
    """What a cluster has besides its database: on a machine that has none yet, all of it."""
    storage.check_directory(cluster.file_storage_dir, paths)
    if not os.path.exists(paths.master_db):
        bootstrap.make_directories(paths, owners, cluster.file_storage_dir, nodes)
        if not os.path.lexists(paths.rapi_cert):
            certificate.make(paths, [cluster.name, master], owners)
    else:
        io.make_directory(cluster.file_storage_dir, 0o750, owners.master, owners.group)


def _keep(paths: pathutils.Paths, now: float) -> str | None:
    """Copy what is there now under another name; nothing of it is opened."""
    if not os.path.exists(paths.master_db) and not files.has_log(paths.master_db):
        return None
    kept = files.free_kept_name(paths, "before-restore", now)
    files.copy(paths.master_db, kept)
    return kept
