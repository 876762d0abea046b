"""Jobs as rows of the database: how they are written.

Every function takes the connection of a transaction and is meant for
``Store.write``. ``records`` reads what is written here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from ganeti import errors, serializer
from ganeti.constants import JOB_FINAL, JobStatus
from ganeti.db import schema
from ganeti.db.schema import checksum
from ganeti.jqueue.clocks import Moment
from ganeti.jqueue.job import Job, JobOp, LogEntry, to_us
from ganeti.opcodes import OpCode
from ganeti.request_context import RequestContext

_FINAL = tuple(sorted(map(str, JOB_FINAL)))
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
        received_served=moment.served,
        ops=[JobOp.of(_adopted(op, job_id, index, nanoseconds)) for index, op in enumerate(ops)],
    )


def insert_all(connection: sqlite3.Connection, jobs: Sequence[Job]) -> None:
    """Store new jobs: a statement for many rows costs little more than one for one."""
    _insert_rows(connection, "job_job", [_job_row(job) for job in jobs])
    _insert_rows(
        connection, "job_op", [_op_row(job, index) for job in jobs for index in range(len(job.ops))]
    )


def _insert_rows(connection: sqlite3.Connection, table: str, rows: list[list[Any]]) -> None:
    for start in range(0, len(rows), _ROWS):
        chunk = rows[start : start + _ROWS]
        connection.execute(
            schema.insert(table, len(chunk)), [value for row in chunk for value in row]
        )


def last_id(connection: sqlite3.Connection) -> int:
    """The highest id that was ever given."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'job_job'").fetchone()
    return 0 if row is None else int(row[0])


def _adopted(op: OpCode, job_id: int, index: int, nanoseconds: int) -> OpCode:
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
    """Store this job in the place of whatever stands under its id."""
    connection.execute("DELETE FROM job_op WHERE job_id = ?", (job.id,))
    connection.execute(_REPLACE_JOB, _job_row(job))
    _insert_rows(connection, "job_op", [_op_row(job, index) for index in range(len(job.ops))])


def _job_row(job: Job) -> list[Any]:
    context = job.context
    row = [
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


def _op_row(job: Job, index: int) -> list[Any]:
    op = job.ops[index]
    text = serializer.dumps(op.view if op.status in JOB_FINAL or op.op is None else op.op.to_wire())
    row = [
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
    serial, stamp, kind, text = entry
    row = (job_id, serial, index, to_us(stamp), kind, serializer.dumps(text))
    connection.execute(_REPLACE_LOG, (*row, checksum(*row)))


def set_priority(connection: sqlite3.Connection, job_id: int, priority: int) -> None:
    """Store the priority of the opcodes that are not known to have begun.

    One that may be run again is stored as begun only when it ends: after a crash it is pending.
    """
    if is_id(job_id):
        where = f"job_id = {job_id:d} AND status IN {_PENDING}"
        connection.execute(f"UPDATE job_op SET priority = ? WHERE {where}", (priority,))
        connection.execute(schema.seal("job_op", where))


def archive(connection: sqlite3.Connection, job_ids: Sequence[int]) -> int:
    """Put final jobs away; how many were."""
    done = 0
    for job_id in filter(is_id, job_ids):
        changed = connection.execute(
            f"UPDATE job_job SET archived = 1 WHERE id = ? AND archived = 0 AND status IN {_FINAL}",
            (job_id,),
        ).rowcount
        if changed:
            connection.execute(schema.seal("job_job", f"id = {job_id:d}"))
        done += changed
    return done


def delete(connection: sqlite3.Connection, job_id: int) -> int:
    """Delete a job with its log; how many opcodes it had. Its id is then a gap (``skips``)."""
    connection.execute("DELETE FROM job_log WHERE job_id = ?", (job_id,))
    ops = connection.execute("DELETE FROM job_op WHERE job_id = ?", (job_id,)).rowcount
    connection.execute("DELETE FROM job_job WHERE id = ?", (job_id,))
    return ops


def set_value(connection: sqlite3.Connection, name: str, value: Any) -> None:
    """Store a switch of the queue."""
    schema.store_value(connection, f"queue.{name}", serializer.dumps(value))


def is_id(number: int) -> bool:
    """Can a job have this number? SQLite's integers have 64 bits."""
    return 0 <= number < 1 << 63
