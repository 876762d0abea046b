"""A page of jobs: Query with ``paging`` (see ``luxi.Query``).

Found by the database's indexes, so it costs what is on the page and not what is in
the queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ganeti import errors, ht, luxi
from ganeti.constants import ErrorCode, JobStatus
from ganeti.jqueue.listing import JobPage
from ganeti.query import engine, job
from ganeti.query.base import Reading, Sources


def run(
    sources: Sources, fields: Sequence[str], filter_: object, paging: dict[str, Any]
) -> luxi.Reply:
    """The answer of a Query; its note ``total`` counts without ``after`` and ``limit``."""
    page = read(paging)
    total = 0

    def rows(reading: Reading) -> list[job.JobRow]:
        nonlocal total
        heads, total = sources.queue.heads(page)
        if job.HEAD_FIELDS.issuperset(reading.needed):
            return [job.JobRow(head.id, head) for head in heads]
        return [
            row for row in job.named(reading, [head.id for head in heads]) if row.job is not None
        ]

    answer = engine.run(sources, "job", fields, filter_, rows)
    return luxi.Reply(answer, {"total": total})


def read(paging: dict[str, Any]) -> JobPage:
    """The page that is wanted; ``OpPrereqError`` names what is wrong."""
    found = {name: paging.get(name) for name in _CHECKS}
    for name, value in found.items():
        if value is not None and not _CHECKS[name].fits(value):
            raise errors.OpPrereqError(
                f"paging: {name} must be {_CHECKS[name].expects}, not {ht.shorten(value)}",
                ErrorCode.INVAL,
            )
    strangers = sorted(set(paging) - set(_CHECKS))
    if strangers:
        raise errors.OpPrereqError(f"paging has no {strangers[0]}", ErrorCode.INVAL)
    status, since = found["status"], found["since"]
    unknown = sorted(set(status or ()) - set(map(str, JobStatus)))
    if unknown:
        raise errors.OpPrereqError(f"paging: there is no status {unknown[0]!r}", ErrorCode.INVAL)
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
