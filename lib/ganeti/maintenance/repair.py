"""Check and repair of the database before the master opens it.

Damage is logged, the damaged files are kept under another name, and the master starts with a
new database that contains everything that is provably undamaged. If the configuration is
damaged, or acknowledged changes are lost without a trace, the master refuses to start, with a
message of one line, and nothing is changed.

A row is trusted if its checksum is right. A table is read in one pass if that is possible, and
otherwise row by row. The configuration must be complete and undamaged. A damaged job keeps its
id, and is shown as one that ended in error because of the damage.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ganeti import errors, pathutils
from ganeti.constants import JOB_FINAL, LOG_MESSAGE
from ganeti.db import files, schema
from ganeti.db.files import NotSafe
from ganeti.jqueue import id_gaps, rows
from ganeti.jqueue.job import LogEntry, Moment
from ganeti.maintenance import check, wal
from ganeti.maintenance.wal import WalProblem
from ganeti.utils import io

logger = logging.getLogger(__name__)

# -- before a start --------------------------------------------------------------------


def check_and_repair(paths: pathutils.Paths, clock: Callable[[], float] = time.time) -> bool:
    """Check the database and repair it if necessary, so that the master can open it.

    Return False if the database is large and was not checked in full. ``ConfigurationError``,
    with a message of one line, if repairing it is not safe.
    """
    files.finish_install(paths)
    if not os.path.exists(paths.master_db):
        return True
    with _as_configuration_error(paths.master_db):
        _discard(paths)
        try:
            return _check_and_repair(paths, clock())
        finally:
            _discard(paths)


def _discard(paths: pathutils.Paths) -> None:
    for path in (paths.unfinished_db, paths.work_db):
        files.discard(path)


def _check_and_repair(paths: pathutils.Paths, now: float) -> bool:
    source = paths.master_db
    if os.path.getsize(source) == 0:
        raise NotSafe("it is empty")
    problem = wal.find_problem(source)
    complete = (
        problem is not None
        or os.path.exists(paths.damage_mark)
        or files.size(source) <= check.AT_START
    )
    if problem is not None and problem.patches:
        source = paths.work_db
        files.copy(paths.master_db, source)
        io.patch_file(source + files.LOG, problem.patches)
    with contextlib.closing(files.connect(source)) as connection:
        damage = _find_damage(connection, complete)
        if damage and not complete:
            damage = list(dict.fromkeys(damage + check.full(connection)))
            complete = True
        if damage:
            _rebuild(paths, connection, damage, problem, now)
    if problem is not None and not damage:
        _apply_log(paths, problem, now)
    if complete:
        io.remove_file(paths.damage_mark)
    return complete


def record_damage(paths: pathutils.Paths, damage: list[str]) -> None:
    """Log damage that a running master found, and make the next start check in full.

    Nothing happens if that has been arranged already.
    """
    if os.path.exists(paths.damage_mark):
        return
    for words in damage:
        logger.error("The database %s is damaged: %s", paths.master_db, words)
    logger.error("ganeti-masterd will repair the database at its next start")
    io.write_file(paths.damage_mark, "".join(f"{words}\n" for words in damage), mode=0o600)


@contextlib.contextmanager
def _as_configuration_error(path: str) -> Iterator[None]:
    """Turn errors that prevent a start into ``ConfigurationError`` with one line of advice."""
    try:
        yield
    except NotSafe as err:
        words = str(err)
    except files.UNREADABLE as err:
        words = f"it cannot be read ({err})"
    else:
        return
    raise errors.ConfigurationError(
        f"the database {path} is damaged: {words}; nothing was changed; "
        "restore a backup: ganeti-cluster restore FILE"
    ) from None


def _find_damage(connection: sqlite3.Connection, complete: bool) -> list[str]:
    """Return the damage that the full check, or the cheap one, finds.

    A database of a newer schema is not checked, because ``Store.open`` refuses it. Of an older
    one only the structure is checked, because its rows have no checksums yet.
    """
    found = []
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except files.UNREADABLE as err:
        # Perhaps only the end of the file is missing: with this SQLite reads the rest.
        connection.execute("PRAGMA writable_schema=ON")
        found = [f"its schema cannot be read ({err})"]
    application_id, version = schema.identify(connection)
    if application_id != schema.APPLICATION_ID:
        raise NotSafe(
            "it is not a database of this program, or its header is damaged "
            f"(application id {application_id:#x})"
        )
    if version > schema.VERSION:
        return []
    if version < schema.VERSION:
        if complete:
            found += check.check_structure(connection)
        if found:
            raise NotSafe(found[0])
        return []
    return found + (check.full(connection) if complete else check.cheap(connection))


# -- repairing ----------------------------------------------------------------------


@contextlib.contextmanager
def _kept_copy(paths: pathutils.Paths, now: float, *, only_log: bool = False) -> Iterator[str]:
    """Copy the damaged files, and remove the copy again if the block fails; yield its name."""
    kept = files.free_kept_name(paths, "damaged", now)
    try:
        if only_log:
            io.copy_file(paths.master_db + files.LOG, kept + files.LOG)
        else:
            files.copy(paths.master_db, kept)
        yield kept + (files.LOG if only_log else "")
    except FileExistsError:
        raise
    except BaseException:
        files.discard(kept)
        raise


def _rebuild(
    paths: pathutils.Paths,
    source: sqlite3.Connection,
    damage: list[str],
    problem: WalProblem | None,
    now: float,
) -> None:
    """Replace the database by a new one of what is undamaged; log what was wrong and is lost."""
    with _kept_copy(paths, now) as kept:
        os.close(os.open(paths.unfinished_db, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with contextlib.closing(
            sqlite3.connect(paths.unfinished_db, isolation_level=None)
        ) as target:
            losses = rebuild(source, target, now, ahead=problem is not None and problem.doubt)
            left = check.full(target)
            if left:
                raise NotSafe(f"{damage[0]}; the rebuilt database is damaged as well: {left[0]}")
        files.install(paths)
    for words in [*damage, *([problem.words] if problem is not None else [])]:
        logger.error("The database %s was damaged: %s", paths.master_db, words)
    for words in losses.words() or ["nothing is lost"]:
        logger.error("The database %s was rebuilt: %s", paths.master_db, words)
    logger.error("The damaged database is kept as %s", kept)


def _apply_log(paths: pathutils.Paths, problem: WalProblem, now: float) -> None:
    """Apply the log of an undamaged database: a repaired one, or all but an incomplete end.

    With an incomplete end it is not known whether job ids were given in it, so some are skipped.
    """
    with _kept_copy(paths, now, only_log=problem.incomplete) as kept:
        path = paths.master_db if problem.incomplete else paths.work_db
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            schema.prepare(connection)
            if problem.incomplete:
                connection.execute("BEGIN IMMEDIATE")
                last = rows.last_id(connection) + AHEAD
                id_gaps.skip_to(connection, last)
                connection.execute("COMMIT")
            else:
                connection.execute("PRAGMA journal_mode=DELETE")
        if not problem.incomplete:
            os.rename(paths.work_db, paths.unfinished_db)
            files.install(paths)
    if problem.incomplete:
        logger.info(
            "The last transaction in the log of %s is incomplete (a power cut?) and was not "
            "applied: %s; the log is kept as %s; new job ids start at %d",
            paths.master_db,
            problem.words,
            kept,
            last + 1,
        )
    else:
        logger.error(
            "The log of the database %s was damaged (%s) and has been repaired; nothing "
            "is lost; the damaged files are kept as %s",
            paths.master_db,
            problem.words,
            kept,
        )


# -- a new database from a damaged one -------------------------------------------------


#: How many job ids are skipped if the last ones that were given may be lost.
AHEAD = 1000
#: A run of more missing ids than this was skipped on purpose; a shorter one was lost.
_RUN = 1000
#: A job counter that is further than this above the highest job is damaged itself.
_PLAUSIBLE = 500_000

#: The error of a job that may have run: its row in a damaged database may be outdated.
UNSURE = "the database was damaged; this job may have run, and is not run again"


#: The columns of a table and its checksum; damaged ones can hold anything.
Row = Sequence[Any]

_OPS, _STATUS = (schema.COLUMNS["job_job"].index(name) for name in ("ops", "status"))


@dataclass
class Losses:
    """The data that could not be saved."""

    jobs: list[int] = field(default_factory=list)
    unsure: list[int] = field(default_factory=list)  # unfinished jobs that are not run
    logs: set[int] = field(default_factory=set)  # jobs whose logs lack lines
    values: list[str] = field(default_factory=list)  # settings of the queue
    last: int = 0  # the job counter: new ids are above it
    ahead: bool = False  # some ids are skipped

    def words(self) -> list[str]:
        """Return a line for each kind of loss."""
        found = [
            (self.jobs, "these jobs are lost and are shown as damaged: "),
            (self.unsure, "these unfinished jobs may have run and end in error: "),
            (self.logs, "the logs of these jobs lack lines: "),
        ]
        lines = [words + check.ranges(ids) for ids, words in found if ids]
        if self.values:
            lines.append(
                "these settings of the queue are reset to their defaults: " + ", ".join(self.values)
            )
        if self.ahead:
            lines.append(f"the last job ids may be lost; new ids start at {self.last + 1}")
        return lines


def rebuild(
    source: sqlite3.Connection, target: sqlite3.Connection, now: float, *, ahead: bool = False
) -> Losses:
    """Fill the empty database ``target`` with the undamaged rows of ``source``.

    ``ahead`` tells that the last changes may be lost. ``NotSafe`` if the configuration is
    damaged or the job ids in use are not known.
    """
    source.execute("PRAGMA cell_size_check=ON")
    losses = Losses(ahead=ahead)
    schema.create(target)
    schema.prepare(target)
    try:
        target.execute("BEGIN")
        _copy(target, "cluster_object", _configuration(source))
        _copy_values(source, target, losses)
        jobs = _JobRows(source)
        kept = _copy_jobs(jobs, target, _ids_in_use(source, jobs, losses), losses, now)
        _copy_logs(jobs, target, kept, losses)
        _close_gaps(target, losses)
        target.execute("COMMIT")
    except files.UNREADABLE as err:
        raise NotSafe(f"no database can be made from what is left: {err}") from None
    return losses


def _copy(target: sqlite3.Connection, table: str, rows: Iterable[Row]) -> None:
    target.executemany(schema.insert(table), rows)


# -- configuration ----------------------------------------------------------------


def _configuration(source: sqlite3.Connection) -> list[Row]:
    """Return the rows of all objects; ``NotSafe`` if one is damaged or missing."""
    try:
        problems = check.contradictions(check.load_objects(source))
        rows = source.execute(
            f"SELECT {schema.columns('cluster_object')} FROM cluster_object NOT INDEXED"
        ).fetchall()
    except check.UNREADABLE as err:
        raise NotSafe(f"the configuration cannot be read: {err}") from None
    with contextlib.suppress(*files.UNREADABLE):
        # The index holds all names a second time. A wrong name in it is damage of the index
        # only; but if it has more names than there are objects, some objects have vanished.
        others, names = check.names_in_index(source), {(row[0], row[2]) for row in rows}
        if len(others - names) > len(names - others):
            problems.append(f"objects are missing, such as {' '.join(min(others - names))}")
    if problems:
        raise NotSafe(f"the configuration is damaged: {problems[0]}")
    return rows


def _copy_values(source: sqlite3.Connection, target: sqlite3.Connection, losses: Losses) -> None:
    found: dict[str, Row] = {}
    with contextlib.suppress(*files.UNREADABLE):
        for row in source.execute(f"SELECT {schema.columns('cluster_value')} FROM cluster_value"):
            found[row[0]] = row
    for name in ("queue.drained", "queue.watcher_pause", "queue.served", "queue.filters"):
        if name not in found:
            try:
                row = source.execute(
                    f"SELECT {schema.columns('cluster_value')} FROM cluster_value WHERE name = ?",
                    (name,),
                ).fetchone()
            except files.UNREADABLE:
                losses.values.append(name)
                continue
            if row is not None:
                found[name] = row
    whole = [row for row in found.values() if schema.is_whole(row)]
    losses.values += [str(row[0]) for row in found.values() if not schema.is_whole(row)]
    _copy(target, "cluster_value", whole)


# -- jobs -----------------------------------------------------------------------------


class _JobRows:
    """The rows of jobs and of their opcodes, as far as they can be read."""

    def __init__(self, source: sqlite3.Connection) -> None:
        self._source = source
        #: Tables with rows that could not be read, or were out of order.
        self._broken: set[str] = set()
        self.rows: dict[int, Row] = {}
        self.ops: dict[int, list[Row]] = {}
        for row in self.scan("job_job"):
            self.rows[row[0]] = row
        for row in self.scan("job_op"):
            self.ops.setdefault(row[0], []).append(row)

    def scan(self, table: str) -> Iterator[Row]:
        """Yield the rows with plausible keys, up to the first one that cannot be read."""
        keys = len(check.KEYS[table])
        before: tuple[int, ...] = (-1,)
        try:
            for row in self._source.execute(
                f"SELECT {schema.columns(table)} FROM {table} NOT INDEXED"
            ):
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
        """Return whether one of the tables could not be read in order: its rows may be outdated.

        SQLite may have read an outdated page instead of the right one.
        """
        return not self._broken.isdisjoint(tables)

    def rows_of(self, table: str, job_id: int) -> list[Row] | None:
        """Return the rows of one job; None if they cannot be read."""
        try:
            return self._source.execute(
                f"SELECT {schema.columns(table)} FROM {table} NOT INDEXED WHERE "
                f"{check.KEYS[table][0]} = ?",
                (job_id,),
            ).fetchall()
        except files.UNREADABLE:
            return None

    def whole(self, job_id: int) -> tuple[Row, list[Row]] | None:
        """Return a job's row and those of its opcodes; None if one is damaged or missing."""
        row, ops = self.rows.get(job_id), self.ops.get(job_id, [])
        if row is not None and _is_whole_job(row, ops):
            return row, ops
        # The scan may have stopped before these rows: look them up by their key.
        found = self.rows_of("job_job", job_id)
        ops = self.rows_of("job_op", job_id) or []
        if found and _is_whole_job(found[0], ops):
            return found[0], ops
        return None


def _is_whole_job(row: Row, ops: list[Row]) -> bool:
    """Return whether the rows of a job and its opcodes are undamaged, and none is missing."""
    if not all(map(schema.is_whole, [row, *ops])):
        return False
    indexes = [op[1] for op in ops]
    return len(ops) == row[_OPS] and indexes == list(range(len(ops)))


def _ids_in_use(source: sqlite3.Connection, jobs: _JobRows, losses: Losses) -> list[int]:
    """Return the ids that must still name a job, and set the new job counter in ``losses``.

    ``NotSafe`` if neither the counter nor the tables tell which ids were given.
    """
    gaps = counter = None
    highest = max([0, *jobs.rows, *jobs.ops])
    with contextlib.suppress(*check.UNREADABLE):
        highest = max(
            highest,
            *source.execute(
                "SELECT coalesce(max(job_id), 0) FROM job_log WHERE typeof(job_id) = 'integer'"
            ).fetchone(),
        )
    with contextlib.suppress(*check.UNREADABLE):
        gaps = id_gaps.gaps(source)
        highest = max([highest, *(last for _, last in gaps)])
    with contextlib.suppress(*check.UNREADABLE):
        counter = rows.last_id(source)
    there = not jobs.broken("job_job") or not jobs.broken("job_op")
    if counter is None or counter < highest or (there and counter > highest + _PLAUSIBLE):
        if not there:
            raise NotSafe("the job ids in use are not known")
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


def _guess_gaps(source: sqlite3.Connection, jobs: _JobRows, last: int) -> list[tuple[int, int]]:
    """Return the gaps in the ids, as far as they can be inferred from the jobs that are left.

    All missing ids are gaps if their number is that of the ids that were skipped or purged; or,
    if that number is not known, if both tables could be read in full. Otherwise some jobs were
    lost, and only a run of missing ids that is too long for a loss is a gap.
    """
    there = sorted({0, *jobs.rows, *jobs.ops, last + 1})
    runs = [
        (before + 1, after - 1) for before, after in zip(there, there[1:]) if after - before > 1
    ]
    try:
        explained = id_gaps.count(source) == sum(end - first + 1 for first, end in runs)
    except check.UNREADABLE:
        explained = not jobs.broken("job_job", "job_op")
    if explained:
        return runs
    return [(first, end) for first, end in runs if end - first + 2 > _RUN]


def _copy_jobs(
    jobs: _JobRows, target: sqlite3.Connection, ids: Iterable[int], losses: Losses, now: float
) -> set[int]:
    """Copy the undamaged jobs, and write a damaged one for each other id.

    Return the ids of the undamaged ones.
    """
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
            job.give_up(UNSURE, Moment(now, job.received_served))
            rows.replace(target, job)
    return kept


def _copy_logs(jobs: _JobRows, target: sqlite3.Connection, kept: set[int], losses: Losses) -> None:
    """Copy the undamaged lines of logs, and write ``rows.DAMAGED_LINE`` for each other one."""
    serials: dict[int, int] = {}

    def copy_line(row: Row) -> None:
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
                rows.add_log(
                    target, job_id, index, LogEntry(serial, (0, 0), LOG_MESSAGE, rows.DAMAGED_LINE)
                )

    for row in jobs.scan("job_log"):
        copy_line(row)
    if jobs.broken("job_log"):
        for job_id in sorted(kept):
            lines = jobs.rows_of("job_log", job_id)
            if lines is None:
                losses.logs.add(job_id)
            elif job_id not in serials:
                for row in lines:
                    copy_line(row)


def _close_gaps(target: sqlite3.Connection, losses: Losses) -> None:
    """Store the job counter, and as gaps all ids up to it that no job has."""
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
