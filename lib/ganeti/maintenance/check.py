"""Is a database as it was written? What is not, in words.

SQLite notices what breaks its own structure; the sums of rows show a value that
changed; gaps in the ids of jobs show a row that vanished (see ``schema``). Nothing
here changes anything, and nothing that is read is believed before its sum fits.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from ganeti import ht, objects, serializer
from ganeti.config.config import KINDS
from ganeti.db import schema
from ganeti.jqueue import id_gaps, rows

logger = logging.getLogger(__name__)

#: Bytes of database and log up to which the whole is checked before a start (0.3 s here).
AT_START = 4 << 20
#: Findings of SQLite's own check that are looked at.
_STRUCTURE_FINDINGS = 5
#: Rows that are compared at one go, and seconds between two goes, beside a working master.
CHUNK, PAUSE = 250, 0.02

#: What reading a damaged database may raise.
UNREADABLE = (sqlite3.Error, ValueError, TypeError, KeyError, AttributeError, OverflowError)

#: Table -> the columns that name a row of it.
KEYS = {
    "cluster_object": ("kind", "name"),
    "cluster_value": ("name",),
    "job_job": ("id",),
    "job_op": ("job_id", "idx"),
    "job_log": ("job_id", "serial"),
}


def cheap(connection: sqlite3.Connection) -> list[str]:
    """What costs little: are the tables, the configuration and all ids of jobs there?"""
    return _findings_of("its schema", lambda: _check_tables(connection)) or [
        *_findings_of("the ids of jobs", lambda: _check_job_ids(connection)),
        *_findings_of("the configuration", lambda: _check_configuration(connection)),
        *(
            words
            for table in ("cluster_object", "cluster_value")
            for words in _findings_of(table, lambda: check_rows(connection, table))
        ),
    ]


def full(connection: sqlite3.Connection) -> list[str]:
    """Everything that can be wrong with an open database; what it holds must not change."""
    found = cheap(connection)
    found += _findings_of("its structure", lambda: check_structure(connection))
    if not _findings_of("", lambda: _check_tables(connection)):
        for table in ("job_job", "job_op", "job_log"):
            found += _findings_of(table, lambda: check_rows(connection, table))
        found += _findings_of("the opcodes of jobs", lambda: _check_opcodes(connection))
    return found


def check_structure(connection: sqlite3.Connection) -> list[str]:
    """What SQLite says of its pages, indexes and constraints."""
    said = [
        str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({_STRUCTURE_FINDINGS})")
    ]
    return [] if said == ["ok"] else [" ".join(line.split()) for line in said]


def check_rows(connection: sqlite3.Connection, table: str) -> list[str]:
    """Rows of a table whose sum does not fit."""
    cursor = connection.execute(
        f"SELECT {', '.join(schema.COLUMNS[table])}, sum FROM {table} NOT INDEXED"
    )
    return _damaged_rows(table, [row for row in cursor if not schema.is_whole(row)])


def _damaged_rows(table: str, damaged: list[Any]) -> list[str]:
    if not damaged:
        return []
    where = [schema.COLUMNS[table].index(name) for name in KEYS[table]]
    if table.startswith("job_"):
        words = "jobs " + ranges(row[where[0]] for row in damaged)
    else:  # of what is damaged no more than a word is shown
        words = ", ".join(
            "/".join(ht.shorten(row[index]) for index in where) for row in damaged[:10]
        )
    return [f"rows of {table} are not as they were written: {words}"]


def _findings_of(what: str, check: Callable[[], list[str]]) -> list[str]:
    """A check's findings; that it could not be made is one."""
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
        return [f"the counter of jobs is at {last}, and there is a job {highest}"]
    if count + skipped != last:
        return [f"of {last - skipped} jobs {count} are there"]
    return []


def _check_configuration(connection: sqlite3.Connection) -> list[str]:
    found = load_objects(connection)
    known = {
        (kind, str(getattr(value, "name"))) for kind, values in found.items() for value in values
    }
    return [
        *(
            f"the {kind} {name} is not in both trees of the configuration"
            for kind, name in sorted(names_in_index(connection) ^ known)
        ),
        *contradictions(found),
    ]


def names_in_index(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """Kind and name of all objects, from the index that UNIQUE made: a second source."""
    index = next(
        row[1] for row in connection.execute("PRAGMA index_list(cluster_object)") if row[3] == "u"
    )
    return {
        (str(kind), str(name))
        for kind, name in connection.execute(
            f"SELECT kind, name FROM cluster_object INDEXED BY {index}"
        )
    }


def load_objects(connection: sqlite3.Connection) -> dict[str, list[objects.ConfigObject]]:
    """All objects by kind; ``ValueError`` and its like when one is not as it was written."""
    found: dict[str, list[objects.ConfigObject]] = {kind: [] for kind in KINDS}
    columns = ", ".join((*schema.COLUMNS["cluster_object"], "sum"))
    for row in connection.execute(f"SELECT {columns} FROM cluster_object NOT INDEXED"):
        if not schema.is_whole(row):
            raise ValueError(
                f"the record of the {row[0]} {ht.shorten(row[2])} is damaged"
                if row[0] in KINDS
                else "a record is damaged"
            )
        found[row[0]].append(KINDS[row[0]].from_dict(serializer.loads(row[3])))
    return found


def contradictions(found: dict[str, list[objects.ConfigObject]]) -> list[str]:
    """What refers to something that is not there."""
    clusters = cast(list[objects.Cluster], found["cluster"])
    if len(clusters) != 1:
        return [f"there are {len(clusters)} records of the cluster"]
    return objects.contradictions(
        clusters[0],
        cast(list[objects.Group], found["group"]),
        cast(list[objects.Node], found["node"]),
        cast(list[objects.Instance], found["instance"]),
    )


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
    return [
        *([f"opcodes are missing: jobs {ranges(wrong)}"] if wrong else []),
        *([f"there are opcodes without their job: {ranges(orphans)}"] if orphans else []),
    ]


def ranges(numbers: Iterable[Any], most: int = 20) -> str:
    """Numbers in words: ``3, 7-12, 40``; of many ranges only the first ones, "?" for none."""
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
    """Checks a large database while the master works, slowly, in a thread of its own.

    ``report`` is called with what it found, if anything, before the thread ends.
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
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End it, wherever it is."""
        self._stop.set()
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):  # it is through, and closed
                self._connection.interrupt()
        self._thread.join()

    def join(self) -> None:
        """Wait until it is through."""
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
                logger.info("The whole database was checked and is as it was written")
        except Exception:
            if not self._stop.is_set():
                logger.exception("The database could not be checked")

    def _parts(self, connection: sqlite3.Connection) -> Iterator[list[str]]:
        if not self._stop.is_set():
            yield _findings_of("its structure", lambda: check_structure(connection))
        for table in ("job_job", "job_op", "job_log"):
            yield _findings_of(table, lambda: self._rows(connection, table))
        if not self._stop.is_set():
            yield _findings_of("the opcodes of jobs", lambda: _check_opcodes(connection))

    def _rows(self, connection: sqlite3.Connection, table: str) -> list[str]:
        """As ``check_rows``, each chunk a transaction of its own, so that the log can shrink."""
        damaged: list[Any] = []
        columns = schema.COLUMNS[table]
        keys = [columns.index(name) for name in KEYS[table]]
        names, marks = ", ".join(KEYS[table]), ", ".join("?" * len(keys))
        after: tuple[Any, ...] = (-1,) * len(keys)
        while not self._stop.wait(PAUSE):
            chunk = connection.execute(
                f"SELECT {', '.join(columns)}, sum FROM {table} NOT INDEXED "
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
