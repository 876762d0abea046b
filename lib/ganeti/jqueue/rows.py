"""Jobs as rows of the database: written, and read again.

Every function that writes takes the connection of a transaction and is meant for
``Store.write``.

A row is compared with its checksum before it is believed. A job of which something is not as
it was written is shown as one that ended in error and says so: its id still names a job, and
nobody takes for true what is not.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from ganeti import errors, opcodes, serializer
from ganeti.constants import JOB_FINAL, LOG_MESSAGE, JobStatus
from ganeti.db import schema
from ganeti.db.schema import Value
from ganeti.db.store import Store
from ganeti.jqueue.job import Job, JobOp, LogEntry, Moment, Timestamp, from_us, to_us
from ganeti.luxi import RequestContext
from ganeti.opcodes import OpCode
from ganeti.utils.checksum import checksum

logger = logging.getLogger(__name__)

# -- writing ---------------------------------------------------------------------------


_FINAL_STATUSES = tuple(sorted(map(str, JOB_FINAL)))
#: Condition of rows of ``job_job``: the job has ended.
IS_FINAL = f"status IN {_FINAL_STATUSES}"
_PENDING = (str(JobStatus.QUEUED), str(JobStatus.WAITING))

#: Rows that one statement takes at most; each number of them is a statement of its own,
#: which SQLite keeps prepared.
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
    """A new job that is not stored yet; its dependencies become absolute.

    The reason trail of each opcode ends with who took it up, as luxid 3.0 has it.
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
    """Store new jobs: a statement for many rows costs little more than one for one."""
    _insert_rows(connection, "job_job", [_job_row(job) for job in jobs])
    _insert_rows(
        connection, "job_op", [_op_row(job, index) for job in jobs for index in range(len(job.ops))]
    )


def _insert_rows(connection: sqlite3.Connection, table: str, rows: list[list[Value]]) -> None:
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


def resolve(depends: Sequence[Sequence[Any]], job_id: int) -> list[list[Any]]:
    """Dependencies that name jobs by id; negative ones count back from the job's own.

    ``GenericError`` if that leads below the first job.
    """
    absolute = []
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
    """Store a job's status and times, and these of its opcodes.

    A final opcode is stored as it is shown: secrets do not outlive the work.
    """
    connection.execute(
        "UPDATE job_job SET status = ?, start_us = ?, end_us = ?, end_served = ?, sum = ? "
        "WHERE id = ?",
        (
            str(job.status),
            to_us(job.start_ts),
            to_us(job.end_ts),
            job.end_served,
            _job_row(job)[-1],
            job.id,
        ),
    )
    for index in indices:
        row = _op_row(job, index)
        connection.execute(
            "UPDATE job_op SET op = ?, summary = ?, status = ?, priority = ?, result = ?, "
            "start_us = ?, exec_us = ?, end_us = ?, sum = ? WHERE job_id = ? AND idx = ?",
            (*row[2:], job.id, index),
        )
        for line in job.ops[index].unsaved:
            add_log(connection, job.id, index, line)


def replace(connection: sqlite3.Connection, job: Job) -> None:
    """Store this job, replacing whatever has its id."""
    connection.execute("DELETE FROM job_op WHERE job_id = ?", (job.id,))
    connection.execute(_REPLACE_JOB, _job_row(job))
    _insert_rows(connection, "job_op", [_op_row(job, index) for index in range(len(job.ops))])


def _job_row(job: Job) -> list[Value]:
    context = job.context
    row: list[Value] = [
        job.id,
        str(job.status),
        to_us(job.received_ts),
        to_us(job.start_ts),
        to_us(job.end_ts),
        int(job.archived),
        context.user,
        context.request_id,
        context.idempotency_key,
        context.request_digest,
        job.received_served,
        job.end_served,
        len(job.ops),
    ]
    return [*row, checksum(*row)]


def _op_row(job: Job, index: int) -> list[Value]:
    op = job.ops[index]
    text = serializer.dumps(op.view if op.status in JOB_FINAL or op.op is None else op.op.to_wire())
    row: list[Value] = [
        job.id,
        index,
        text,
        op.summary,
        str(op.status),
        op.priority,
        None if op.result is None else serializer.dumps(op.result),
        to_us(op.start_ts),
        to_us(op.exec_ts),
        to_us(op.end_ts),
    ]
    return [*row, checksum(*row)]


def add_log(connection: sqlite3.Connection, job_id: int, index: int, entry: LogEntry) -> None:
    """Store one log entry."""
    row = (
        job_id,
        entry.serial,
        index,
        to_us(entry.time),
        entry.kind,
        serializer.dumps(entry.text),
    )
    connection.execute(_REPLACE_LOG, (*row, checksum(*row)))


def set_priority(connection: sqlite3.Connection, job_id: int, priority: int) -> None:
    """Store the priority of the opcodes that are not known to have begun.

    One that may be run again is stored as begun only when it ends: after a crash it is pending.
    """
    if is_id(job_id):
        where = f"job_id = {job_id:d} AND status IN {_PENDING}"
        connection.execute(f"UPDATE job_op SET priority = ? WHERE {where}", (priority,))
        connection.execute(schema.update_sums("job_op", where))


def archive(connection: sqlite3.Connection, job_ids: Sequence[int]) -> int:
    """Put final jobs away; how many were."""
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
    """Delete a job with its log; how many opcodes it had. Its id is then a gap (``id_gaps``)."""
    connection.execute("DELETE FROM job_log WHERE job_id = ?", (job_id,))
    ops = connection.execute("DELETE FROM job_op WHERE job_id = ?", (job_id,)).rowcount
    connection.execute("DELETE FROM job_job WHERE id = ?", (job_id,))
    return ops


def set_value(connection: sqlite3.Connection, name: str, value: Any) -> None:
    """Store a switch of the queue."""
    schema.store_value(connection, f"queue.{name}", serializer.dumps(value))


def is_id(number: int) -> bool:
    """Return whether a job can have this number: SQLite's integers have 64 bits."""
    return 0 <= number < 1 << 63


# -- reading ---------------------------------------------------------------------------


#: Ids that go into one statement (SQLite takes 32,766 variables at most).
_CHUNK = 500
_JOB_COLUMNS = ", ".join((*schema.COLUMNS["job_job"], "sum"))
_OP_COLUMNS = ", ".join((*schema.COLUMNS["job_op"], "sum"))
_LOG_COLUMNS = ", ".join((*schema.COLUMNS["job_log"], "sum"))

#: (job id, index of the opcode) -> its log.
Lines = Callable[[int, int], list[LogEntry]]

#: What a job says whose record is not as it was written (its only opcode's result).
DAMAGED = (
    "the record of this job is damaged: what it was, and whether it did its work, is not known"
)


def value(connection: sqlite3.Connection, name: str, default: Any) -> Any:
    """Return a stored switch of the queue."""
    try:
        text = schema.stored_value(connection, f"queue.{name}")
    except ValueError as err:
        logger.error("In the database %s; it is taken as %r", err, default)
        return default
    return default if text is None else serializer.loads(text)


def service_seconds(connection: sqlite3.Connection) -> int:
    """Return the last value of ``Clocks.service_seconds`` that is known."""
    found = [value(connection, "served", 0)]
    for column, order in (
        ("received_served", "ORDER BY id DESC"),
        ("end_served", f"WHERE archived = 0 AND {IS_FINAL} ORDER BY end_served DESC"),
    ):
        for row in connection.execute(
            f"SELECT {column}, {_JOB_COLUMNS} FROM job_job {order} LIMIT {_CHUNK}"
        ):
            if schema.is_whole(row[1:]):  # one that is not may be years ahead: all jobs
                found.append(row[0])  # would be old at once
                break
    return max(number for number in found if isinstance(number, int))


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
    """(id, digest of the request) of the job that a user's key names, accepted after ``since``."""
    row = connection.execute(
        "SELECT id, request_digest, received_served FROM job_job WHERE idempotency_key = ? "
        "AND coalesce(user, '') = ? ORDER BY id DESC LIMIT 1",
        (context.idempotency_key, context.user or ""),
    ).fetchone()
    return None if row is None or row[2] < since else (row[0], row[1])


def archivable(connection: sqlite3.Connection, before: int | None) -> list[int]:
    """Ids of final jobs that ended before that second of service (None: whenever), oldest first.

    A job that has no end (one without opcodes) goes only with None.
    """
    sql = f"SELECT id FROM job_job WHERE archived = 0 AND {IS_FINAL}"
    if before is not None:
        sql += f" AND end_served <= {before:d}"
    return [row[0] for row in connection.execute(sql + " ORDER BY id")]


def purgeable(connection: sqlite3.Connection, before: int, after: int, limit: int) -> list[int]:
    """Ids above ``after`` of archived jobs that ended at that second of service or before.

    The newest job is not among them. One without opcodes ended when it was received.
    """
    return [
        row[0]
        for row in connection.execute(
            f"SELECT id FROM job_job WHERE id > ? AND archived = 1 AND {IS_FINAL} "
            "AND CASE WHEN ops = 0 THEN received_served ELSE end_served END <= ? "
            "AND id < (SELECT max(id) FROM job_job) ORDER BY id LIMIT ?",
            (after, before, limit),
        )
    ]


def depended_on(connection: sqlite3.Connection) -> set[int]:
    """Return the ids of jobs on which unfinished jobs depend."""
    found: set[int] = set()
    for (text,) in connection.execute(
        "SELECT op FROM job_op WHERE instr(op, '\"depends\"') AND job_id IN "
        f"(SELECT id FROM job_job WHERE status NOT IN {_FINAL_STATUSES})"
    ):
        with contextlib.suppress(serializer.ParseError, TypeError, ValueError, AttributeError):
            found.update(
                int(job) for job, _ in serializer.loads_lenient(text.encode()).get("depends") or ()
            )
    return found


def load(store: Store, ids: Sequence[int] | None, *, archived: bool) -> list[Job]:
    """Stored jobs, ascending: these, or all that have ended (archived only if asked)."""
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
        return _jobs(store, connection, f"WHERE status NOT IN {_FINAL_STATUSES}", [])


def _jobs(
    store: Store, connection: sqlite3.Connection, where: str, arguments: Sequence[Any]
) -> list[Job]:
    connection.execute("BEGIN")  # both reads see one state
    try:
        rows = connection.execute(
            f"SELECT {_JOB_COLUMNS} FROM job_job {where} ORDER BY id", arguments
        ).fetchall()
        op_rows = connection.execute(
            f"SELECT {_OP_COLUMNS} FROM job_op WHERE job_id IN "
            f"(SELECT id FROM job_job {where}) ORDER BY job_id, idx",
            arguments,
        )
        ops: dict[int, list[Sequence[Any]]] = {}
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


def build(
    row: Sequence[Any], op_rows: Sequence[Sequence[Any]], lines: Lines = lambda job_id, index: []
) -> Job:
    """Return a job from its rows; ``damaged`` if one of them is damaged or missing."""
    (
        job_id,
        _,
        received,
        start,
        end,
        archived,
        user,
        request_id,
        key,
        digest,
        received_served,
        end_served,
        count_,
        _,
    ) = row
    is_whole = schema.is_whole(row) and all(map(schema.is_whole, op_rows))
    if not is_whole or len(op_rows) != count_:
        logger.error("The record of job %s is damaged", job_id)
        return damaged(job_id)
    try:
        ops = [_op(op, lines) for op in op_rows]
    except serializer.ParseError as err:
        logger.error("The record of job %s holds something that is no JSON: %s", job_id, err)
        return damaged(job_id)
    return Job(
        id=job_id,
        ops=ops,
        received_ts=from_us(received),
        start_ts=stamp_of(start),
        end_ts=stamp_of(end),
        archived=bool(archived),
        received_served=received_served,
        end_served=end_served,
        context=RequestContext(user, request_id, key, digest),
    )


def damaged(job_id: int) -> Job:
    """Return the job that is shown for an id whose rows are damaged."""
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
    """Microseconds since the epoch as a pair."""
    return None if micros is None else from_us(micros)


def _op(row: Sequence[Any], lines: Lines) -> JobOp:
    job_id, index, text, summary, state, priority, result, start, execution, end, _ = row
    view, op = _opcode(text, summary, state in JOB_FINAL)
    return JobOp(
        view=view,
        summary=summary,
        op=op,
        status=JobStatus(state),
        priority=priority,
        result=None if result is None else serializer.loads_lenient(result.encode()),
        start_ts=stamp_of(start),
        exec_ts=stamp_of(execution),
        end_ts=stamp_of(end),
        lines=None,
        load_lines=partial(lines, job_id, index),
    )


def _opcode(text: str, summary: str, final: bool) -> tuple[dict[str, Any], OpCode | None]:
    """How a stored opcode is shown; and itself, if it is to run and can be read."""
    wire = serializer.loads_lenient(text.encode())
    if final and isinstance(wire, dict):
        return wire, None
    if not final:
        try:
            op = opcodes.load(wire)
            return op.to_view(), op
        except (opcodes.FieldError, errors.OpCodeUnknown) as err:
            logger.error("A stored opcode cannot be read: %s", err)
    # It may hold secrets, and nobody knows where.
    return {"OP_ID": "OP_" + summary.partition("(")[0]}, None


class _Lines:
    """Log lines of some jobs: of all of them at once, when those of the first are asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ids: list[int] = []
        self._found: dict[tuple[int, int], list[LogEntry]] | None = None

    def add(self, job_id: int) -> None:
        """Be ready for this job too."""
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


def log_entry(row: Sequence[Any]) -> LogEntry:
    """Return one entry of a log; one that is damaged says so."""
    job_id, serial, _, micros, kind, text, _ = row
    if not schema.is_whole(row):
        logger.error("Line %s of the log of job %s is damaged", serial, job_id)
        return LogEntry(serial, (0, 0), LOG_MESSAGE, "(this line of the log is damaged)")
    return LogEntry(serial, from_us(micros), kind, serializer.loads_lenient(text.encode()))
