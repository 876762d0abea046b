"""Jobs: live ones from memory, the others from the database.

A page of jobs (``paging`` of ``luxi.Query``) is found with the database's indexes, so it
costs as much as the page, not as the queue.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from ganeti import errors, ht, luxi
from ganeti.constants import ErrorCode, FieldKind, JobStatus
from ganeti.jqueue.job import Job, JobOp
from ganeti.jqueue.listing import JobHead, JobPage
from ganeti.qlang.filters import Comparison
from ganeti.query import engine
from ganeti.query.engine import UNAVAIL, FieldDef, Kind, Reading, Sources, register, table

#: Job ids are below this, since the database holds no larger integer.
ID_END = 2**63

#: Returns the reasons why a job waits, by its id.
Explain = Callable[[int], Sequence[object]]


class JobRow(NamedTuple):
    """A job, or the id of one that does not exist; ``waiting_for`` explains why it waits."""

    id: int
    job: Job | JobHead | None
    waiting_for: Explain = lambda job_id: []


_Field = FieldDef[JobRow]
_K = FieldKind


def _field(
    name: str,
    title: str,
    kind: FieldKind,
    doc: str,
    value: Callable[[Any], object],
    comparison: Comparison = Comparison.PLAIN,
) -> _Field:
    def get(row: JobRow) -> object:
        found = None if row.job is None else value(row.job)
        return UNAVAIL if found is None else found

    return _Field(name, title, kind, doc, get, comparison=comparison)


def _of_ops(name: str, title: str, doc: str, value: Callable[[JobOp], object]) -> _Field:
    return _field(name, title, _K.OTHER, doc, lambda job: [value(op) for op in job.ops])


FIELDS = table(
    [
        _Field("id", "ID", _K.NUMBER, "Id of the job", lambda row: row.id),
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
            "Highest priority of its unfinished opcodes: -20 (first) to 19",
            lambda job: job.priority,
        ),
        _field(
            "archived", "Archived", _K.BOOL, "Whether it was archived", lambda job: job.archived
        ),
        _field("summary", "Summary", _K.OTHER, "Summary of each opcode", lambda job: job.summary),
        _field(
            "received_ts",
            "Received",
            _K.OTHER,
            "Time of submission: seconds, microseconds",
            lambda job: job.received_ts,
            Comparison.SECONDS,
        ),
        _field(
            "start_ts",
            "Start",
            _K.OTHER,
            "Time of its start: seconds, microseconds",
            lambda job: job.start_ts,
            Comparison.SECONDS,
        ),
        _field(
            "end_ts",
            "End",
            _K.OTHER,
            "Time of its end: seconds, microseconds",
            lambda job: job.end_ts,
            Comparison.SECONDS,
        ),
        _of_ops("ops", "OpCodes", "Opcodes, without secret parameters", lambda op: op.view),
        _of_ops("opstatus", "OpCode_status", "Status of each opcode", lambda op: op.status),
        _of_ops("opresult", "OpCode_result", "Result of each opcode", lambda op: op.result),
        _of_ops(
            "oplog",
            "OpCode_log",
            "Log of each opcode: serial number, time, type, text",
            lambda op: op.log,
        ),
        _of_ops("oppriority", "OpCode_prio", "Priority of each opcode", lambda op: op.priority),
        _of_ops(
            "opstart",
            "OpCode_start",
            "Time when each opcode started to wait for its locks",
            lambda op: op.start_ts,
        ),
        _of_ops(
            "opexec",
            "OpCode_exec",
            "Time when each opcode had its locks and began",
            lambda op: op.exec_ts,
        ),
        _of_ops("opend", "OpCode_end", "Time when each opcode ended", lambda op: op.end_ts),
        _field(
            "user",
            "User",
            _K.TEXT,
            "User of the API who submitted it (not in Ganeti)",
            lambda job: job.context.user,
        ),
        _field(
            "request_id",
            "Request",
            _K.TEXT,
            "Id of the request that submitted it, as in the API's log (not in Ganeti)",
            lambda job: job.context.request_id,
        ),
        _Field(
            "waiting_for",
            "Waiting_for",
            _K.OTHER,
            "Reasons why it waits: {kind, name, mode, jobs} each (not in Ganeti)",
            lambda row: UNAVAIL if row.job is None else row.waiting_for(row.id),
        ),
    ]
)

#: Fields that need no opcodes, so a ``JobHead`` is enough.
HEAD_FIELDS = frozenset(
    {"id", "status", "archived", "received_ts", "start_ts", "end_ts", "user", "request_id"}
)


def values(job: Job, fields: Sequence[str], waiting_for: Explain) -> list[object]:
    """Return plain values of a job's fields, with None for a field without a value.

    If any field does not exist, all values are None (luxid 3.0).
    """
    known = [FIELDS[name].getter for name in fields if name in FIELDS]
    if len(known) < len(fields):
        return [None] * len(fields)
    (row,) = engine.plain_rows(known, [JobRow(job.id, job, waiting_for)])
    return row


# -- rows ------------------------------------------------------------------------------


def _rows(reading: Reading, fields: Collection[str]) -> list[JobRow]:
    """Return all jobs; archived ones only if the field ``archived`` is selected."""
    queue, archived = reading.sources.queue, "archived" in fields
    if HEAD_FIELDS.issuperset(reading.needed):
        heads, _ = queue.heads(JobPage(archived=archived))
        return [JobRow(head.id, head) for head in heads]
    explain = queue.explainer()
    return [JobRow(job.id, job, explain) for job in queue.jobs(archived=archived)]


def _named(reading: Reading, ids: Sequence[int]) -> list[JobRow]:
    """Return a row for each id, once; archived jobs and unknown ids have rows too."""
    possible = [number for number in ids if 0 <= number < ID_END]
    queue = reading.sources.queue
    found = {job.id: job for job in queue.jobs(possible)}
    explain = queue.explainer()
    return [JobRow(number, found.get(number), explain) for number in dict.fromkeys(ids)]


# -- pages -----------------------------------------------------------------------------


def run_page(
    sources: Sources, fields: Sequence[str], filter_: object, paging: Mapping[str, object]
) -> luxi.Reply:
    """Answer Query for a page of jobs; the reply's note ``total`` ignores ``after``, ``limit``."""
    page = read_page(paging)
    total = 0

    def rows(reading: Reading) -> list[JobRow]:
        nonlocal total
        heads, total = sources.queue.heads(page)
        if HEAD_FIELDS.issuperset(reading.needed):
            return [JobRow(head.id, head) for head in heads]
        found = _named(reading, [head.id for head in heads])
        return [row for row in found if row.job is not None]

    answer = engine.run(sources, "job", fields, filter_, rows)
    return luxi.Reply(answer, {"total": total})


def read_page(paging: Mapping[str, Any]) -> JobPage:
    """Return the page that ``paging`` describes; raise ``OpPrereqError`` for a wrong member."""
    found = {name: paging.get(name) for name in _CHECKS}
    for name, value in found.items():
        if value is not None and not _CHECKS[name].fits(value):
            raise errors.OpPrereqError(
                f"paging: {name} must be {_CHECKS[name].expects}, not {ht.shorten(value)}",
                ErrorCode.INVAL,
            )
    unknown_keys = sorted(set(paging) - set(_CHECKS))
    if unknown_keys:
        raise errors.OpPrereqError(f"paging has no {unknown_keys[0]}", ErrorCode.INVAL)
    status, since = found["status"], found["since"]
    unknown_statuses = sorted(set(status or ()) - set(map(str, JobStatus)))
    if unknown_statuses:
        raise errors.OpPrereqError(
            f"paging: there is no status {unknown_statuses[0]!r}", ErrorCode.INVAL
        )
    return JobPage(
        status=None if status is None else frozenset(status),
        since_us=None if since is None else round(since * 1_000_000),
        after=found["after"],
        descending=bool(found["descending"]),
        archived=bool(found["archived"]),
        limit=None if found["limit"] is None else min(found["limit"], 2**31),
    )


_CHECKS: dict[str, ht.Check] = {
    "status": ht.check_for(list[str]),
    "since": ht.check_for(float),
    "after": ht.check_for(ht.NonNegativeInt),
    "descending": ht.check_for(bool),
    "archived": ht.check_for(bool),
    "limit": ht.check_for(ht.PositiveInt),
}

KIND = register(
    Kind(
        "job",
        "Job",
        FIELDS,
        _rows,
        key="id",
        key_type=int,
        named=_named,
        run_page=run_page,
    )
)


def plain_rows(
    sources: Sources, ids: Sequence[int] | None, fields: Sequence[str]
) -> list[list[object]]:
    """Answer QueryJobs: rows of plain values, of these jobs in the order asked, or of all.

    The row of a job that does not exist has its id and no other value. Raise
    ``OpPrereqError`` for an unknown field.
    """
    getters = engine.known_getters(KIND, fields)
    reading = Reading(sources, live=False, needed=fields)
    found = _rows(reading, fields) if ids is None else _named(reading, ids)
    return engine.plain_rows(getters, found)
