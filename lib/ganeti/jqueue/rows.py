"""Jobs as rows of the database, written and read.

Functions that write take the connection of a transaction and are meant for ``Store.write``.

Every row is checked against its checksum when it is read. A job of which any row is damaged or
missing is replaced by one that ended in error and says so (``damaged``): its id still names a job,
but nothing that may be wrong is shown, let alone run.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from ganeti import errors, opcodes, serializer
from ganeti.constants import JOB_FINAL, LOG_MESSAGE, JobStatus
from ganeti.db import schema
from ganeti.db.schema import Value
from ganeti.db.store import Store
from ganeti.jqueue.job import Job, JobOp, LogEntry, Moment, Timestamp, from_us, to_us
from ganeti.luxi import RequestContext
from ganeti.opcodes import OpCode
from ganeti.serializer import Json, JsonObject
from ganeti.utils.checksum import checksum

logger = logging.getLogger(__name__)

#: SQL conditions for rows of ``job_job`` and ``job_op``: it has ended, or not. They list the
#: statuses in the order in which the indexes do (``db.schema``), or SQLite would not use these.
IS_FINAL = "status IN ('canceled', 'error', 'success')"
IS_UNFINISHED = "status NOT IN ('canceled', 'success', 'error')"


class StoredJob(NamedTuple):
    """A row of ``job_job``: the columns of the table, and ``sum``."""

    id: int
    status: str
    received_us: int
    start_us: int | None
    end_us: int | None
    archived: int
    user: str | None
    request_id: str | None
    idempotency_key: str | None
    request_digest: str | None
    received_served: int
    end_served: int | None
    ops: int
    sum: int = 0


class StoredOp(NamedTuple):
    """A row of ``job_op``: the columns of the table, and ``sum``."""

    job_id: int
    idx: int
    op: str
    summary: str
    status: str
    priority: int
    result: str | None
    start_us: int | None
    exec_us: int | None
    end_us: int | None
    sum: int = 0


class StoredLine(NamedTuple):
    """A row of ``job_log``: the columns of the table, and ``sum``."""

    job_id: int
    serial: int
    idx: int
    time_us: int
    kind: str
    text: str
    sum: int = 0


#: A row as SQLite returns it, in the order of the columns above.
Row = Sequence[Value]

# -- writing ---------------------------------------------------------------------------


_PENDING = (str(JobStatus.QUEUED), str(JobStatus.WAITING))

#: Maximum number of rows in one statement. Each number of rows is a statement of its own, which
#: SQLite keeps prepared.
_ROWS = 32

_REPLACE_JOB = schema.insert("job_job", verb="INSERT OR REPLACE")
_REPLACE_LOG = schema.insert("job_log", verb="INSERT OR REPLACE")


def insert(
    connection: sqlite3.Connection,
    ops: Sequence[OpCode],
    context: RequestContext,
    moment: Moment,
) -> Job:
    """Store a new job under the next id."""
    job = make(last_id(connection) + 1, ops, context, moment)
    insert_all(connection, [job])
    return job


def make(job_id: int, ops: Sequence[OpCode], context: RequestContext, moment: Moment) -> Job:
    """Return a new job that is not stored yet; its dependencies become absolute.

    The reason trail of each opcode gets an entry with the job's id and the opcode's index, as
    luxid 3.0 adds it.
    """
    received = moment.stamp
    nanoseconds = received[0] * 10**9 + received[1] * 1000
    return Job(
        id=job_id,
        received_ts=received,
        context=context,
        received_served=moment.service_seconds,
        ops=[
            JobOp.of(_with_absolute_depends(op, job_id, index, nanoseconds))
            for index, op in enumerate(ops)
        ],
    )


def insert_all(connection: sqlite3.Connection, jobs: Sequence[Job]) -> None:
    """Store new jobs. A statement for many rows costs little more than one for a single row."""
    _insert_rows(connection, "job_job", [_job_row(job) for job in jobs])
    _insert_rows(
        connection, "job_op", [_op_row(job, index) for job in jobs for index in range(len(job.ops))]
    )


def _insert_rows(connection: sqlite3.Connection, table: str, rows: Sequence[Row]) -> None:
    for start in range(0, len(rows), _ROWS):
        chunk = rows[start : start + _ROWS]
        connection.execute(
            schema.insert(table, len(chunk)), [value for row in chunk for value in row]
        )


def last_id(connection: sqlite3.Connection) -> int:
    """Return the highest id that was ever given."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'job_job'").fetchone()
    return 0 if row is None else int(row[0])


def _with_absolute_depends(op: OpCode, job_id: int, index: int, nanoseconds: int) -> OpCode:
    source = "gnt:opcode:" + op.OP_ID.removeprefix("OP_").lower()
    reason = [*op.reason, [source, f"job={job_id};index={index}", nanoseconds]]
    return op.with_trail(reason, resolve(op.depends, job_id) if op.depends else None)


def resolve(
    depends: Sequence[tuple[int | str, Sequence[str]]], job_id: int
) -> list[list[int | list[str]]]:
    """Return dependencies with the ids of jobs; negative ones count back from ``job_id``.

    Raises ``GenericError`` if one leads below the first job.
    """
    absolute: list[list[int | list[str]]] = []
    for job, statuses in depends:
        number = int(job)
        if number < 0:
            number += job_id
            if number < 1:
                raise errors.GenericError(
                    f"relative dependency {job} of job {job_id} leads to no job"
                )
        absolute.append([number, list(statuses)])
    return absolute


def save(connection: sqlite3.Connection, job: Job, indices: Iterable[int]) -> None:
    """Store a job's status and times, and the opcodes at these indices.

    A final opcode is stored as it is shown, so that secrets do not outlive the work.
    """
    connection.execute(
        "UPDATE job_job SET status = ?, start_us = ?, end_us = ?, end_served = ?, sum = ? "
        "WHERE id = ?",
        (
            str(job.status),
            to_us(job.start_ts),
            to_us(job.end_ts),
            job.end_served,
            _job_row(job).sum,
            job.id,
        ),
    )
    for index in indices:
        row = _op_row(job, index)
        connection.execute(
            "UPDATE job_op SET op = ?, summary = ?, status = ?, priority = ?, result = ?, "
            "start_us = ?, exec_us = ?, end_us = ?, sum = ? WHERE job_id = ? AND idx = ?",
            (
                row.op,
                row.summary,
                row.status,
                row.priority,
                row.result,
                row.start_us,
                row.exec_us,
                row.end_us,
                row.sum,
                job.id,
                index,
            ),
        )
        for entry in job.ops[index].unsaved:
            add_log(connection, job.id, index, entry)


def replace(connection: sqlite3.Connection, job: Job) -> None:
    """Store a job, replacing the rows that have its id."""
    connection.execute("DELETE FROM job_op WHERE job_id = ?", (job.id,))
    connection.execute(_REPLACE_JOB, _job_row(job))
    _insert_rows(connection, "job_op", [_op_row(job, index) for index in range(len(job.ops))])


def _job_row(job: Job) -> StoredJob:
    context = job.context
    row = StoredJob(
        id=job.id,
        status=str(job.status),
        received_us=job.received_ts[0] * 1_000_000 + job.received_ts[1],
        start_us=to_us(job.start_ts),
        end_us=to_us(job.end_ts),
        archived=int(job.archived),
        user=context.user,
        request_id=context.request_id,
        idempotency_key=context.idempotency_key,
        request_digest=context.request_digest,
        received_served=job.received_served,
        end_served=job.end_served,
        ops=len(job.ops),
    )
    return row._replace(sum=checksum(*row[:-1]))


def _op_row(job: Job, index: int) -> StoredOp:
    op = job.ops[index]
    runnable = None if op.status in JOB_FINAL else op.op
    row = StoredOp(
        job_id=job.id,
        idx=index,
        op=serializer.dumps(op.view if runnable is None else runnable.to_wire()),
        summary=op.summary,
        status=str(op.status),
        priority=op.priority,
        result=None if op.result is None else serializer.dumps(op.result),
        start_us=to_us(op.start_ts),
        exec_us=to_us(op.exec_ts),
        end_us=to_us(op.end_ts),
    )
    return row._replace(sum=checksum(*row[:-1]))


def add_log(connection: sqlite3.Connection, job_id: int, index: int, entry: LogEntry) -> None:
    """Store one entry of an opcode's log."""
    row = StoredLine(
        job_id=job_id,
        serial=entry.serial,
        idx=index,
        time_us=entry.time[0] * 1_000_000 + entry.time[1],
        kind=entry.kind,
        text=serializer.dumps(entry.text),
    )
    connection.execute(_REPLACE_LOG, row._replace(sum=checksum(*row[:-1])))


def set_priority(connection: sqlite3.Connection, job_id: int, priority: int) -> None:
    """Store the priority of a job's opcodes that are not stored as begun.

    These may have begun if they can be run again (``live.Completion``); after a crash they are
    pending, and then the new priority is theirs.
    """
    if is_id(job_id):
        where = f"job_id = {job_id:d} AND status IN {_PENDING}"
        connection.execute(f"UPDATE job_op SET priority = ? WHERE {where}", (priority,))
        connection.execute(schema.update_sums("job_op", where))


def archive(connection: sqlite3.Connection, job_ids: Sequence[int]) -> int:
    """Archive those of the jobs that have ended; return how many were archived."""
    done = 0
    for job_id in filter(is_id, job_ids):
        changed = connection.execute(
            f"UPDATE job_job SET archived = 1 WHERE id = ? AND archived = 0 AND {IS_FINAL}",
            (job_id,),
        ).rowcount
        if changed:
            connection.execute(schema.update_sums("job_job", f"id = {job_id:d}"))
        done += changed
    return done


def delete(connection: sqlite3.Connection, job_id: int) -> int:
    """Delete a job with its log; return the number of its opcodes.

    The caller must store its id as a gap (``id_gaps``).
    """
    connection.execute("DELETE FROM job_log WHERE job_id = ?", (job_id,))
    ops = connection.execute("DELETE FROM job_op WHERE job_id = ?", (job_id,)).rowcount
    connection.execute("DELETE FROM job_job WHERE id = ?", (job_id,))
    return ops


def set_value(connection: sqlite3.Connection, name: str, value: object) -> None:
    """Store a setting of the queue, a JSON value."""
    schema.store_value(connection, f"queue.{name}", serializer.dumps(value))


def is_id(number: int) -> bool:
    """Return whether a number can be a job's id. SQLite's integers have 64 bits."""
    return 0 <= number < 1 << 63


# -- reading ---------------------------------------------------------------------------


#: Maximum number of ids in one statement; SQLite takes 32,766 variables at most.
_CHUNK = 500
_JOB_COLUMNS = schema.columns("job_job")
_OP_COLUMNS = schema.columns("job_op")
_LOG_COLUMNS = schema.columns("job_log")

#: (job id, index of the opcode) -> its log.
Lines = Callable[[int, int], list[LogEntry]]

#: The text of a log entry that stands for a damaged row.
DAMAGED_LINE = "(this line of the log is damaged)"
#: The result of the only opcode of a job that stands for damaged rows.
DAMAGED = (
    "the record of this job is damaged: what it was, and whether it did its work, is not known"
)


def value(connection: sqlite3.Connection, name: str, default: Json) -> Json:
    """Return a stored setting of the queue; ``default`` if it is not set, or damaged."""
    try:
        text = schema.stored_value(connection, f"queue.{name}")
    except ValueError as err:
        logger.error("In the database %s; it is taken as %r", err, default)
        return default
    if text is None:
        return default
    found: Json = serializer.loads(text)
    return found


def service_seconds(connection: sqlite3.Connection) -> int:
    """Return the last known value of ``Clocks.service_seconds``.

    It is stored once an hour and when the master stops; a master that was killed may have
    served longer, which shows in the jobs that it received and ended.
    """
    stored = value(connection, "served", 0)
    found = [stored if isinstance(stored, int) else 0]
    for column, order in (
        ("received_served", "ORDER BY id DESC"),
        ("end_served", f"WHERE archived = 0 AND {IS_FINAL} ORDER BY end_served DESC"),
    ):
        for row in connection.execute(
            f"SELECT {column}, {_JOB_COLUMNS} FROM job_job {order} LIMIT {_CHUNK}"
        ):
            # A damaged row may claim a time years ahead, which would make all jobs old at once.
            if schema.is_whole(row[1:]):
                found.append(row[0] or 0)
                break
    return max(found)


def status(connection: sqlite3.Connection, job_id: int) -> JobStatus | None:
    """Return a job's stored status, or None if there is no such job."""
    row = connection.execute("SELECT status FROM job_job WHERE id = ?", (job_id,)).fetchone()
    return None if row is None else read_status(row[0])


def read_status(text: object) -> JobStatus:
    """Parse a stored status; an unknown value means a damaged row and counts as ERROR."""
    return JobStatus(str(text)) if text in list(JobStatus) else JobStatus.ERROR


def find_key(
    connection: sqlite3.Connection, context: RequestContext, since: int
) -> tuple[int, str | None] | None:
    """Return id and request digest of the job that a context's key names, or None.

    Jobs that were received before ``since`` (in seconds of service) do not count.
    """
    row = connection.execute(
        "SELECT id, request_digest, received_served FROM job_job WHERE idempotency_key = ? "
        "AND coalesce(user, '') = ? ORDER BY id DESC LIMIT 1",
        (context.idempotency_key, context.user or ""),
    ).fetchone()
    if row is None:
        return None
    job_id, digest, received = row
    return None if received < since else (job_id, digest)


def archivable(connection: sqlite3.Connection, before: int | None) -> list[int]:
    """Return the ids of jobs to archive, ascending: those that ended by a second of service.

    With None, all that have ended; only then a job without opcodes, which has no time of its
    end.
    """
    sql = f"SELECT id FROM job_job WHERE archived = 0 AND {IS_FINAL}"
    if before is not None:
        sql += f" AND end_served <= {before:d}"
    return [row[0] for row in connection.execute(sql + " ORDER BY id")]


def load(store: Store, ids: Sequence[int] | None, *, archived: bool) -> list[Job]:
    """Return stored jobs, ascending: those with these ids, or (None) all that have ended.

    With ``ids`` None, archived jobs are included only if ``archived`` says so.
    """
    with store.read() as connection:
        if ids is None:
            where = f"WHERE {IS_FINAL}" + ("" if archived else " AND archived = 0")
            return _jobs(store, connection, where, [])
        found: list[Job] = []
        wanted = sorted(set(filter(is_id, ids)))
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            marks = ", ".join("?" * len(chunk))
            found += _jobs(store, connection, f"WHERE id IN ({marks})", chunk)
        return found


def load_live(store: Store) -> list[Job]:
    """Return the jobs that have not ended."""
    with store.read() as connection:
        return _jobs(store, connection, f"WHERE {IS_UNFINISHED}", [])


def _jobs(
    store: Store, connection: sqlite3.Connection, where: str, arguments: Sequence[Value]
) -> list[Job]:
    connection.execute("BEGIN")  # so that both queries see the same state
    try:
        rows = connection.execute(
            f"SELECT {_JOB_COLUMNS} FROM job_job {where} ORDER BY id", arguments
        ).fetchall()
        op_rows = connection.execute(
            f"SELECT {_OP_COLUMNS} FROM job_op WHERE job_id IN "
            f"(SELECT id FROM job_job {where}) ORDER BY job_id, idx",
            arguments,
        )
        ops: dict[int, list[Row]] = {}
        for row in op_rows:
            ops.setdefault(row[0], []).append(row)
    finally:
        connection.execute("COMMIT")
    found = []
    for number, row in enumerate(rows):
        if number % _CHUNK == 0:
            lines = _Lines(store)
        lines.add(row[0])
        found.append(build(row, ops.get(row[0], ()), lines.of))
    return found


def build(row: Row, op_rows: Sequence[Row], lines: Lines = lambda job_id, index: []) -> Job:
    """Return a job from its rows; ``damaged`` if one of them is damaged or missing."""
    stored = StoredJob._make(row)
    is_whole = schema.is_whole(row) and all(map(schema.is_whole, op_rows))
    if not is_whole or len(op_rows) != stored.ops:
        logger.error("The record of job %s is damaged", stored.id)
        return damaged(stored.id)
    try:
        ops = [_op(StoredOp._make(op_row), lines) for op_row in op_rows]
    except serializer.ParseError as err:
        logger.error("The record of job %s contains invalid JSON: %s", stored.id, err)
        return damaged(stored.id)
    return Job(
        id=stored.id,
        ops=ops,
        received_ts=from_us(stored.received_us),
        start_ts=stamp_of(stored.start_us),
        end_ts=stamp_of(stored.end_us),
        archived=bool(stored.archived),
        received_served=stored.received_served,
        end_served=stored.end_served,
        context=RequestContext(
            stored.user, stored.request_id, stored.idempotency_key, stored.request_digest
        ),
    )


def damaged(job_id: int) -> Job:
    """Return the job that stands for an id whose rows are damaged."""
    result = errors.encode(errors.JobQueueError(DAMAGED))
    return Job(
        id=job_id,
        received_ts=(0, 0),
        end_ts=(0, 0),
        damaged=True,
        ops=[
            JobOp(
                view={"OP_ID": "OP_UNREADABLE"},
                summary="UNREADABLE",
                status=JobStatus.ERROR,
                result=result,
                end_ts=(0, 0),
            )
        ],
    )


def stamp_of(micros: int | None) -> Timestamp | None:
    """Return microseconds since the epoch as a pair."""
    return None if micros is None else from_us(micros)


def _op(row: StoredOp, lines: Lines) -> JobOp:
    view, op = _opcode(row.op, row.summary, row.status in JOB_FINAL)
    return JobOp(
        view=view,
        summary=row.summary,
        op=op,
        status=JobStatus(row.status),
        priority=row.priority,
        result=None if row.result is None else serializer.loads_lenient(row.result.encode()),
        start_ts=stamp_of(row.start_us),
        exec_ts=stamp_of(row.exec_us),
        end_ts=stamp_of(row.end_us),
        lines=None,
        load_lines=partial(lines, row.job_id, row.idx),
    )


def _opcode(text: str, summary: str, final: bool) -> tuple[JsonObject, OpCode | None]:
    """Return how a stored opcode is shown, and the opcode itself if it can still run."""
    wire = serializer.loads_lenient(text.encode())
    if final and isinstance(wire, dict):
        return wire, None
    if not final:
        try:
            op = opcodes.load(wire)
            return op.to_view(), op
        except (opcodes.FieldError, errors.OpCodeUnknown) as err:
            logger.error("A stored opcode cannot be read: %s", err)
    # Show none of its fields: any of them may be a secret.
    return {"OP_ID": "OP_" + summary.partition("(")[0]}, None


class _Lines:
    """The logs of some jobs, which are read all at once when the first of them is needed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ids: list[int] = []
        self._found: dict[tuple[int, int], list[LogEntry]] | None = None

    def add(self, job_id: int) -> None:
        """Include a job in the read."""
        self._ids.append(job_id)

    def of(self, job_id: int, index: int) -> list[LogEntry]:
        """Return the log of one opcode."""
        if self._found is None:
            self._found = self._load()
        return self._found.pop((job_id, index), [])

    def _load(self) -> dict[tuple[int, int], list[LogEntry]]:
        found: dict[tuple[int, int], list[LogEntry]] = {}
        with self._store.read() as connection:
            for row in connection.execute(
                f"SELECT {_LOG_COLUMNS} FROM job_log WHERE job_id IN "
                f"({', '.join(map(str, self._ids))}) ORDER BY job_id, serial"
            ):
                found.setdefault((row[0], row[2]), []).append(log_entry(row))
        return found


def log_entry(row: Row) -> LogEntry:
    """Return one entry of a log; a damaged one says that it is."""
    stored = StoredLine._make(row)
    if not schema.is_whole(row):
        logger.error("Line %s of the log of job %s is damaged", stored.serial, stored.job_id)
        return LogEntry(stored.serial, (0, 0), LOG_MESSAGE, DAMAGED_LINE)
    text: Json = serializer.loads_lenient(stored.text.encode())
    return LogEntry(stored.serial, from_us(stored.time_us), stored.kind, text)
