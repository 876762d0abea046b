"""Jobs: live ones from memory, the others from the database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from ganeti.constants import FieldKind
from ganeti.jqueue.job import Job, JobOp
from ganeti.jqueue.listing import JobHead, JobPage
from ganeti.qlang.filters import Comparison
from ganeti.query.base import UNAVAIL, FieldDef, Kind, Reading, table

#: No job has an id so high: the database could not hold it.
ID_END = 2**63


class JobRow(NamedTuple):
    """A job, or the id of one that does not exist; and what says why it waits."""

    id: int
    job: Job | JobHead | None
    waiting_for: Callable[[int], list[dict[str, Any]]] = lambda job_id: []


_Field = FieldDef[JobRow]
_K = FieldKind


def _field(
    name: str,
    title: str,
    kind: FieldKind,
    doc: str,
    value: Callable[[Any], Any],
    comparison: Comparison = Comparison.PLAIN,
) -> _Field:
    def get(row: JobRow) -> Any:
        found = None if row.job is None else value(row.job)
        return UNAVAIL if found is None else found

    return _Field(name, title, kind, doc, get, comparison=comparison)


def _of_ops(name: str, title: str, doc: str, value: Callable[[JobOp], Any]) -> _Field:
    return _field(name, title, _K.OTHER, doc, lambda job: [value(op) for op in job.ops])


FIELDS = table(
    [
        _Field("id", "ID", _K.NUMBER, "Number of the job", lambda row: row.id),
        _field(
            "status",
            "Status",
            _K.TEXT,
            "queued, waiting, canceling, running, canceled, success or error",
            lambda job: job.status,
        ),
        _field(
            "priority",
            "Priority",
            _K.NUMBER,
            "The most urgent of its unfinished opcodes: -20 (first) to 19",
            lambda job: job.priority,
        ),
        _field(
            "archived", "Archived", _K.BOOL, "Whether it was put away", lambda job: job.archived
        ),
        _field(
            "summary", "Summary", _K.OTHER, "A few words on each opcode", lambda job: job.summary
        ),
        _field(
            "received_ts",
            "Received",
            _K.OTHER,
            "When it came: seconds, microseconds",
            lambda job: job.received_ts,
            Comparison.SECONDS,
        ),
        _field(
            "start_ts",
            "Start",
            _K.OTHER,
            "When its turn came: seconds, microseconds",
            lambda job: job.start_ts,
            Comparison.SECONDS,
        ),
        _field(
            "end_ts",
            "End",
            _K.OTHER,
            "When it ended: seconds, microseconds",
            lambda job: job.end_ts,
            Comparison.SECONDS,
        ),
        _of_ops("ops", "OpCodes", "The opcodes, as far as they may be seen", lambda op: op.view),
        _of_ops("opstatus", "OpCode_status", "Status of each opcode", lambda op: op.status),
        _of_ops("opresult", "OpCode_result", "Result of each opcode", lambda op: op.result),
        _of_ops(
            "oplog",
            "OpCode_log",
            "What each opcode reported: serial number, time, type, text",
            lambda op: op.log,
        ),
        _of_ops("oppriority", "OpCode_prio", "Priority of each opcode", lambda op: op.priority),
        _of_ops("opstart", "OpCode_start", "When each opcode's turn came", lambda op: op.start_ts),
        _of_ops("opexec", "OpCode_exec", "When each opcode held its locks", lambda op: op.exec_ts),
        _of_ops("opend", "OpCode_end", "When each opcode ended", lambda op: op.end_ts),
        _field(
            "user",
            "User",
            _K.TEXT,
            "The user of the API who submitted it (no field of Ganeti's)",
            lambda job: job.context.user,
        ),
        _field(
            "request_id",
            "Request",
            _K.TEXT,
            "The API's request that submitted it, as its log has it (no field of Ganeti's)",
            lambda job: job.context.request_id,
        ),
        _Field(
            "waiting_for",
            "Waiting_for",
            _K.OTHER,
            "Why it waits: {kind, name, mode, jobs} each (no field of Ganeti's)",
            lambda row: UNAVAIL if row.job is None else row.waiting_for(row.id),
        ),
    ]
)

#: Fields that need no opcodes: a ``JobHead`` has them.
HEAD_FIELDS = frozenset(
    {"id", "status", "archived", "received_ts", "start_ts", "end_ts", "user", "request_id"}
)


def values(
    job: Job, fields: Sequence[str], waiting_for: Callable[[int], list[dict[str, Any]]]
) -> list[Any]:
    """Plain values of a job's fields, null for what has none.

    If any field does not exist, all of them are null (luxid 3.0).
    """
    known = [FIELDS.get(name) for name in fields]
    if None in known:
        return [None] * len(fields)
    row = JobRow(job.id, job, waiting_for)
    found = [item.getter(row) for item in known if item is not None]
    return [None if value is UNAVAIL else value for value in found]


def rows(reading: Reading, fields: Collection[str]) -> list[JobRow]:
    """All jobs; archived ones only for those who ask for the field ``archived``."""
    queue, archived = reading.sources.queue, "archived" in fields
    if HEAD_FIELDS.issuperset(reading.needed):
        heads, _ = queue.heads(JobPage(archived=archived))
        return [JobRow(head.id, head) for head in heads]
    explain = queue.explainer()
    return [JobRow(job.id, job, explain) for job in queue.jobs(archived=archived)]


def named(reading: Reading, ids: Sequence[int]) -> list[JobRow]:
    """Jobs by id, each once, archived or not, and a row for each that does not exist."""
    possible = [number for number in ids if 0 <= number < ID_END]
    queue = reading.sources.queue
    found = {job.id: job for job in queue.jobs(possible)}
    explain = queue.explainer()
    return [JobRow(number, found.get(number), explain) for number in dict.fromkeys(ids)]


KIND = Kind("job", "Job", FIELDS, rows, key="id", key_type=int, named=named)
