"""Pages of the list of jobs, without their opcodes.

However many jobs there are, a page costs no more than the jobs on it, and a count costs one scan
of the narrow table of jobs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ganeti.constants import JobStatus
from ganeti.db.store import Store
from ganeti.jqueue.job import Job, Timestamp, from_us
from ganeti.jqueue.rows import IS_FINAL, read_status, stamp_of
from ganeti.luxi import RequestContext


@dataclass(frozen=True)
class JobPage:
    """The jobs that a client wants, in the words of ``luxi.Query.paging``."""

    status: frozenset[str] | None = None
    since_us: int | None = None
    after: int | None = None  # only higher ids, or only lower ones if descending
    descending: bool = False
    archived: bool = False
    limit: int | None = None

    def matches(self, head: JobHead) -> bool:
        """Return whether a job is on any of the pages."""
        if self.status is not None and head.status not in self.status:
            return False
        return self.since_us is None or head.received_us >= self.since_us

    def cut(self, heads: list[JobHead]) -> list[JobHead]:
        """Return those of some matching jobs that are on this page, in its order."""
        chosen = [head for head in heads if self._is_after(head.id)]
        chosen.sort(key=lambda head: head.id, reverse=self.descending)
        return chosen if self.limit is None else chosen[: self.limit]

    def _is_after(self, job_id: int) -> bool:
        if self.after is None:
            return True
        return job_id < self.after if self.descending else job_id > self.after


@dataclass(frozen=True)
class JobHead:
    """A job without its opcodes; the names of the members are those of ``Job``."""

    id: int
    status: JobStatus
    received_us: int
    start_ts: Timestamp | None
    end_ts: Timestamp | None
    archived: bool
    context: RequestContext

    @classmethod
    def of(cls, job: Job) -> JobHead:
        """Return the head of a live job; the caller holds the mutex of ``LiveJobs``."""
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
        """The time at which the job was received, as on the wire."""
        return from_us(self.received_us)


class _StoredHead(NamedTuple):
    """The columns of ``job_job`` that make a head."""

    id: int
    status: str
    received_us: int
    start_us: int | None
    end_us: int | None
    archived: int
    user: str | None
    request_id: str | None


_HEAD_COLUMNS = ", ".join(_StoredHead._fields)


def heads(store: Store, page: JobPage) -> list[JobHead]:
    """Return the jobs of a page that have ended and are not live, in its order."""
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
        return [_head(_StoredHead._make(row)) for row in connection.execute(sql, arguments)]


def count(store: Store, page: JobPage) -> int:
    """Return how many stored jobs that have ended are on all pages."""
    where, arguments = _where(page)
    with store.read() as connection:
        sql = f"SELECT count(*) FROM job_job WHERE {where}"
        return int(connection.execute(sql, arguments).fetchone()[0])


def _where(page: JobPage) -> tuple[str, list[str]]:
    where = IS_FINAL
    arguments: list[str] = []
    if not page.archived:
        where += " AND archived = 0"
    if page.status is not None:
        words = sorted(page.status)
        where += f" AND status IN ({', '.join('?' * len(words))})"
        arguments += words
    if page.since_us is not None:
        where += f" AND received_us >= {page.since_us:d}"
    return where, arguments


def _head(row: _StoredHead) -> JobHead:
    return JobHead(
        row.id,
        read_status(row.status),
        row.received_us,
        stamp_of(row.start_us),
        stamp_of(row.end_us),
        bool(row.archived),
        RequestContext(row.user, row.request_id),
    )
