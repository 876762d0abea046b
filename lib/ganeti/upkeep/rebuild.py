"""A new database from what is whole in a damaged one.

A row is believed when its sum fits, a table read in one pass when that is possible,
and else row by row. The configuration must be whole, all of it, or there is nothing to
start on. A job that is not stays under its id and says what happened.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ganeti.constants import JOB_FINAL, LOG_MESSAGE
from ganeti.db import files, schema
from ganeti.db.files import NotSafe
from ganeti.jqueue import completion, id_gaps, rows
from ganeti.jqueue.clocks import Moment
from ganeti.upkeep import verify

#: How far ids go ahead when the last ones that were given may be lost.
AHEAD = 1000
#: More ids than these in a row were passed over; fewer were lost.
_RUN = 1000
#: A counter of jobs that is further than this from what is there is damaged itself.
_PLAUSIBLE = 500_000

#: What a job says that may have run: what stands in a damaged database may be old.
UNSURE = "the database was damaged; whether this job ran is not known; it was not run again"
LOST_LINE = "(this line of the log is damaged)"

Row = Sequence[Any]

_OPS, _STATUS = (schema.COLUMNS["job_job"].index(name) for name in ("ops", "status"))


@dataclass
class Losses:
    """What could not be saved."""

    jobs: list[int] = field(default_factory=list)
    unsure: list[int] = field(default_factory=list)  # had not ended, and are not run
    logs: set[int] = field(default_factory=set)  # jobs whose logs lack lines
    values: list[str] = field(default_factory=list)
    last: int = 0  # ids go on above it
    ahead: bool = False  # some ids are passed over

    def words(self) -> list[str]:
        """A line for each kind."""
        found = [
            (self.jobs, "jobs are lost; their ids name a damaged job each: "),
            (self.unsure, "jobs that had not ended may have run; they end in error: "),
            (self.logs, "logs of jobs lack lines: "),
        ]
        lines = [words + verify.ranges(ids) for ids, words in found if ids]
        if self.values:
            lines.append(
                "switches of the queue are back to their defaults: " + ", ".join(self.values)
            )
        if self.ahead:
            lines.append(f"the last ids that were given may be lost; they go on at {self.last + 1}")
        return lines


def build(
    source: sqlite3.Connection, target: sqlite3.Connection, now: float, *, ahead: bool = False
) -> Losses:
    """Fill ``target``, which is empty, from ``source``; ``NotSafe`` when that makes no sense.

    ``ahead``: it is known already that the last changes may be lost.
    """
    source.execute("PRAGMA cell_size_check=ON")
    losses = Losses(ahead=ahead)
    schema.create(target)
    schema.prepare(target)
    try:
        target.execute("BEGIN")
        _copy(target, "cluster_object", _configuration(source))
        _values(source, target, losses)
        jobs = _Jobs(source)
        kept = _jobs(jobs, target, _numbers(source, jobs, losses), losses, now)
        _logs(jobs, target, kept, losses)
        _close_gaps(target, losses)
        target.execute("COMMIT")
    except files.UNREADABLE as err:
        raise NotSafe(f"what is left of it makes no database: {err}") from None
    return losses


def _columns(table: str) -> str:
    return ", ".join((*schema.COLUMNS[table], "sum"))


def _copy(target: sqlite3.Connection, table: str, rows: Iterable[Row]) -> None:
    target.executemany(schema.insert(table), rows)


# -- configuration ----------------------------------------------------------------


def _configuration(source: sqlite3.Connection) -> list[Row]:
    """All objects; ``NotSafe`` when one is damaged, or missing."""
    try:
        problems = verify.contradictions(verify.load_objects(source))
        rows = source.execute(
            f"SELECT {_columns('cluster_object')} FROM cluster_object NOT INDEXED"
        ).fetchall()
    except verify.UNREADABLE as err:
        raise NotSafe(f"the configuration cannot be read: {err}") from None
    with contextlib.suppress(*files.UNREADABLE):
        # The index has all names a second time. One that is wrong there is that one's
        # damage; more of them than there are objects: some vanished.
        others, names = verify.names_in_index(source), {(row[0], row[2]) for row in rows}
        if len(others - names) > len(names - others):
            problems.append(f"objects are missing, such as {' '.join(min(others - names))}")
    if problems:
        raise NotSafe(f"the configuration is not whole: {problems[0]}")
    return rows


def _values(source: sqlite3.Connection, target: sqlite3.Connection, losses: Losses) -> None:
    found: dict[str, Row] = {}
    with contextlib.suppress(*files.UNREADABLE):
        for row in source.execute(f"SELECT {_columns('cluster_value')} FROM cluster_value"):
            found[row[0]] = row
    for name in ("queue.drained", "queue.watcher_pause", "queue.served", "queue.filters"):
        if name not in found:
            try:
                row = source.execute(
                    f"SELECT {_columns('cluster_value')} FROM cluster_value WHERE name = ?", (name,)
                ).fetchone()
            except files.UNREADABLE:
                losses.values.append(name)
            else:
                found.update({} if row is None else {name: row})
    whole = [row for row in found.values() if schema.is_whole(row)]
    losses.values += [str(row[0]) for row in found.values() if not schema.is_whole(row)]
    _copy(target, "cluster_value", whole)


# -- jobs -----------------------------------------------------------------------------


class _Jobs:
    """Rows of jobs and of their opcodes, as far as they can be read."""

    def __init__(self, source: sqlite3.Connection) -> None:
        self._source = source
        #: Tables of which something could not be read, or stood out of order.
        self._broken: set[str] = set()
        self.rows: dict[int, Row] = {}
        self.ops: dict[int, list[Row]] = {}
        for row in self.scan("job_job"):
            self.rows[row[0]] = row
        for row in self.scan("job_op"):
            self.ops.setdefault(row[0], []).append(row)

    def scan(self, table: str) -> Iterator[Row]:
        """Rows with a sensible key, until the end or what cannot be read."""
        keys = len(verify.KEYS[table])
        before: tuple[int, ...] = (-1,)
        try:
            for row in self._source.execute(f"SELECT {_columns(table)} FROM {table} NOT INDEXED"):
                key = tuple(row[:keys])
                if not all(isinstance(number, int) and rows.is_id(number) for number in key):
                    self._broken.add(table)
                    continue
                if not key > before:
                    self._broken.add(table)
                before = key
                yield row
        except files.UNREADABLE:
            self._broken.add(table)

    def broken(self, *tables: str) -> bool:
        """Could not all of these be read in order? Then what is there may be old."""
        return not self._broken.isdisjoint(tables)

    def rows_of(self, table: str, job_id: int) -> list[Row] | None:
        """The rows of one job; None when they cannot be read."""
        try:
            return self._source.execute(
                f"SELECT {_columns(table)} FROM {table} NOT INDEXED WHERE "
                f"{verify.KEYS[table][0]} = ?",
                (job_id,),
            ).fetchall()
        except files.UNREADABLE:
            return None

    def whole(self, job_id: int) -> tuple[Row, list[Row]] | None:
        """A job's rows, if they are as they were written."""
        row, ops = self.rows.get(job_id), self.ops.get(job_id, [])
        if _fits(row, ops):
            assert row is not None
            return row, ops
        found = self.rows_of("job_job", job_id)
        ops = self.rows_of("job_op", job_id) or []
        return (found[0], ops) if found and _fits(found[0], ops) else None


def _fits(row: Row | None, ops: list[Row]) -> bool:
    return (
        row is not None
        and schema.is_whole(row)
        and len(ops) == row[_OPS]
        and all(map(schema.is_whole, ops))
        and [op[1] for op in ops] == list(range(len(ops)))
    )


def _numbers(source: sqlite3.Connection, jobs: _Jobs, losses: Losses) -> list[int]:
    """Ids that were given and must go on naming a job; decides where ids go on."""
    gaps = counter = None
    highest = max([0, *jobs.rows, *jobs.ops])
    with contextlib.suppress(*verify.UNREADABLE):
        highest = max(
            highest,
            *source.execute(
                "SELECT coalesce(max(job_id), 0) FROM job_log WHERE typeof(job_id) = 'integer'"
            ).fetchone(),
        )
    with contextlib.suppress(*verify.UNREADABLE):
        gaps = id_gaps.gaps(source)
        highest = max([highest, *(last for _, last in gaps)])
    with contextlib.suppress(*verify.UNREADABLE):
        counter = rows.last_id(source)
    there = not jobs.broken("job_job") or not jobs.broken("job_op")
    if counter is None or counter < highest or (there and counter > highest + _PLAUSIBLE):
        if not there:
            raise NotSafe("which ids were given to jobs is not known")
        counter, losses.ahead = highest, True
    last = counter
    losses.last = last + (AHEAD if losses.ahead else 0)
    if gaps is None:
        gaps = _guess_gaps(source, jobs, last)
    given, before = set(jobs.rows), 0
    for first, end in [*gaps, (last + 1, last)]:
        given.update(range(before + 1, first))
        before = end
    return sorted(given)


def _guess_gaps(source: sqlite3.Connection, jobs: _Jobs, last: int) -> list[tuple[int, int]]:
    """Gaps, as far as they can be told from what is there.

    All that is missing, if so many ids were passed over or purged, or if that is not known
    either but no trace of those jobs is left in tables that are whole. Otherwise some jobs
    were lost, and only what is too long for a loss is a gap.
    """
    there = sorted({0, *jobs.rows, *jobs.ops, last + 1})
    runs = [
        (before + 1, after - 1) for before, after in zip(there, there[1:]) if after - before > 1
    ]
    try:
        explained = id_gaps.count(source) == sum(end - first + 1 for first, end in runs)
    except verify.UNREADABLE:
        explained = not jobs.broken("job_job", "job_op")
    if explained:
        return runs
    return [(first, end) for first, end in runs if end - first + 2 > _RUN]


def _jobs(
    jobs: _Jobs, target: sqlite3.Connection, ids: Iterable[int], losses: Losses, now: float
) -> set[int]:
    """Jobs that are whole as they are, a damaged one for each of the others; ids of the former."""
    kept = set()
    for job_id in ids:
        found = jobs.whole(job_id)
        if found is None:
            losses.jobs.append(job_id)
            rows.replace(target, rows.damaged(job_id))
            continue
        row, ops = found
        kept.add(job_id)
        if row[_STATUS] in JOB_FINAL or not jobs.broken("job_job", "job_op"):
            _copy(target, "job_job", [row])
            _copy(target, "job_op", ops)
        else:
            losses.unsure.append(job_id)
            job = rows.build(row, ops)
            completion.give_up(job, UNSURE, Moment(now, job.received_served))
            rows.replace(target, job)
    return kept


def _logs(jobs: _Jobs, target: sqlite3.Connection, kept: set[int], losses: Losses) -> None:
    """Lines that are whole; another one for each that is not."""
    serials: dict[int, int] = {}

    def take(row: Row) -> None:
        job_id, serial, index = row[:3]
        if job_id not in kept:
            return
        if serial != serials.get(job_id, 0) + 1:
            losses.logs.add(job_id)
        serials[job_id] = serial
        if schema.is_whole(row):
            target.execute(schema.insert("job_log", verb="INSERT OR REPLACE"), row)
        else:
            losses.logs.add(job_id)
            if isinstance(index, int):
                rows.add_log(target, job_id, index, [serial, (0, 0), LOG_MESSAGE, LOST_LINE])

    for row in jobs.scan("job_log"):
        take(row)
    if jobs.broken("job_log"):
        for job_id in sorted(kept):
            lines = jobs.rows_of("job_log", job_id)
            if lines is None:
                losses.logs.add(job_id)
            elif job_id not in serials:
                for row in lines:
                    take(row)


def _close_gaps(target: sqlite3.Connection, losses: Losses) -> None:
    """Have the ids add up."""
    gaps, before = [], 0
    for number in [
        *(row[0] for row in target.execute("SELECT id FROM job_job ORDER BY id")),
        losses.last + 1,
    ]:
        if number > before + 1:
            gaps.append((before + 1, number - 1))
        before = number
    id_gaps.set_gaps(target, gaps)
    id_gaps.set_last(target, losses.last)
