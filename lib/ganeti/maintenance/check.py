"""Checks of a database: each returns its findings, a line of text for each.

SQLite finds damage to its own structure, the checksums of rows show values that changed, and
gaps in the job ids show rows that vanished (see ``schema``). Nothing here changes the database,
and no value is trusted before its row's checksum is verified.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ganeti import ht, objects, pathutils, serializer
from ganeti.config.config import KINDS, kind_of
from ganeti.db import schema
from ganeti.jqueue import id_gaps, rows

logger = logging.getLogger(__name__)

#: Size in bytes, log included, up to which a database is checked in full at a start (0.3 s here).
AT_START = 4 << 20
#: SQLite's own check stops after so many findings.
_STRUCTURE_FINDINGS = 5
#: Rows per chunk and the pause between chunks, in seconds, of a check beside a working master.
CHUNK, PAUSE = 250, 0.02

#: Exceptions that reading a damaged database may raise.
UNREADABLE = (sqlite3.Error, ValueError, TypeError, KeyError, AttributeError, OverflowError)

#: Table -> the columns that name a row of it.
KEYS = {
    "cluster_object": ("kind", "name"),
    "cluster_value": ("name",),
    "job_job": ("id",),
    "job_op": ("job_id", "idx"),
    "job_log": ("job_id", "serial"),
}


@dataclass
class StoredObjects:
    """The objects of a configuration; there should be one cluster among them."""

    clusters: list[objects.Cluster] = field(default_factory=list)
    groups: list[objects.Group] = field(default_factory=list)
    nodes: list[objects.Node] = field(default_factory=list)
    instances: list[objects.Instance] = field(default_factory=list)

    def add(self, value: objects.ConfigObject) -> None:
        """Add an object to those of its kind."""
        match value:
            case objects.Cluster():
                self.clusters.append(value)
            case objects.Group():
                self.groups.append(value)
            case objects.Node():
                self.nodes.append(value)
            case objects.Instance():
                self.instances.append(value)

    def names(self) -> set[tuple[str, str]]:
        """Return the kind and name of each object."""
        values: list[objects.Cluster | objects.Group | objects.Node | objects.Instance] = [
            *self.clusters,
            *self.groups,
            *self.nodes,
            *self.instances,
        ]
        return {(kind_of(value), value.name) for value in values}

    @property
    def master_name(self) -> str:
        """Return the name of the master node; ``LookupError`` if it is not among the nodes."""
        master = self.clusters[0].master_node
        return [node.name for node in self.nodes if node.uuid == master][0]


def no_cluster(paths: pathutils.Paths) -> str | None:
    """Return a sentence if this machine has no cluster, not even one that is being installed."""
    if os.path.exists(paths.master_db) or os.path.exists(paths.next_db):
        return None
    return f"there is no cluster on this machine ({paths.master_db} is missing)"


def cheap(connection: sqlite3.Connection) -> list[str]:
    """Check what takes little time: tables, job ids, the whole configuration."""
    found = _findings_of("its schema", lambda: _check_tables(connection))
    if found:
        return found
    found += _findings_of("the ids of jobs", lambda: _check_job_ids(connection))
    found += _findings_of("the configuration", lambda: _check_configuration(connection))
    for table in ("cluster_object", "cluster_value"):
        found += _findings_of(table, lambda: check_rows(connection, table))
    return found


def full(connection: sqlite3.Connection) -> list[str]:
    """Check everything; nobody may change the database meanwhile."""
    found = cheap(connection)
    found += _findings_of("its structure", lambda: check_structure(connection))
    if not _findings_of("", lambda: _check_tables(connection)):
        for table in ("job_job", "job_op", "job_log"):
            found += _findings_of(table, lambda: check_rows(connection, table))
        found += _findings_of("the opcodes of jobs", lambda: _check_opcodes(connection))
    return found


def check_structure(connection: sqlite3.Connection) -> list[str]:
    """Have SQLite check its pages, indexes and constraints."""
    said = [
        str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({_STRUCTURE_FINDINGS})")
    ]
    return [] if said == ["ok"] else [" ".join(line.split()) for line in said]


def check_rows(connection: sqlite3.Connection, table: str) -> list[str]:
    """Check the checksums of all rows of a table."""
    cursor = connection.execute(f"SELECT {schema.columns(table)} FROM {table} NOT INDEXED")
    return _damaged_rows(table, [row for row in cursor if not schema.is_whole(row)])


def _damaged_rows(table: str, damaged: Sequence[Sequence[object]]) -> list[str]:
    if not damaged:
        return []
    where = [schema.COLUMNS[table].index(name) for name in KEYS[table]]
    if table.startswith("job_"):
        words = "jobs " + ranges(row[where[0]] for row in damaged)
    else:  # the names may be damaged, too: they are quoted and shortened
        words = ", ".join(
            "/".join(ht.shorten(row[index]) for index in where) for row in damaged[:10]
        )
    return [f"{table} has damaged rows: {words}"]


def _findings_of(what: str, check: Callable[[], list[str]]) -> list[str]:
    """Return the findings of a check; a check that fails is a finding itself."""
    try:
        return check()
    except UNREADABLE as err:
        return [f"{what} cannot be read: {err}"]


def _check_tables(connection: sqlite3.Connection) -> list[str]:
    missing = set(schema.COLUMNS).difference(
        row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    )
    return [f"tables are missing: {', '.join(sorted(missing))}"] if missing else []


def _check_job_ids(connection: sqlite3.Connection) -> list[str]:
    count, highest = connection.execute(
        "SELECT count(*), coalesce(max(id), 0) FROM job_job NOT INDEXED"
    ).fetchone()
    last, skipped = rows.last_id(connection), id_gaps.count(connection)
    if last < highest:
        return [f"the job counter is at {last}, but job {highest} exists"]
    if count + skipped != last:
        return [f"{count} of {last - skipped} jobs exist"]
    return []


def _check_configuration(connection: sqlite3.Connection) -> list[str]:
    found = load_objects(connection)
    return [
        *(
            f"the {kind} {name} is missing in the table or in the index of the configuration"
            for kind, name in sorted(names_in_index(connection) ^ found.names())
        ),
        *contradictions(found),
    ]


def names_in_index(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """Return kind and name of all objects from the index, which is independent of the table."""
    index = next(
        row[1] for row in connection.execute("PRAGMA index_list(cluster_object)") if row[3] == "u"
    )
    return {
        (str(kind), str(name))
        for kind, name in connection.execute(
            f"SELECT kind, name FROM cluster_object INDEXED BY {index}"
        )
    }


def load_objects(connection: sqlite3.Connection) -> StoredObjects:
    """Return all objects; one of ``UNREADABLE``, usually ``ValueError``, if one is damaged."""
    found = StoredObjects()
    table = "cluster_object"
    for row in connection.execute(f"SELECT {schema.columns(table)} FROM {table} NOT INDEXED"):
        if not schema.is_whole(row):
            raise ValueError(
                f"the record of the {row[0]} {ht.shorten(row[2])} is damaged"
                if row[0] in KINDS
                else "a record is damaged"
            )
        found.add(KINDS[row[0]].from_dict(serializer.loads(row[3])))
    return found


def contradictions(found: StoredObjects) -> list[str]:
    """Return a sentence for each reference to an object that does not exist."""
    if len(found.clusters) != 1:
        return [f"there are {len(found.clusters)} records of the cluster"]
    return objects.contradictions(found.clusters[0], found.groups, found.nodes, found.instances)


def _check_opcodes(connection: sqlite3.Connection) -> list[str]:
    wrong = [
        row[0]
        for row in connection.execute(
            "SELECT id FROM job_job NOT INDEXED WHERE ops != "
            "(SELECT count(*) FROM job_op WHERE job_op.job_id = job_job.id)"
        )
    ]
    orphans = [
        row[0]
        for row in connection.execute(
            "SELECT DISTINCT job_id FROM job_op WHERE job_id NOT IN "
            "(SELECT id FROM job_job NOT INDEXED)"
        )
    ]
    found = []
    if wrong:
        found.append(f"opcodes of these jobs are missing: {ranges(wrong)}")
    if orphans:
        found.append(f"opcodes belong to jobs that do not exist: {ranges(orphans)}")
    return found


def ranges(numbers: Iterable[object], most: int = 20) -> str:
    """Return integers as text such as ``3, 7-12, 40``, up to ``most`` ranges; "?" if none."""
    spans: list[list[int]] = []
    known = {number for number in numbers if isinstance(number, int)}
    if not known:
        return "?"
    for number in sorted(known):
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    words = [str(first) if first == last else f"{first}-{last}" for first, last in spans[:most]]
    more = sum(last - first + 1 for first, last in spans[most:])
    return ", ".join(words) + (f" and {more} more" if more else "")


class BackgroundCheck:
    """A slow check of a large database, in a thread beside the working master.

    If there are findings, the thread calls ``report`` with them before it ends.
    """

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], report: Callable[[list[str]], None]
    ) -> None:
        self._connect = connect
        self._report = report
        self._stop = threading.Event()
        self._connection: sqlite3.Connection | None = None
        self._thread = threading.Thread(target=self._run, name="verify", daemon=True)

    def start(self) -> None:
        """Start the thread, which calls ``connect`` itself."""
        self._thread.start()

    def stop(self) -> None:
        """Interrupt the check and wait until the thread has ended; nothing is reported.

        Does nothing if the check was not started.
        """
        self._stop.set()
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):  # the thread has closed it already
                self._connection.interrupt()
        if self._thread.ident is not None:
            self._thread.join()

    def join(self) -> None:
        """Wait until the check has ended by itself."""
        self._thread.join()

    def _run(self) -> None:
        try:
            self._connection = connection = self._connect()
            try:
                found = [words for part in self._parts(connection) for words in part]
            finally:
                connection.close()
            if self._stop.is_set():
                return
            if found:
                self._report(found)
            else:
                logger.info("Checked the whole database and found no damage")
        except Exception:
            if not self._stop.is_set():
                logger.exception("Checking the database failed")

    def _parts(self, connection: sqlite3.Connection) -> Iterator[list[str]]:
        if not self._stop.is_set():
            yield _findings_of("its structure", lambda: check_structure(connection))
        for table in ("job_job", "job_op", "job_log"):
            yield _findings_of(table, lambda: self._rows(connection, table))
        if not self._stop.is_set():
            yield _findings_of("the opcodes of jobs", lambda: _check_opcodes(connection))

    def _rows(self, connection: sqlite3.Connection, table: str) -> list[str]:
        """Check a table like ``check_rows``, but in chunks.

        Each chunk is a separate read transaction: a long one would keep SQLite from resetting
        its log, which would grow.
        """
        damaged: list[Sequence[object]] = []
        keys = [schema.COLUMNS[table].index(name) for name in KEYS[table]]
        names, marks = ", ".join(KEYS[table]), ", ".join("?" * len(keys))
        after: tuple[int, ...] = (-1,) * len(keys)
        while not self._stop.wait(PAUSE):
            chunk = connection.execute(
                f"SELECT {schema.columns(table)} FROM {table} NOT INDEXED "
                f"WHERE ({names}) > ({marks}) ORDER BY {names} LIMIT {CHUNK}",
                after,
            ).fetchall()
            if not chunk:
                break
            damaged += [row for row in chunk if not schema.is_whole(row)]
            last = tuple(chunk[-1][index] for index in keys)
            if not all(isinstance(key, int) for key in last) or last <= after:
                raise ValueError(f"its keys are out of order after {after}")
            after = last
        return _damaged_rows(table, damaged)
