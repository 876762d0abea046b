"""Restore of a backup: it becomes the database, and the present database is kept.

Jobs have run and ids were given since the backup was made. So the jobs that are unfinished in
it end in error, and new ids start above the highest id in use, or far above the backup's if the
highest one is not known.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ganeti import (
    bootstrap,
    certificate,
    layout,
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

#: How many job ids are skipped if it is not known which ones were given since the backup.
AHEAD = 1_000_000

#: The error of a job that was unfinished when the backup was made.
RESTORED = "restored from a backup; this job may have run since, and is not run again"


@dataclass(frozen=True)
class RestoredSecrets:
    """The source of the secrets: ``key`` is a copy of the key that encrypted them.

    None means this machine's key. ``without`` restores the cluster without its secrets.
    """

    key: str | None = None
    without: bool = False


@dataclass
class Restored:
    """The result of a restore, for the administrator."""

    contents: Contents
    made: int | None = None  # time of the backup, in seconds since the epoch
    kept: str | None = None  # path of the database before the restore
    ended: Sequence[int] = ()  # ids of unfinished jobs
    last: int = 0  # the job counter: new ids are above it
    guessed: bool = False  # it is not known which ids were given since the backup
    lacking: Sequence[str] = ()  # instances that lose their private OS parameters
    master: str = ""  # name of the master node


class _PresentState(NamedTuple):
    """Facts from the present database: uuid of the cluster, job counter, seconds of service."""

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
    """Make the backup ``source`` this machine's database, and return what was done.

    ``BackupError`` on a real Ganeti, while a master runs, if the backup is damaged, and if its
    secrets cannot be decrypted; nothing is changed then.
    """
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
    """Return the owners of the present files, if there are any, instead of ``owners``."""
    if not os.path.exists(paths.master_db):
        return owners
    found = os.stat(paths.master_db)
    return Owners(found.st_uid, owners.rapi, found.st_gid)


def _set_owners(owners: Owners, *databases: str | None) -> None:
    """Set the owners of new databases; ``BackupError`` if that is not safe.

    The master's user may own the directory, and could have put links there.
    """
    report = ownership.apply(
        [entry for path in databases if path is not None for entry in layout.database(path, owners)]
    )
    if report.odd:
        raise BackupError(report.odd[0])


@contextlib.contextmanager
def _lock(paths: pathutils.Paths, owners: Owners) -> Iterator[None]:
    """Hold the master's lock to prevent a start; ``BackupError`` if a master runs."""
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
    """Turn the copy of the backup into a database that a master can open."""
    with contextlib.closing(sqlite3.connect(paths.unfinished_db, isolation_level=None)) as copy:
        files.prepare(copy)
        lacking = _check_backup(copy, source, secrets, paths)
        made = backup.load_value(copy, backup.MADE)
        copy.execute("DELETE FROM cluster_value WHERE name LIKE 'backup.%'")
        found = check.load_objects(copy)
        result = Restored(backup.contents(copy), made, lacking=lacking)
    store = Store.open(paths.unfinished_db)
    try:
        present = _read_present(paths)
        _end_unfinished_jobs(store, present, found.clusters[0].uuid, now, result)
    finally:
        store.close()
    result.master = found.master_name
    _make_directories(paths, found, owners)
    return result


def _check_backup(
    copy: sqlite3.Connection, source: str, secrets: RestoredSecrets, paths: pathutils.Paths
) -> list[str]:
    """Check the copy, upgrade it to the current schema and put its secrets back.

    Return the names of the instances that lose their private OS parameters. ``BackupError`` if
    the copy is damaged or the secrets cannot be decrypted.
    """
    _refuse_damage(source, check.check_structure(copy))
    application_id, version = backup.check_identity(
        copy, source, backup.APPLICATION_ID, schema.APPLICATION_ID
    )
    if version != schema.VERSION:
        schema.upgrade(copy, version)
    _refuse_damage(source, check.full(copy))
    copy.execute(f"PRAGMA application_id={schema.APPLICATION_ID}")
    if application_id == schema.APPLICATION_ID:
        return []  # a kept copy of a database, whose secrets are in clear
    return _restore_secrets(copy, secrets, paths)


def _refuse_damage(source: str, damage: list[str]) -> None:
    if damage:
        raise BackupError(f"{source} is damaged and was not restored: {damage[0]}")


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
            f"lost: {', '.join(some)}; --without-secrets restores the cluster without them"
        ) from None
    return []


def _read_present(paths: pathutils.Paths) -> _PresentState | None:
    """Return the facts from the present database; None if it is missing or damaged."""
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
                found.clusters[0].uuid, rows.last_id(connection), rows.service_seconds(connection)
            )
    except (*files.UNREADABLE, files.NotSafe, OSError):
        return None


def _end_unfinished_jobs(
    store: Store, before: _PresentState | None, cluster: str, now: float, result: Restored
) -> None:
    """End the unfinished jobs; raise the job counter and the time of service to the present ones.

    Both must never go back, and neither is known if the present database is of another cluster.
    """
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


def _make_directories(paths: pathutils.Paths, found: check.StoredObjects, owners: Owners) -> None:
    """Make the storage directory; on a machine without a cluster everything but the database."""
    cluster = found.clusters[0]
    storage.check_directory(cluster.file_storage_dir, paths)
    if not os.path.exists(paths.master_db):
        bootstrap.make_directories(paths, owners, cluster.file_storage_dir, found.nodes)
        if not os.path.lexists(paths.rapi_cert):
            certificate.make(paths, [cluster.name, found.master_name], owners)
    else:
        io.make_directory(cluster.file_storage_dir, 0o750, owners.master, owners.group)


def _keep(paths: pathutils.Paths, now: float) -> str | None:
    """Copy the present database, which may be damaged and so is not opened; return the name."""
    if not os.path.exists(paths.master_db) and not files.has_log(paths.master_db):
        return None
    kept = files.free_kept_name(paths, "before-restore", now)
    files.copy(paths.master_db, kept)
    return kept
