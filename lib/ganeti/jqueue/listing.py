"""Pages of jobs: which of them, in what order, without their opcodes.

However many jobs there are, a page costs what is on it, and a count one pass over
the narrow table of jobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ganeti.constants import JobStatus
from ganeti.db.store import Store
from ganeti.jqueue.job import Job, Timestamp, from_us
from ganeti.jqueue.rows import IS_FINAL, read_status, stamp_of
from ganeti.luxi import RequestContext


@dataclass(frozen=True)
class JobPage:
    """Which jobs are wanted: the words of ``luxi.Query.paging``."""

    status: frozenset[str] | None = None
    since_us: int | None = None
    after: int | None = None  # exclusive; below it if descending
    descending: bool = False
    archived: bool = False
    limit: int | None = None

    def matches(self, head: JobHead) -> bool:
        """Return whether this job is on some page."""
        if self.status is not None and head.status not in self.status:
            return False
        return self.since_us is None or head.received_us >= self.since_us

    def cut(self, heads: list[JobHead]) -> list[JobHead]:
        """Return those of the matching jobs that are on this page, in its order."""
        chosen = [head for head in heads if self._is_after(head.id)]
        chosen.sort(key=lambda head: head.id, reverse=self.descending)
        return chosen if self.limit is None else chosen[: self.limit]

    def _is_after(self, job_id: int) -> bool:
        if self.after is None:
            return True
        return job_id < self.after if self.descending else job_id > self.after


@dataclass(frozen=True)
class JobHead:
    """What can be said of a job without its opcodes; the names are ``Job``'s."""

    id: int
    status: JobStatus
    received_us: int
    start_ts: Timestamp | None
    end_ts: Timestamp | None
    archived: bool
    context: RequestContext

    @classmethod
    def of(cls, job: Job) -> JobHead:
        """Return the head of a live job; under the mutex of ``LiveJobs``."""
        received = job.received_ts
        return cls(
            job.id,
            job.status,
            received[0] * 1_000_000 + received[1],
            job.start_ts,
            job.end_ts,
            job.archived,
            job.context,
        )

    @property
    def received_ts(self) -> Timestamp:
        """When the job was received."""
        return from_us(self.received_us)


_HEAD_COLUMNS = "id, status, received_us, start_us, end_us, archived, user, request_id"


def heads(store: Store, page: JobPage) -> list[JobHead]:
    """Final jobs of a page, in its order: its limit is kept, live jobs are not among them."""
    where, arguments = _where(page)
    if page.after is not None:
        where += f" AND id {'<' if page.descending else '>'} {page.after:d}"
    sql = (
        f"SELECT {_HEAD_COLUMNS} FROM job_job WHERE {where} "
        f"ORDER BY id {'DESC' if page.descending else 'ASC'}"
    )
    if page.limit is not None:
        sql += f" LIMIT {page.limit:d}"
    with store.read() as connection:
        return [_head(row) for row in connection.execute(sql, arguments)]


def count(store: Store, page: JobPage) -> int:
    """Return how many final jobs match, on all pages."""
    where, arguments = _where(page)
    with store.read() as connection:
        sql = f"SELECT count(*) FROM job_job WHERE {where}"
        return int(connection.execute(sql, arguments).fetchone()[0])


def _where(page: JobPage) -> tuple[str, list[Any]]:
    where, arguments = IS_FINAL, []
    if not page.archived:
        where += " AND archived = 0"
    if page.status is not None:
        words = sorted(page.status)
        where += f" AND status IN ({', '.join('?' * len(words))})"
        arguments += words
    if page.since_us is not None:
        where += f" AND received_us >= {page.since_us:d}"
    return where, arguments


def _head(row: Sequence[Any]) -> JobHead:
    job_id, state, received, start, end, archived, user, request_id = row
    return JobHead(
        job_id,
        read_status(state),
        received,
        stamp_of(start),
        stamp_of(end),
        bool(archived),
        RequestContext(user, request_id),
    )
