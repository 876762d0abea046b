"""The live jobs in memory: who is next, who watches them, and why one waits.

A job is live from the commit that accepted it to the commit that ended it. Whoever changes one
holds the mutex of ``LiveJobs``; whoever only looks gets a copy. Never wait for the store while
holding the mutex.

Theory of order: the most urgent first, and nobody last for ever. A job's rank is the moment at
which it was accepted, moved back for an urgent job and forward for one that can wait, by a
minute for each step of priority; the lowest rank goes first. So of two jobs of one priority the
elder goes first; an urgent job passes those that came shortly before it; and however many
urgent jobs keep coming, a job of the lowest priority is passed only by those that come within
39 minutes (``OVERTAKEN_SECONDS``) after it. A rank does not change while its job waits, so
there is nothing to sort again. Queues for locks are ordered by the same ranks.

The reasons for which a job waits can be read by a program: ``{kind, name, mode, jobs}``.

kind    name                               mode                 jobs
lock    of the lock                        shared or exclusive  who is in the way
job     id of the job that must end first  null                 the same
limit   max_running_jobs                   null                 who fills it
limit   rate-limit:N:... (of its reasons)  null                 who takes its N slots
filter  uuid of a job filter               null                 who takes its slots, if it has any
limit   disk: it takes nothing             null                 none
drain   shutdown: the master is stopping   null                 none
"""

from __future__ import annotations

import heapq
import logging
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, TypeVar

from ganeti.constants import PRIORITY_HIGHEST, PRIORITY_LOWEST
from ganeti.jqueue.execution import Task
from ganeti.jqueue.job import Job, JobOp
from ganeti.jqueue.listing import JobHead

logger = logging.getLogger(__name__)

# -- one job ---------------------------------------------------------------------------


class JobPhase(Enum):
    """Phases of a live job; ``scheduler`` says what they mean."""

    READY = auto()
    PARKED = auto()
    RUNNABLE = auto()
    RUNNING = auto()
    ENDING = auto()


@dataclass
class LiveJob:
    """A live job, its phase, and what the scheduler knows of it."""

    job: Job
    #: When it was accepted, or loaded by this master, on its monotonic clock.
    since: float = 0.0
    phase: JobPhase = JobPhase.READY
    task: Task | None = None
    depends_on: int | None = None
    #: The job filter or rate limit that does not let it begin (``admission``).
    held_by: str | None = None
    cancel: threading.Event = field(default_factory=threading.Event)
    #: Does the log say already that its work began, and that its end waits for the disk?
    start_logged: bool = False
    refusal_logged: bool = False

    def is_in(self, phase: JobPhase) -> bool:
        """Return whether the job is in this phase now: others change it when the mutex is free."""
        return self.phase is phase

    @property
    def index(self) -> int:
        """Index of the opcode whose turn it is."""
        index = self.job.current
        assert index is not None
        return index

    @property
    def op(self) -> JobOp:
        """The opcode whose turn it is."""
        return self.job.ops[self.index]


# -- who is next -----------------------------------------------------------------------


#: What one step of priority is worth.
AGEING_SECONDS = 60.0
#: For how long at most jobs that come later can go before one that waits.
OVERTAKEN_SECONDS = (PRIORITY_LOWEST - PRIORITY_HIGHEST) * AGEING_SECONDS


def rank(since: float, priority: int) -> float:
    """Return the rank of a job accepted at ``since`` (seconds on the monotonic clock)."""
    return since + priority * AGEING_SECONDS


def rank_of(live_job: LiveJob) -> float:
    """Return the rank of a live job with its present priority."""
    return rank(live_job.since, live_job.job.priority)


class ReadyQueue:
    """Jobs that are in one phase; under the mutex of ``LiveJobs``."""

    def __init__(self, phase: JobPhase) -> None:
        self._phase = phase
        self._heap: list[tuple[float, int, LiveJob]] = []

    def push(self, live_job: LiveJob) -> None:
        """Add a job; once more after its priority changed."""
        heapq.heappush(self._heap, (rank_of(live_job), live_job.job.id, live_job))

    def pop(self) -> LiveJob | None:
        """Remove and return the job of the lowest rank, or None.

        A job that left the phase, or whose rank changed, has stale items in the heap.
        """
        while self._heap:
            pushed_rank, _, live_job = heapq.heappop(self._heap)
            if live_job.phase is self._phase and pushed_rank == rank_of(live_job):
                return live_job
        return None


# -- all of them -----------------------------------------------------------------------


Watcher = Callable[[], None]
_Value = TypeVar("_Value", Job, JobOp)


class LiveJobs:
    """Live jobs by id."""

    def __init__(self) -> None:
        self.mutex = threading.RLock()
        self._jobs: dict[int, Job] = {}
        self._watchers: dict[int, list[Watcher]] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, job: Job) -> None:
        """Add a job that is stored already."""
        with self.mutex:
            self._jobs[job.id] = job

    def remove(self, job: Job) -> None:
        """Remove a job that has ended, and is stored so."""
        with self.mutex:
            self._jobs.pop(job.id, None)
            self.changed(job.id)

    def get(self, job_id: int) -> Job | None:
        """Return the job itself: only under the mutex."""
        return self._jobs.get(job_id)

    def copies(self) -> dict[int, Job]:
        """Return copies of all live jobs, which nobody changes any more."""
        with self.mutex:
            return {job_id: _copy_job(job) for job_id, job in self._jobs.items()}

    def heads(self) -> list[JobHead]:
        """Return the heads of all live jobs, which needs no copies."""
        with self.mutex:
            return [JobHead.of(job) for job in self._jobs.values()]

    def copy(self, job_id: int) -> Job | None:
        """Return a copy of one live job."""
        with self.mutex:
            job = self._jobs.get(job_id)
            return None if job is None else _copy_job(job)

    def watch(self, job_id: int, watcher: Watcher) -> Callable[[], None]:
        """Call ``watcher`` (any thread; it must be quick) at each change; returns the end of it."""
        with self.mutex:
            self._watchers.setdefault(job_id, []).append(watcher)

        def unwatch() -> None:
            with self.mutex:
                watchers = self._watchers.get(job_id, [])
                if watcher in watchers:
                    watchers.remove(watcher)
                if not watchers:
                    self._watchers.pop(job_id, None)

        return unwatch

    def changed(self, job_id: int) -> None:
        """Call the watchers of a job."""
        with self.mutex:
            for watcher in list(self._watchers.get(job_id, ())):
                try:
                    watcher()
                except Exception:
                    logger.exception("A watcher of job %d failed", job_id)


def _copy_job(job: Job) -> Job:
    twin = _twin(job)
    twin.ops = [_twin(op) for op in job.ops]
    for op in twin.ops:
        if op.lines is not None:
            op.lines = op.lines.copy()
    return twin


def _twin(value: _Value) -> _Value:
    """As ``copy.copy``, but cheaper: thousands are copied under the mutex."""
    twin = object.__new__(type(value))
    twin.__dict__.update(value.__dict__)
    return twin


# -- why one waits ---------------------------------------------------------------------


WaitReason = dict[str, Any]

#: Phases of a job that would begin, or end, if nothing kept it.
_PENDING = (JobPhase.READY, JobPhase.RUNNABLE, JobPhase.ENDING)


def wait_reason(
    kind: str, name: str, jobs: Sequence[int] = (), mode: str | None = None
) -> WaitReason:
    """Return one reason to wait."""
    return {"kind": kind, "name": name, "mode": mode, "jobs": list(jobs)}


def wait_reasons(
    live_job: LiveJob,
    live_ids: Collection[int],
    *,
    stopping: bool,
    refusing: bool,
    busy: Sequence[int],
) -> list[WaitReason]:
    """Return what keeps a job, but for locks; ``busy``: the jobs that keep all workers busy."""
    return _on_jobs(live_job, live_ids) or _on_turn(live_job, stopping, refusing, busy)


def _on_jobs(live_job: LiveJob, live_ids: Collection[int]) -> list[WaitReason]:
    """Return the jobs whose end a parked job waits for."""
    op = live_job.op.op
    if live_job.depends_on is None or op is None:
        return []
    numbers = [live_job.depends_on, *(int(number) for number, _ in op.depends or ())]
    return [
        wait_reason("job", str(number), [number])
        for number in dict.fromkeys(numbers)
        if number in live_ids or number == live_job.depends_on
    ]


def _on_turn(
    live_job: LiveJob, stopping: bool, refusing: bool, busy: Sequence[int]
) -> list[WaitReason]:
    """Return what keeps a job that could begin, or end."""
    if live_job.phase not in _PENDING:
        return []
    if stopping:
        return [wait_reason("drain", "shutdown")]
    if refusing:
        return [wait_reason("limit", "disk")]
    if busy and live_job.phase is not JobPhase.ENDING:
        return [wait_reason("limit", "max_running_jobs", busy)]
    return []
