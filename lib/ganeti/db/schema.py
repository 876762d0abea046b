"""The tables of the master's database, their versions, and the checksums of their rows.

SQLite notices a torn page, but not a bit that flipped inside a value. So each row has a checksum
of its other columns in ``sum``. A statement that writes whole rows gets it from
``utils.checksum``; one that changes a part of a row, from the SQL function of the same name.
Every reader of a row compares it (``is_whole``). A lost row shows, too: the ids of jobs have no
gaps except those that are stored (``jqueue.id_gaps``).
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable, Sequence

from ganeti.utils.checksum import checksum

#: The value of a column: no table has another type.
Value = int | str | None

#: Grows with every change of the tables below.
VERSION = 2
#: "gnti", so that ``file`` and we can tell this database from others.
APPLICATION_ID = 0x676E7469

#: Name in ``cluster_value`` of the number of job ids that name no job on purpose.
SKIPPED = "queue.skipped"

TABLES = """
CREATE TABLE cluster_object (
    kind TEXT NOT NULL,                 -- cluster, node, group, instance
    uuid TEXT NOT NULL,
    name TEXT NOT NULL,
    data TEXT NOT NULL,                 -- JSON of the object
    sum INTEGER,
    PRIMARY KEY (kind, uuid),
    UNIQUE (kind, name)
) WITHOUT ROWID;
CREATE TABLE cluster_value (
    name TEXT PRIMARY KEY,
    value TEXT,                         -- JSON
    sum INTEGER
) WITHOUT ROWID;
CREATE TABLE job_job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,       -- never used twice
    status TEXT NOT NULL,
    received_us INTEGER NOT NULL,               -- microseconds since the epoch
    start_us INTEGER,
    end_us INTEGER,
    archived INTEGER NOT NULL DEFAULT 0,
    user TEXT,
    request_id TEXT,
    idempotency_key TEXT,
    request_digest TEXT,
    received_served INTEGER NOT NULL DEFAULT 0, -- seconds of service: see jqueue.job
    end_served INTEGER,
    ops INTEGER NOT NULL DEFAULT 0,             -- how many rows of job_op it has
    sum INTEGER
);
CREATE TABLE job_op (
    job_id INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    op TEXT NOT NULL,                   -- as submitted while it may run, as shown afterwards
    summary TEXT NOT NULL,
    status TEXT NOT NULL,
    priority INTEGER NOT NULL,
    result TEXT,                        -- JSON
    start_us INTEGER,
    exec_us INTEGER,
    end_us INTEGER,
    sum INTEGER,
    PRIMARY KEY (job_id, idx)
) WITHOUT ROWID;
CREATE TABLE job_log (
    job_id INTEGER NOT NULL,
    serial INTEGER NOT NULL,            -- counts through the whole job
    idx INTEGER NOT NULL,               -- which opcode said it
    time_us INTEGER NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,                 -- JSON
    sum INTEGER,
    PRIMARY KEY (job_id, serial)
) WITHOUT ROWID;
"""

INDEXES = """
CREATE INDEX job_job_unarchived ON job_job (id) WHERE archived = 0;
CREATE INDEX job_job_live ON job_job (id) WHERE status NOT IN ('canceled', 'success', 'error');
CREATE INDEX job_job_ended ON job_job (end_served)
    WHERE archived = 0 AND status IN ('canceled', 'error', 'success');
CREATE INDEX job_job_key ON job_job (idempotency_key, coalesce(user, ''), id)
    WHERE idempotency_key IS NOT NULL;
"""

#: Columns that ``sum`` vouches for, in its order.
COLUMNS: dict[str, tuple[str, ...]] = {
    "cluster_object": ("kind", "uuid", "name", "data"),
    "cluster_value": ("name", "value"),
    "job_job": (
        "id",
        "status",
        "received_us",
        "start_us",
        "end_us",
        "archived",
        "user",
        "request_id",
        "idempotency_key",
        "request_digest",
        "received_served",
        "end_served",
        "ops",
    ),
    "job_op": (
        "job_id",
        "idx",
        "op",
        "summary",
        "status",
        "priority",
        "result",
        "start_us",
        "exec_us",
        "end_us",
    ),
    "job_log": ("job_id", "serial", "idx", "time_us", "kind", "text"),
}


def is_whole(row: Sequence[Value]) -> bool:
    """Return whether a row (the table's ``COLUMNS`` and ``sum``) is as it was written."""
    return checksum(*row[:-1]) == row[-1]


def prepare(connection: sqlite3.Connection) -> None:
    """Add the SQL function ``checksum`` to a connection."""
    connection.create_function("checksum", -1, checksum, deterministic=True)


def columns(table: str) -> str:
    """Return the columns of a table and ``sum`` for a SELECT: rows that ``is_whole`` checks."""
    return ", ".join((*COLUMNS[table], "sum"))


@functools.cache
def insert(table: str, rows: int = 1, *, verb: str = "INSERT") -> str:
    """Return the statement that inserts some rows, given their columns and ``sum``."""
    names = (*COLUMNS[table], "sum")
    row = f"({', '.join('?' * len(names))})"
    return f"{verb} INTO {table} ({', '.join(names)}) VALUES {', '.join([row] * rows)}"


def update_sums(table: str, where: str) -> str:
    """Return the statement that computes ``sum`` anew in the rows that match a condition."""
    return f"UPDATE {table} SET sum = checksum({', '.join(COLUMNS[table])}) WHERE {where}"


def store_value(connection: sqlite3.Connection, name: str, text: str) -> None:
    """Store a value, given as JSON, under its name in ``cluster_value``."""
    row: tuple[Value, ...] = (name, text)
    if _has_sums(connection):
        statement, row = insert("cluster_value", verb="INSERT OR REPLACE"), (*row, checksum(*row))
    else:
        statement = "INSERT OR REPLACE INTO cluster_value (name, value) VALUES (?, ?)"
    connection.execute(statement, row)


def stored_value(connection: sqlite3.Connection, name: str) -> str | None:
    """Return the JSON of a value in ``cluster_value``, or None if there is no such value.

    Raises ``ValueError`` if its row is damaged.
    """
    sums = _has_sums(connection)
    row = connection.execute(
        f"SELECT name, value{', sum' if sums else ''} FROM cluster_value WHERE name = ?", (name,)
    ).fetchone()
    if row is None:
        return None
    if sums and not is_whole(row):
        raise ValueError(f"the value {name} is damaged")
    return str(row[1])


def identify(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return the application id and the schema version of a database; both are 0 in a new one."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return application_id, version


def _has_sums(connection: sqlite3.Connection) -> bool:
    """Return whether rows have checksums, which schema 1 did not have.

    It matters when a killed upgrade from schema 1 is cleaned up: the database is still old then.
    """
    return identify(connection)[1] >= 2


def create(connection: sqlite3.Connection) -> None:
    """Create all tables in an empty database, in one transaction."""
    connection.executescript(
        f"BEGIN; PRAGMA application_id={APPLICATION_ID}; "
        f"PRAGMA user_version={VERSION}; {TABLES} {INDEXES} COMMIT;"
    )


def upgrade(connection: sqlite3.Connection, version: int) -> None:
    """Bring a database of an older version to the present one, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in range(version, VERSION):
            _STEPS[step](connection)
        connection.execute(f"PRAGMA user_version={VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite rolls back itself when the disk is full
            connection.execute("ROLLBACK")
        raise


def _from_1(connection: sqlite3.Connection) -> None:
    """Upgrade schema 1: add checksums, ages of jobs in seconds of service, and keys per user."""
    for table in COLUMNS:
        connection.execute(f"ALTER TABLE {table} ADD COLUMN sum INTEGER")
    for column in (
        "received_served INTEGER NOT NULL DEFAULT 0",
        "end_served INTEGER",
        "ops INTEGER NOT NULL DEFAULT 0",
    ):
        connection.execute(f"ALTER TABLE job_job ADD COLUMN {column}")
    # When these jobs ended in seconds of service is unknown; 0, the present, archives none early.
    connection.execute("UPDATE job_job SET end_served = 0 WHERE end_us IS NOT NULL")
    connection.execute(
        "UPDATE job_job SET ops = (SELECT count(*) FROM job_op WHERE job_op.job_id = job_job.id)"
    )
    for name in ("unarchived", "live", "key"):
        connection.execute(f"DROP INDEX job_job_{name}")
    for statement in filter(str.strip, INDEXES.split(";")):
        connection.execute(statement)
    for table in COLUMNS:
        connection.execute(update_sums(table, "1"))


#: Version -> the function that upgrades it to the next one.
_STEPS: dict[int, Callable[[sqlite3.Connection], None]] = {1: _from_1}
