"""Admission: which jobs may begin, by their dependencies and by the job filters.

Theory of dependencies: a job can depend only on jobs with lower ids, so jobs that wait for each
other never form a circle. A job is parked with the first of its dependencies that has not ended,
and looked at again when that one ends.

Theory of job filters (``qlang.job_filters``): they are applied once, when a job's turn comes and
before it takes locks; no filter affects a job that has begun. A rate limit has as many slots as
it lets jobs begin. A job takes a slot in each limit that applies to it and keeps them until it
ends. One that finds a limit full is held in that limit's queue (``ReadyQueue``). When a slot
becomes free, the next job of the queue is looked at again. If another limit holds it then, it
wakes the next jobs of the limits whose slots it does not take. When the filters change, every job
that has not begun is looked at again.

Most jobs depend on no other job and set no limit, and most queues have no filters. Then the
scheduler asks nothing here: such a job takes no slots, so its end frees none.

Everything here runs under the mutex of ``LiveJobs``, except ``Dependencies.met``, which takes it,
and ``Admission.rejects``, which only reads the filters. These are one value in the database,
beside the drain flag.
"""

from __future__ import annotations

import dataclasses
import logging
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

from ganeti import errors
from ganeti.constants import JOB_FINAL, JobStatus
from ganeti.db.store import Store
from ganeti.jqueue import rows
from ganeti.jqueue.job import CANCELED_RESULT, RATE_WORD, Job
from ganeti.jqueue.live import JobPhase, LiveJob, LiveJobs, ReadyQueue, WaitReason, wait_reason
from ganeti.qlang import job_filters
from ganeti.qlang.job_filters import JobFilter
from ganeti.serializer import Json

logger = logging.getLogger(__name__)

# -- dependencies ------------------------------------------------------------------------


class Verdict(NamedTuple):
    """The end of a job whose dependency did not end as required."""

    status: JobStatus
    result: object


class Dependencies:
    """The jobs that wait for the end of other jobs."""

    def __init__(self, store: Store, live_jobs: LiveJobs) -> None:
        self._store = store
        self._mutex = live_jobs.mutex
        #: Id of a job -> ids of those that wait for its end.
        self.waiting: dict[int, set[int]] = {}

    def met(self, live_job: LiveJob, live_ids: Collection[int]) -> bool | Verdict:
        """Return whether the dependencies of a job are met, or the verdict if they cannot be.

        False means that the job must not go on now: it is parked until another one ends, or was
        canceled meanwhile. Call this without the mutex: it reads the status of jobs that have
        ended from the database.
        """
        op = live_job.op.op
        for number, statuses in (op.depends if op is not None else None) or ():
            status = None
            if number < live_job.job.id:
                with self._mutex:
                    if not live_job.is_in(JobPhase.PARKED):
                        return False
                    # Park before reading: a job that ends in between then wakes this one.
                    self.park(live_job, number)
                    if number in live_ids:
                        return False
                with self._store.read() as connection:
                    status = rows.status(connection, number)
                if status is not None and status not in JOB_FINAL:
                    return False  # stored a moment ago, and about to be live
                with self._mutex:
                    if not live_job.is_in(JobPhase.PARKED):
                        return False  # woken or canceled while the mutex was free
                    self.stop_waiting(live_job)
            verdict = judge(number, status, statuses)
            if verdict is not None:
                return verdict
        return True

    def park_new(self, live_job: LiveJob, live_ids: Collection[int]) -> bool:
        """Park a new job if the first job that it depends on is live; return whether it was."""
        op = live_job.op.op
        if op is None or not op.depends:
            return False
        first = int(op.depends[0][0])
        if first >= live_job.job.id or first not in live_ids:
            return False
        live_job.phase = JobPhase.PARKED
        self.park(live_job, first)
        return True

    def park(self, live_job: LiveJob, number: int) -> None:
        """Note that a job waits for the end of job ``number``."""
        live_job.depends_on = number
        self.waiting.setdefault(number, set()).add(live_job.job.id)

    def stop_waiting(self, live_job: LiveJob) -> None:
        """Note that a job waits for no other job."""
        number, live_job.depends_on = live_job.depends_on, None
        if number is None:
            return
        others = self.waiting.get(number, set())
        others.discard(live_job.job.id)
        if not others:
            self.waiting.pop(number, None)

    def job_ended(self, number: int) -> set[int]:
        """Forget who waits for job ``number``, and return their ids.

        Some of them may have stopped waiting and wait for another job by now.
        """
        return self.waiting.pop(number, set())

    def wait_reasons(self, live_job: LiveJob, live_ids: Collection[int]) -> list[WaitReason]:
        """Return the unfinished jobs that a parked job depends on."""
        op = live_job.op.op
        if live_job.depends_on is None or op is None:
            return []
        numbers = [live_job.depends_on, *(int(number) for number, _ in op.depends or ())]
        return [
            wait_reason("job", str(number), [number])
            for number in dict.fromkeys(numbers)
            if number in live_ids or number == live_job.depends_on
        ]


def judge(number: int, status: JobStatus | None, wanted: Sequence[str]) -> Verdict | None:
    """Return None if a job that depends on job ``number`` may go on, else how that job ends.

    ``status`` is that of job ``number``, None if there is no such job; ``wanted`` are the
    statuses that the dependency lists. Rules and words are those of Ganeti's own queue.
    """
    if status is None:
        return _error(f"Dependency error: Job {number} not found")
    # This comes before the empty list, which accepts every final status except canceled: a user
    # who cancels the first step of a chain does not want the second.
    if status is JobStatus.CANCELED and status not in wanted:
        return Verdict(JobStatus.CANCELED, CANCELED_RESULT)
    if not wanted or status in wanted:
        return None
    words = ", ".join(repr(str(word)) for word in wanted)
    return _error(
        f"Dependency job {number} finished with status {str(status)!r}, "
        f"not one of {words} as required"
    )


def _error(text: str) -> Verdict:
    return Verdict(JobStatus.ERROR, errors.encode(errors.OpExecError(text)))


# -- job filters -------------------------------------------------------------------------


def has_begun(job: Job) -> bool:
    """Return whether a job has been admitted and gone on, so that no filter affects it."""
    return bool(job.ops) and job.ops[0].status is not JobStatus.QUEUED


class Admission:
    """The job filters, and the jobs that have begun under each limit.

    ``wake`` is called with jobs that may try again.
    """

    def __init__(self, filters: Iterable[JobFilter], wake: Callable[[LiveJob], None]) -> None:
        self._wake = wake
        #: The job filters in the order in which they are applied.
        self.filters: Sequence[JobFilter] = sorted(filters, key=lambda one: one.order)
        self._admitted: dict[str, set[int]] = {}  # name of a limit -> ids of jobs with a slot
        self._slots_of: dict[int, list[str]] = {}  # id of a job -> names of its limits
        self._queues: dict[str, ReadyQueue] = {}  # name of a limit -> held jobs

    def rejects(self, job: Job) -> bool:
        """Return whether a filter rejects this job, so that it must be canceled."""
        if has_begun(job):
            return False
        job_filter = self._deciding_filter(job)
        return job_filter is not None and job_filter.action == job_filters.REJECT

    def admit(self, live_job: LiveJob) -> bool:
        """Return whether a job may begin; take its slots if so, and hold it otherwise."""
        live_job.held_by = None
        job = live_job.job
        if has_begun(job):
            return True
        job_filter = self._deciding_filter(job)
        if job_filter is not None and job_filter.action == job_filters.PAUSE:
            live_job.held_by = job_filter.uuid
            return False
        self._free_slots(job)  # of an earlier admission, after which it did not begin
        limits = self._limits(job, job_filter)
        full = next((name for name in limits if self._is_full(name, limits[name])), None)
        if full is None:
            self._take_slots(job, limits)
            return True
        live_job.held_by = full
        self._queues.setdefault(full, ReadyQueue(JobPhase.PARKED)).push(live_job)
        self._wake_next(limits)  # the other limits' slots, which it does not take
        return False

    def priority_changed(self, live_job: LiveJob) -> None:
        """Move a held job within its queue."""
        queue = self._queues.get(live_job.held_by or "")
        if queue is not None:
            queue.push(live_job)

    def job_ended(self, job: Job) -> None:
        """Free the slots of a job that has ended, and wake jobs that can use them."""
        self._free_slots(job)
        if self._queues:
            self._wake_next(self._limits(job, self._deciding_filter(job)))

    def replace(self, filters: Iterable[JobFilter], live_jobs: Iterable[LiveJob]) -> None:
        """Replace the filters, give the jobs that have begun their slots, and hold no job."""
        self.filters = sorted(filters, key=lambda one: one.order)
        self._admitted.clear()
        self._slots_of.clear()
        self._queues.clear()
        for live_job in live_jobs:
            live_job.held_by = None
            job = live_job.job
            if has_begun(job):
                self._take_slots(job, self._limits(job, self._deciding_filter(job)))

    def wait_reasons(self, live_job: LiveJob) -> list[WaitReason]:
        """Return the filter or limit that holds a job."""
        name = live_job.held_by
        if name is None or not live_job.is_in(JobPhase.PARKED):
            return []
        kind = "limit" if name.startswith(RATE_WORD) else "filter"
        return [wait_reason(kind, name, sorted(self._admitted.get(name, ())))]

    def _deciding_filter(self, job: Job) -> JobFilter | None:
        if not self.filters:
            return None
        return job_filters.first_match(self.filters, job.id, [op.view for op in job.ops])

    def _limits(self, job: Job, job_filter: JobFilter | None) -> dict[str, int]:
        """Return the limits that apply to a job: name -> how many jobs may have begun."""
        limits = job.own_limits()
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
                live_job = queue.pop()  # an old entry: another limit holds that job now
            if live_job is None:
                del self._queues[name]
            else:
                live_job.held_by = None
                self._wake(live_job)


# -- job filters in the database -----------------------------------------------------------


_SETTING = "filters"


def load_filters(connection: sqlite3.Connection) -> list[JobFilter]:
    """Return the stored job filters; those that cannot be read are logged and left out."""
    found = []
    stored: Any = rows.value(connection, _SETTING, [])  # anything wrong with it is caught below
    for item in stored:
        try:
            job_filter = JobFilter(**item)
            job_filter.matches(0, [])
            found.append(job_filter)
        except (TypeError, ValueError, KeyError, errors.Error) as err:
            logger.error("Ignoring a job filter that cannot be read: %s", err)
    return found


def put_filter(
    connection: sqlite3.Connection,
    uuid: str,
    priority: int,
    predicates: Sequence[list[Json]],
    action: str | list[Json],
    reason_trail: Sequence[list[Json]],
) -> list[JobFilter]:
    """Store a job filter, replacing the one with this uuid if it exists; return all filters."""
    job_filter = JobFilter(
        uuid, rows.last_id(connection), priority, list(predicates), action, list(reason_trail)
    )
    return _store_filters(connection, [*_other_filters(connection, uuid), job_filter])


def remove_filter(connection: sqlite3.Connection, uuid: str) -> list[JobFilter]:
    """Remove a job filter; return the others.

    Raises ``GenericError`` if there is none with this uuid (as luxid 3.0).
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
