"""Jobs as rows of the database: every statement about them is here.

Functions that write take the connection of a transaction and are meant for
``Store.write``; functions that read take any connection.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from ganeti import errors, luxi, opcodes, serializer
from ganeti.constants import JOB_FINAL, JobStatus
from ganeti.jqueue.job import Job, JobOp, LogEntry, from_us, timestamp, to_us
from ganeti.opcodes import OpCode
from ganeti.store import Store

_FINAL = tuple(sorted(map(str, JOB_FINAL)))
#: Ids that go into one statement (SQLite takes 32,766 variables at most).
_CHUNK = 500
_JOB_COLUMNS = ("id, status, received_us, start_us, end_us, archived, "
                "user, request_id, idempotency_key")
_OP_COLUMNS = ("job_id, idx, op, summary, status, priority, result, "
               "start_us, exec_us, end_us")


# -- writing -----------------------------------------------------------------------

def insert(connection: sqlite3.Connection, ops: Sequence[OpCode], context: luxi.Context,
           now: float) -> Job:
    """Store a new job under the next id; its dependencies become absolute.

    The reason trail of each opcode ends with who took it up, as luxid 3.0 has it.
    """
    received = timestamp(now)
    state = JobStatus.QUEUED if ops else JobStatus.SUCCESS
    job_id = connection.execute(
        "INSERT INTO job_job (status, received_us, user, request_id, idempotency_key) "
        "VALUES (?, ?, ?, ?, ?)",
        (state, to_us(received), context.user, context.request_id,
         context.idempotency_key)).lastrowid
    assert job_id is not None
    nanoseconds = received[0] * 10 ** 9 + received[1] * 1000
    job = Job(id=job_id, received_ts=received, context=context, ops=[
        JobOp.of(_with_reason(resolve(op, job_id), job_id, index, nanoseconds))
        for index, op in enumerate(ops)])
    connection.executemany(
        "INSERT INTO job_op (job_id, idx, op, summary, status, priority) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        [(job_id, index, serializer.dumps(item.op.to_wire() if item.op else {}), item.summary,
          item.status, item.priority) for index, item in enumerate(job.ops)])
    return job


def _with_reason(op: OpCode, job_id: int, index: int, nanoseconds: int) -> OpCode:
    source = "gnt:opcode:" + op.OP_ID.removeprefix("OP_").lower()
    return op.replace(reason=[*op.reason, [source, f"job={job_id};index={index}", nanoseconds]])


def resolve(op: OpCode, job_id: int) -> OpCode:
    """An opcode whose dependencies name jobs by id; negative ones count back from its own.

    ``GenericError`` if that leads below the first job.
    """
    if not op.depends:
        return op
    absolute = []
    for job, statuses in op.depends:
        number = int(job)
        if number < 0:
            number += job_id
            if number < 1:
                raise errors.GenericError(f"relative dependency {job} of job {job_id} "
                                          "leads to no job")
        absolute.append([number, list(statuses)])
    return op.replace(depends=absolute)


def save(connection: sqlite3.Connection, job: Job, indices: Iterable[int]) -> None:
    """Store a job's status and times, and these of its opcodes.

    A final opcode is stored as it is shown: secrets do not outlive the work.
    """
    connection.execute(
        "UPDATE job_job SET status = ?, start_us = ?, end_us = ? WHERE id = ?",
        (job.status, to_us(job.start_ts), to_us(job.end_ts), job.id))
    for index in indices:
        op = job.ops[index]
        text = serializer.dumps(op.view if op.status in JOB_FINAL or op.op is None
                                else op.op.to_wire())
        connection.execute(
            "UPDATE job_op SET op = ?, summary = ?, status = ?, priority = ?, result = ?, "
            "start_us = ?, exec_us = ?, end_us = ? WHERE job_id = ? AND idx = ?",
            (text, op.summary, op.status, op.priority,
             None if op.result is None else serializer.dumps(op.result),
             to_us(op.start_ts), to_us(op.exec_ts), to_us(op.end_ts), job.id, index))
        for line in op.unsaved:
            add_log(connection, job.id, index, line)


def add_log(connection: sqlite3.Connection, job_id: int, index: int, entry: LogEntry) -> None:
    """Store one log entry."""
    serial, stamp, kind, text = entry
    connection.execute("INSERT OR REPLACE INTO job_log VALUES (?, ?, ?, ?, ?, ?)",
                       (job_id, serial, index, to_us(stamp), kind, serializer.dumps(text)))


def set_priority(connection: sqlite3.Connection, job_id: int, priority: int) -> None:
    """Store the priority of what a job has not ended."""
    if is_id(job_id):
        connection.execute(f"UPDATE job_op SET priority = ? WHERE job_id = ? "
                           f"AND status NOT IN {_FINAL}", (priority, job_id))


def archive(connection: sqlite3.Connection, job_ids: Sequence[int]) -> int:
    """Put final jobs away; how many were."""
    done = 0
    for job_id in filter(is_id, job_ids):
        done += connection.execute(
            "UPDATE job_job SET archived = 1 WHERE id = ? AND archived = 0 "
            f"AND status IN {_FINAL}", (job_id,)).rowcount
    return done


def set_value(connection: sqlite3.Connection, name: str, value: Any) -> None:
    """Store a switch of the queue."""
    connection.execute("INSERT OR REPLACE INTO cluster_value VALUES (?, ?)",
                       (f"queue.{name}", serializer.dumps(value)))


# -- reading -----------------------------------------------------------------------

def is_id(number: int) -> bool:
    """Can a job have this number? SQLite's integers have 64 bits."""
    return 0 <= number < 1 << 63


def value(connection: sqlite3.Connection, name: str, default: Any) -> Any:
    """A switch of the queue."""
    row = connection.execute("SELECT value FROM cluster_value WHERE name = ?",
                             (f"queue.{name}",)).fetchone()
    return default if row is None else serializer.loads(row[0])


def status(connection: sqlite3.Connection, job_id: int) -> JobStatus | None:
    """A job's stored status; None if there is no such job."""
    row = connection.execute("SELECT status FROM job_job WHERE id = ?", (job_id,)).fetchone()
    return None if row is None else JobStatus(row[0])


def archivable(connection: sqlite3.Connection, before_us: int | None) -> list[int]:
    """Ids of final jobs that ended before (None: whenever), oldest first.

    A job that has neither start nor end (one without opcodes) goes only with None.
    """
    sql = f"SELECT id FROM job_job WHERE archived = 0 AND status IN {_FINAL}"
    if before_us is None:
        return [row[0] for row in connection.execute(sql + " ORDER BY id")]
    return [row[0] for row in connection.execute(
        sql + " AND coalesce(end_us, start_us) <= ? ORDER BY id", (before_us,))]


def load(store: Store, ids: Sequence[int] | None, *, archived: bool) -> list[Job]:
    """Stored jobs, ascending: these, or all that have ended (archived only if asked)."""
    with store.read() as connection:
        if ids is None:
            where = f"WHERE status IN {_FINAL}" + ("" if archived else " AND archived = 0")
            return _jobs(store, connection, where, [])
        found: list[Job] = []
        wanted = sorted(set(filter(is_id, ids)))
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start:start + _CHUNK]
            marks = ", ".join("?" * len(chunk))
            found += _jobs(store, connection, f"WHERE id IN ({marks})", chunk)
        return found


def load_live(store: Store) -> list[Job]:
    """Jobs that have not ended."""
    with store.read() as connection:
        return _jobs(store, connection, f"WHERE status NOT IN {_FINAL}", [])


def _jobs(store: Store, connection: sqlite3.Connection, where: str,
          arguments: Sequence[Any]) -> list[Job]:
    connection.execute("BEGIN")             # both reads see one state
    try:
        rows = connection.execute(
            f"SELECT {_JOB_COLUMNS} FROM job_job {where} ORDER BY id", arguments).fetchall()
        op_rows = connection.execute(
            f"SELECT {_OP_COLUMNS} FROM job_op WHERE job_id IN "
            f"(SELECT id FROM job_job {where}) ORDER BY job_id, idx", arguments).fetchall()
    finally:
        connection.execute("COMMIT")
    jobs = {}
    lines: dict[int, _Lines] = {}
    for number, row in enumerate(rows):
        if number % _CHUNK == 0:
            some = _Lines(store)
        jobs[row[0]] = _job(row)
        lines[row[0]] = some
        some.add(row[0])
    for row in op_rows:
        jobs[row[0]].ops.append(_op(row, lines[row[0]]))
    return list(jobs.values())


def _job(row: Sequence[Any]) -> Job:
    job_id, _, received, start, end, archived, user, request_id, key = row
    return Job(id=job_id, ops=[], received_ts=from_us(received), start_ts=_stamp(start),
               end_ts=_stamp(end), archived=bool(archived),
               context=luxi.Context(user, request_id, key))


def _stamp(micros: int | None) -> tuple[int, int] | None:
    return None if micros is None else from_us(micros)


def _op(row: Sequence[Any], lines: _Lines) -> JobOp:
    job_id, index, text, summary, state, priority, result, start, execution, end = row
    view, op = _opcode(text, summary, state in JOB_FINAL)
    return JobOp(view=view, summary=summary, op=op, status=JobStatus(state), priority=priority,
                 result=None if result is None else _read(result),
                 start_ts=_stamp(start), exec_ts=_stamp(execution), end_ts=_stamp(end),
                 lines=None, load_lines=partial(lines.of, job_id, index))


def _read(text: str) -> Any:
    """What was stored, however deep or long; null if something else has written there."""
    try:
        return serializer.loads_lenient(text.encode())
    except serializer.ParseError as err:
        logging.error("The database holds something that is no JSON: %s", err)
        return None


def _opcode(text: str, summary: str, final: bool) -> tuple[dict[str, Any], OpCode | None]:
    """How a stored opcode is shown; and itself, if it is to run and can be read."""
    wire = _read(text)
    if final and isinstance(wire, dict):
        return wire, None
    if not final:
        try:
            op = opcodes.load(wire)
            return op.to_view(), op
        except (opcodes.FieldError, errors.OpCodeUnknown) as err:
            logging.error("A stored opcode cannot be read: %s", err)
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
        """The lines of one opcode."""
        if self._found is None:
            self._found = self._load()
        return self._found.pop((job_id, index), [])

    def _load(self) -> dict[tuple[int, int], list[LogEntry]]:
        found: dict[tuple[int, int], list[LogEntry]] = {}
        with self._store.read() as connection:
            for job_id, index, serial, micros, kind, text in connection.execute(
                    "SELECT job_id, idx, serial, time_us, kind, text FROM job_log WHERE job_id IN "
                    f"({', '.join(map(str, self._ids))}) ORDER BY job_id, serial"):
                found.setdefault((job_id, index), []).append(
                    [serial, from_us(micros), kind, _read(text)])
        return found
