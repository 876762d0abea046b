"""Backups: a consistent copy of the database in one file, without a secret in clear.

A backup is made while the master works: SQLite copies the pages of one moment into
a file without a name, secrets are taken out there, and what remains is written anew
(``VACUUM INTO``), so that nothing deleted is left in it. The secrets of instances go
along encrypted, under a key that stays on this machine (``encrypted_secrets``).

What a backup holds is older than what happened. So a restored job that had not ended
never runs, and no id of a job is given a second time.
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
from ganeti.constants import JOB_FINAL
from ganeti.db import files, schema
from ganeti.maintenance import check, encrypted_secrets, wal
from ganeti.utils import io
from ganeti.utils.text import describe_os_error

#: "gntb": a backup is not a database, and no master opens it.
APPLICATION_ID = 0x676E7462
#: Pages that are copied at one go (a megabyte), and seconds between two goes.
PAGES, PAUSE = 256, 0.002

_FINAL = tuple(sorted(map(str, JOB_FINAL)))
#: Opcodes that are stored as they were submitted.
_UNFINISHED = (
    f"SELECT {', '.join(schema.COLUMNS['job_op'])}, sum FROM job_op WHERE status NOT IN {_FINAL}"
)
#: Name in ``cluster_value`` of when a backup was made, and of the encrypted secrets.
MADE, ENCRYPTED = "backup.made", "backup.sealed"


class BackupError(errors.Error):
    """A backup cannot be made or restored, in words."""


@dataclass(frozen=True)
class Contents:
    """What a database holds, for people; ``encrypted``: instances whose secrets it has."""

    cluster: str
    nodes: int
    instances: int
    jobs: int
    encrypted: int = 0

    def __str__(self) -> str:
        """In words."""
        return f"the cluster {self.cluster}: " + ", ".join(
            f"{number} {noun}{'' if number == 1 else 's'}"
            for number, noun in (
                (self.nodes, "node"),
                (self.instances, "instance"),
                (self.jobs, "job"),
            )
        )


def contents(connection: sqlite3.Connection, encrypted: int = 0) -> Contents:
    """What an open database holds."""

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
    """Make a backup; ``BackupError`` when there is nothing to back up, or it cannot be written."""
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


def store_value(connection: sqlite3.Connection, name: str, value: Any) -> None:
    """Put a value of a backup's own into it."""
    schema.store_value(connection, name, serializer.dumps(value))


def load_value(connection: sqlite3.Connection, name: str) -> Any:
    """A value of a backup's own; None if it has none."""
    text = schema.stored_value(connection, name)
    return None if text is None else serializer.loads_lenient(text.encode())


def _check_target(paths: pathutils.Paths, target: str, force: bool) -> None:
    if target == "-" or os.path.isdir(target):
        raise BackupError(f"{target} is no name for a file")
    if os.path.realpath(target).startswith(os.path.realpath(paths.master_db)):
        raise BackupError(f"{target} is the cluster's own database")
    if os.path.lexists(target) and not force:
        raise BackupError(f"{target} is there already (--force replaces it)")


@contextlib.contextmanager
def as_backup_error(path: str) -> Iterator[None]:
    """Turn errors of files and databases into ``BackupError``, in words."""
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
    """The database as it is at this moment, in a file without a name that goes with us."""
    if os.path.exists(paths.next_db):
        raise BackupError("a restoration broke off; ganeti-masterd finishes it when it starts")
    if not os.path.exists(paths.master_db):
        raise BackupError(f"there is no cluster on this machine ({paths.master_db} is missing)")
    files.check_readable(paths.master_db)
    _check_log(paths)
    copy = sqlite3.connect("", isolation_level=None)
    with contextlib.closing(files.connect(paths.master_db)) as source:
        check_mark(source, paths.master_db, schema.APPLICATION_ID)
        # Holds on to this moment: a copy that sees changes begins anew, again and again.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM cluster_value").fetchone()
        source.backup(copy, pages=PAGES, sleep=PAUSE)
    files.prepare(copy)
    (version,) = copy.execute("PRAGMA user_version").fetchone()
    if version != schema.VERSION:
        schema.upgrade(copy, version)
    return copy


def _check_log(paths: pathutils.Paths) -> None:
    """Where no master works, who knows what the last one left?"""
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
            "ganeti-masterd looks into it when it starts"
        )


def check_mark(connection: sqlite3.Connection, path: str, *marks: int) -> None:
    """Is a file a database that this program reads? ``BackupError`` says why not."""
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if mark not in marks:
        raise BackupError(
            f"{path} holds nothing of this program, or is damaged "
            f"(its mark is {mark:#x}, not {marks[0]:#x})"
        )
    if not 1 <= version <= schema.VERSION:
        raise BackupError(
            f"{path} has schema {version}, this program reads schemas 1 to "
            f"{schema.VERSION}; nothing was changed"
        )


def _scrub(connection: sqlite3.Connection, paths: pathutils.Paths, now: float) -> int:
    """Take the secrets out of a copy; how many instances have some."""
    connection.execute("BEGIN")
    values: dict[str, Any] = {MADE: int(now)}
    secrets = encrypted_secrets.extract(connection)
    if secrets:
        values[ENCRYPTED] = encrypted_secrets.encrypt(secrets, encrypted_secrets.own_key(paths))
    for name, value in values.items():
        store_value(connection, name, value)
    for row in connection.execute(_UNFINISHED).fetchall():
        if not schema.is_whole(row):
            continue  # its sum stays wrong, and tells
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
    """How an opcode is shown; of one that cannot be read nobody knows where its secrets are."""
    try:
        view = opcodes.load(serializer.loads_lenient(text.encode())).to_view()
    except (opcodes.FieldError, errors.OpCodeUnknown, serializer.ParseError):
        view = {"OP_ID": "OP_" + summary.partition("(")[0]}
    return serializer.dumps(view)
