"""Which jobs may begin: the job filters (``qlang.job_filters``) on the live jobs of the queue.

Theory. A job is asked for once, when its turn comes and before it takes locks; when one has
begun, no filter touches it any more. A rate limit has as many slots as it lets jobs begin; a
job takes one in each limit that applies to it, and keeps them to its end. One that finds a limit
full is held by it, in a queue like any other (``ReadyQueue``). When a slot gets free the next
in that queue is looked at again, and may be held by another limit then; so it hands on what it
left free. When the filters change, everything that has not begun is looked at again.

Everything here happens under the mutex of ``LiveJobs``. The filters themselves are a value in
the database, beside the drain flag.
"""

from __future__ import annotations

import dataclasses
import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ganeti import errors
from ganeti.constants import JobStatus
from ganeti.jqueue import rows
from ganeti.jqueue.job import Job
from ganeti.jqueue.live import JobPhase, LiveJob, ReadyQueue, wait_reason
from ganeti.qlang import job_filters
from ganeti.qlang.job_filters import JobFilter

logger = logging.getLogger(__name__)

# -- filters at work -------------------------------------------------------------------


def has_begun(job: Job) -> bool:
    """Return whether a job has been admitted and gone on: no filter touches it any more."""
    return bool(job.ops) and job.ops[0].status is not JobStatus.QUEUED


class Admission:
    """Job filters, and who has begun under a limit; ``wake`` gets jobs that may try again."""

    def __init__(self, filters: Iterable[JobFilter], wake: Callable[[LiveJob], None]) -> None:
        self._wake = wake
        self._filters = sorted(filters, key=lambda one: one.order)
        self._admitted: dict[str, set[int]] = {}  # name of a limit -> ids of jobs that have a slot
        self._slots_of: dict[int, list[str]] = {}  # id of a job -> names of its limits
        self._queues: dict[str, ReadyQueue] = {}  # name of a limit -> held jobs

    @property
    def filters(self) -> Sequence[JobFilter]:
        """The job filters in their order."""
        return self._filters

    def rejects(self, job: Job) -> bool:
        """Return whether this job must be canceled because a filter rejects it."""
        if has_begun(job):
            return False
        job_filter = self._deciding_filter(job)
        return job_filter is not None and job_filter.action == job_filters.REJECT

    def admit(self, live_job: LiveJob) -> bool:
        """Return whether a job may begin: if so it takes its slots, else it is held."""
        live_job.held_by = None
        job = live_job.job
        if has_begun(job):
            return True
        job_filter = self._deciding_filter(job)
        if job_filter is not None and job_filter.action == job_filters.PAUSE:
            live_job.held_by = job_filter.uuid
            return False
        self._free_slots(job)  # it was admitted once, and did not begin
        limits = self._limits(job, job_filter)
        full = next((name for name in limits if self._is_full(name, limits[name])), None)
        if full is None:
            self._take_slots(job, limits)
            return True
        live_job.held_by = full
        self._queues.setdefault(full, ReadyQueue(JobPhase.PARKED)).push(live_job)
        self._wake_next(limits)
        return False

    def priority_changed(self, live_job: LiveJob) -> None:
        """Move a held job whose priority changed within its queue."""
        queue = self._queues.get(live_job.held_by or "")
        if queue is not None:
            queue.push(live_job)

    def job_ended(self, job: Job) -> None:
        """Free the slots of a job that has ended."""
        self._free_slots(job)
        if self._queues:
            self._wake_next(self._limits(job, self._deciding_filter(job)))

    def replace(self, filters: Iterable[JobFilter], live_jobs: Iterable[LiveJob]) -> None:
        """Replace the filters: jobs that have begun are counted anew, and none is held."""
        self._filters = sorted(filters, key=lambda one: one.order)
        self._admitted.clear()
        self._slots_of.clear()
        self._queues.clear()
        for live_job in live_jobs:
            live_job.held_by = None
            if has_begun(live_job.job):
                self._take_slots(
                    live_job.job, self._limits(live_job.job, self._deciding_filter(live_job.job))
                )

    def wait_reasons(self, live_job: LiveJob) -> list[dict[str, Any]]:
        """Return why a job is held (see ``live``), or an empty list."""
        name = live_job.held_by
        if name is None or not live_job.is_in(JobPhase.PARKED):
            return []
        kind = "limit" if name.startswith(job_filters.RATE_WORD) else "filter"
        return [wait_reason(kind, name, sorted(self._admitted.get(name, ())))]

    def _deciding_filter(self, job: Job) -> JobFilter | None:
        if not self._filters:
            return None
        return job_filters.first_match(self._filters, job.id, [op.view for op in job.ops])

    def _limits(self, job: Job, job_filter: JobFilter | None) -> dict[str, int]:
        limits = job_filters.own_limits([op.view for op in job.ops])
        if job_filter is not None and job_filter.limit is not None:
            limits[job_filter.uuid] = job_filter.limit
        return limits

    def _is_full(self, name: str, limit: int) -> bool:
        return len(self._admitted.get(name, ())) >= limit

    def _take_slots(self, job: Job, names: Iterable[str]) -> None:
        for name in names:
            self._admitted.setdefault(name, set()).add(job.id)
            self._slots_of.setdefault(job.id, []).append(name)

    def _free_slots(self, job: Job) -> None:
        for name in self._slots_of.pop(job.id, ()):
            self._admitted[name].discard(job.id)
            if not self._admitted[name]:
                del self._admitted[name]

    def _wake_next(self, limits: dict[str, int]) -> None:
        """Wake the next held job of each of these limits that has a free slot."""
        for name, limit in limits.items():
            queue = self._queues.get(name)
            if queue is None or self._is_full(name, limit):
                continue
            live_job = queue.pop()
            while live_job is not None and live_job.held_by != name:
                live_job = queue.pop()  # was woken, and is held by another limit now
            if live_job is None:
                del self._queues[name]
            else:
                live_job.held_by = None
                self._wake(live_job)


# -- filters as they are stored --------------------------------------------------------


_SETTING = "filters"


def load_filters(connection: sqlite3.Connection) -> list[JobFilter]:
    """Return all job filters but those that cannot be read, which are logged."""
    found = []
    for item in rows.value(connection, _SETTING, []):
        try:
            job_filter = JobFilter(**item)
            job_filter.matches(0, [])
            found.append(job_filter)
        except (TypeError, ValueError, KeyError, errors.Error) as err:
            logger.error("A rule of the job queue cannot be read, and holds no more: %s", err)
    return found


def put_filter(
    connection: sqlite3.Connection,
    uuid: str,
    priority: int,
    predicates: Sequence[list[Any]],
    action: str | list[Any],
    reason_trail: Sequence[list[Any]],
) -> list[JobFilter]:
    """Store a job filter, replacing the one with this uuid if it exists; return all of them."""
    job_filter = JobFilter(
        uuid, rows.last_id(connection), priority, list(predicates), action, list(reason_trail)
    )
    return _store_filters(connection, [*_other_filters(connection, uuid), job_filter])


def remove_filter(connection: sqlite3.Connection, uuid: str) -> list[JobFilter]:
    """Remove a job filter; return the others.

    ``GenericError`` if it does not exist (as luxid 3.0).
    """
    others = _other_filters(connection, uuid)
    if len(others) == len(load_filters(connection)):
        raise errors.GenericError(f"Filter rule with UUID {uuid} does not exist")
    return _store_filters(connection, others)


def _other_filters(connection: sqlite3.Connection, uuid: str) -> list[JobFilter]:
    return [job_filter for job_filter in load_filters(connection) if job_filter.uuid != uuid]


def _store_filters(connection: sqlite3.Connection, found: list[JobFilter]) -> list[JobFilter]:
    rows.set_value(connection, _SETTING, [dataclasses.asdict(job_filter) for job_filter in found])
    return found
