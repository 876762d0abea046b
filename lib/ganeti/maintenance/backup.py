"""Backups: a consistent copy of the database in one file, without secrets in clear.

A backup is made while the master works. SQLite copies a snapshot into an unnamed temporary
file; secrets are removed there, and the rest is written to the target by ``VACUUM INTO``, which
leaves no deleted data in it. The secrets of instances are included in encrypted form, under a
key that stays on this machine (``encrypted_secrets``).

A backup does not know what happened after it was made. So unfinished jobs that are restored
from it never run, and job ids are not reused.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ganeti import errors, opcodes, pathutils, serializer
from ganeti.db import files, schema
from ganeti.jqueue import rows
from ganeti.maintenance import check, encrypted_secrets, wal
from ganeti.utils import io
from ganeti.utils.text import describe_os_error

#: "gntb", unlike the database's "gnti": no master opens a backup.
APPLICATION_ID = 0x676E7462
#: Pages copied in one step (a megabyte), and the pause between steps in seconds.
PAGES, PAUSE = 256, 0.002

#: Rows of opcodes that have not ended: these hold the secrets with which they were submitted.
_UNFINISHED = f"SELECT {schema.columns('job_op')} FROM job_op WHERE {rows.IS_UNFINISHED}"
#: Names in ``cluster_value``: the time when a backup was made, and its encrypted secrets.
MADE, ENCRYPTED = "backup.made", "backup.sealed"


class BackupError(errors.Error):
    """A backup cannot be made or restored; the message is for the administrator."""


@dataclass(frozen=True)
class Contents:
    """The contents of a database in numbers; ``encrypted`` counts instances with secrets."""

    cluster: str
    nodes: int
    instances: int
    jobs: int
    encrypted: int = 0

    def __str__(self) -> str:
        """Return a description such as ``the cluster NAME: 1 node, 2 instances, 3 jobs``."""
        counts = ((self.nodes, "node"), (self.instances, "instance"), (self.jobs, "job"))
        words = [f"1 {noun}" if number == 1 else f"{number} {noun}s" for number, noun in counts]
        return f"the cluster {self.cluster}: {', '.join(words)}"


def contents(connection: sqlite3.Connection, encrypted: int = 0) -> Contents:
    """Count the contents of an open database."""

    def count(table: str, where: str = "1") -> int:
        return int(connection.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0])

    (name,) = connection.execute(
        "SELECT name FROM cluster_object WHERE kind = 'cluster'"
    ).fetchone()
    return Contents(
        name,
        count("cluster_object", "kind = 'node'"),
        count("cluster_object", "kind = 'instance'"),
        count("job_job"),
        encrypted,
    )


def create(
    paths: pathutils.Paths,
    target: str,
    *,
    force: bool = False,
    clock: Callable[[], float] = time.time,
) -> Contents:
    """Write a backup to the file ``target``, and return what it contains.

    ``BackupError`` if there is no cluster, if the database is damaged, if ``target`` exists
    (unless ``force``) or if it cannot be written.
    """
    _check_target(paths, target, force)
    with as_backup_error(paths.master_db):
        copy = _copy(paths)
    with as_backup_error(target), contextlib.closing(copy) as connection:
        encrypted = _scrub(connection, paths, clock())
        unfinished = pathutils.beside(target, "unfinished")
        try:
            os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            connection.execute("VACUUM INTO ?", (unfinished,))
            with contextlib.closing(files.connect(unfinished)) as written:
                damage = check.full(written)
                if damage:
                    raise BackupError(
                        f"{paths.master_db} is damaged and was not backed up: {damage[0]}"
                    )
                found = contents(written, encrypted)
            _check_target(paths, target, force)
            io.replace_file(unfinished, target)
        finally:
            io.remove_file(unfinished)
    return found


def store_value(connection: sqlite3.Connection, name: str, value: object) -> None:
    """Store a fact about a backup in it, as JSON."""
    schema.store_value(connection, name, serializer.dumps(value))


def load_value(connection: sqlite3.Connection, name: str) -> Any:
    """Return a fact that ``store_value`` has stored in a backup; None if there is none."""
    text = schema.stored_value(connection, name)
    return None if text is None else serializer.loads_lenient(text.encode())


def _check_target(paths: pathutils.Paths, target: str, force: bool) -> None:
    if target == "-" or os.path.isdir(target):
        raise BackupError(f"{target} is not the name of a file")
    if os.path.realpath(target).startswith(os.path.realpath(paths.master_db)):
        raise BackupError(f"{target} is the cluster's own database")
    if os.path.lexists(target) and not force:
        raise BackupError(f"{target} already exists (--force replaces it)")


@contextlib.contextmanager
def as_backup_error(path: str) -> Iterator[None]:
    """Turn errors of files, databases and openssl into ``BackupError``."""
    try:
        yield
    except files.UNREADABLE as err:
        raise BackupError(f"{path}: {err}") from None
    except OSError as err:
        words = describe_os_error(err)
        raise BackupError(words if err.filename else f"{path}: {words}") from None
    except errors.GenericError as err:
        raise BackupError(str(err)) from None


def _copy(paths: pathutils.Paths) -> sqlite3.Connection:
    """Return a snapshot of the database in a temporary file, upgraded to the current schema."""
    if os.path.exists(paths.next_db):
        raise BackupError("a restore was interrupted; ganeti-masterd completes it when it starts")
    refusal = check.no_cluster(paths)
    if refusal is not None:
        raise BackupError(refusal)
    files.check_readable(paths.master_db)
    _check_log(paths)
    copy = sqlite3.connect("", isolation_level=None)
    with contextlib.closing(files.connect(paths.master_db)) as source:
        _, version = check_identity(source, paths.master_db, schema.APPLICATION_ID)
        # The read transaction pins a snapshot. Without it SQLite restarts the copy after each
        # change, and beside a busy master it would never end.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM cluster_value").fetchone()
        source.backup(copy, pages=PAGES, sleep=PAUSE)
    files.prepare(copy)
    if version != schema.VERSION:
        schema.upgrade(copy, version)
    return copy


def _check_log(paths: pathutils.Paths) -> None:
    """Raise ``BackupError`` if the last master left a damaged log, unless one works now.

    A master that works has checked the log when it started, and writes to it.
    """
    if not os.path.exists(paths.master_lock):
        return
    try:
        lock = io.lock_file(paths.master_lock)
    except BlockingIOError:
        return
    try:
        problem = wal.find_problem(paths.master_db)
        words = problem.words if problem is not None else None
    except files.NotSafe as err:
        words = str(err)
    finally:
        os.close(lock)
    if words is not None:
        raise BackupError(
            f"{paths.master_db} is damaged and was not backed up: {words}; "
            "ganeti-masterd repairs it, if that is possible, when it starts"
        )


def check_identity(connection: sqlite3.Connection, path: str, *expected: int) -> tuple[int, int]:
    """Return the application id and the schema version of a database.

    ``BackupError`` unless the application id is an ``expected`` one and the schema is known.
    """
    application_id, version = schema.identify(connection)
    if application_id not in expected:
        raise BackupError(
            f"{path} is not a file of this program, or is damaged "
            f"(its application id is {application_id:#x}, not {expected[0]:#x})"
        )
    if not 1 <= version <= schema.VERSION:
        raise BackupError(
            f"{path} has schema {version}, but this program reads schemas 1 to "
            f"{schema.VERSION}; nothing was changed"
        )
    return application_id, version


def _scrub(connection: sqlite3.Connection, paths: pathutils.Paths, now: float) -> int:
    """Remove the secrets from a copy and mark it as a backup; return how many instances have any.

    The secrets of instances are stored again in encrypted form, those of jobs are lost.
    """
    connection.execute("BEGIN")
    values: dict[str, object] = {MADE: int(now)}
    secrets = encrypted_secrets.extract(connection)
    if secrets:
        values[ENCRYPTED] = encrypted_secrets.encrypt(secrets, encrypted_secrets.own_key(paths))
    for name, value in values.items():
        store_value(connection, name, value)
    for row in connection.execute(_UNFINISHED).fetchall():
        if not schema.is_whole(row):
            continue  # the check that follows finds it, because its checksum stays wrong
        job_id, index, text, summary = row[:4]
        connection.execute(
            "UPDATE job_op SET op = ? WHERE job_id = ? AND idx = ?",
            (_view_of(text, summary), job_id, index),
        )
        connection.execute(schema.update_sums("job_op", f"job_id = {job_id:d} AND idx = {index:d}"))
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute("COMMIT")
    return len(secrets)


def _view_of(text: str, summary: str) -> str:
    """Return an opcode as clients see it; only its OP_ID if it cannot be parsed.

    In one that cannot be parsed it is not known which fields are secrets.
    """
    try:
        view = opcodes.load(serializer.loads_lenient(text.encode())).to_view()
    except (opcodes.FieldError, errors.OpCodeUnknown, serializer.ParseError):
        view = {"OP_ID": "OP_" + summary.partition("(")[0]}
    return serializer.dumps(view)
