"""Live jobs: those in memory, their order, the work that they do, and how that ends.

A job is live from the commit that accepted it to the commit that ended it. Its record here may
be changed only while holding the mutex of ``LiveJobs``; readers get copies. Never wait for the
store while holding the mutex: the store's callbacks take it too.

Theory of order: the most urgent job goes first, and no job waits forever. A job's rank is the
moment at which it was accepted, plus a minute for each step of priority (-20 to 19); the lowest
rank goes first. So the older of two jobs with the same priority goes first, an urgent job
overtakes those that came shortly before it, and a job of the lowest priority is overtaken only
by jobs that come within 39 minutes (``OVERTAKEN_SECONDS``) after it, however many urgent ones
keep coming. A rank does not change while its job waits, so a queue never has to be sorted again.
Queues for locks are ordered by the same ranks.

Theory of the end: nothing is shown before it is durable. The end of an opcode is written into a
copy of its job, the copy is stored together with what the work changed, and only then published
(``Job.copy_for_update``). If the disk refuses, the commit is repeated until it succeeds or the
master stops; after a stop the next master decides (``recovery``).

Programs can read why a job waits, as a list of ``{kind, name, mode, jobs}``:

kind    name                               mode                 jobs
lock    of the lock                        shared or exclusive  those that must release it first
job     id of the job that must end first  null                 the same job
limit   max_running_jobs                   null                 those that occupy all workers
limit   rate-limit:N:... (of its reasons)  null                 those that occupy its N slots
filter  uuid of a job filter               null                 those that occupy its slots, if any
limit   disk: it refuses changes           null                 none
drain   shutdown: the master is stopping   null                 none
"""

from __future__ import annotations

import abc
import heapq
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeVar

from ganeti import errors
from ganeti.constants import LOG_MESSAGE, PRIORITY_HIGHEST, PRIORITY_LOWEST
from ganeti.db.store import Store, StoreUnavailable
from ganeti.jqueue import rows
from ganeti.jqueue.job import CANCELED_RESULT, Clocks, Job, JobOp, LogEntry, timestamp
from ganeti.jqueue.listing import JobHead
from ganeti.opcodes import OpCode
from ganeti.serializer import JsonObject

logger = logging.getLogger(__name__)

# -- the work of an opcode -----------------------------------------------------------------


class JobContext:
    """An opcode's job as its work sees it; ``Completion`` provides ``begin`` and ``log``."""

    def __init__(
        self,
        job_id: int,
        cancel: threading.Event,
        *,
        begin: Callable[[], None],
        log: Callable[[str, str], None],
    ) -> None:
        self.job_id = job_id
        self._cancel = cancel
        self._begin = begin
        self._log = log

    def begin(self) -> None:
        """Make durable that the work begins now; raise ``JobCanceled`` if it must not."""
        self.stop_if_cancelled()
        self._begin()

    def log(self, text: str, kind: str = LOG_MESSAGE) -> None:
        """Add a line to the job's log."""
        self._log(text, kind)

    def cancelled(self) -> bool:
        """Return whether the job was told to stop; ask at points where stopping is safe."""
        return self._cancel.is_set()

    def stop_if_cancelled(self) -> None:
        """Raise ``JobCanceled`` if the job was told to stop."""
        if self.cancelled():
            raise errors.JobCanceled(CANCELED_RESULT)

    def pause(self, seconds: float) -> None:
        """Sleep for that long, or until the job is told to stop."""
        self._cancel.wait(seconds)


@dataclass(frozen=True)
class Done:
    """The outcome of work that succeeded.

    ``change`` is stored in the same commit as the result, and so are ``jobs``, which the work
    submits: their ids become the member ``jobs`` of the result. ``undo`` is called if that
    commit refuses the change, else ``after_commit``.
    """

    value: object = None  # a JSON value
    op: OpCode | None = None
    change: Callable[[sqlite3.Connection], None] | None = None
    after_commit: Callable[[], None] = lambda: None
    undo: Callable[[], None] = lambda: None
    jobs: Sequence[Sequence[OpCode]] = ()


@dataclass(frozen=True)
class Failed:
    """The outcome of work that failed or was stopped (``JobCanceled``); its steps are undone."""

    error: BaseException
    op: OpCode | None = None


@dataclass(frozen=True)
class Again:
    """The outcome of work whose needs changed while it waited for locks: it starts over."""


Outcome = Done | Failed | Again
WaitReason = JsonObject


class Task(abc.ABC):
    """One opcode being carried out. The queue knows only this; ``mcpu`` has the steps."""

    #: Whether running work can be stopped at a safe point.
    cancellable: bool
    #: Whether running the work again after a crash does no harm.
    rerun_safe: bool

    @abc.abstractmethod
    def acquire(self, ready: Callable[[], None]) -> bool:
        """Request the locks that the work needs; return whether it has them.

        If it has not, ``ready`` is called once it has. After ``release`` nothing is requested
        and ``ready`` is not called.
        """

    @abc.abstractmethod
    def release(self) -> None:
        """Release all locks, and withdraw the request for those that it still waits for."""

    @abc.abstractmethod
    def waiting_for(self) -> list[WaitReason]:
        """Return the lock that ``acquire`` waits for, if any."""

    @abc.abstractmethod
    def set_rank(self, rank: float) -> None:
        """Change the rank of the work in the queues for locks."""

    @abc.abstractmethod
    def execute(self, run: JobContext) -> Outcome:
        """Do the work on the calling thread, a worker's; errors are returned, never raised."""


def wait_reason(
    kind: str, name: str, jobs: Sequence[int] = (), mode: str | None = None
) -> WaitReason:
    """Return one reason to wait; the module's table lists the kinds."""
    return {"kind": kind, "name": name, "mode": mode, "jobs": list(jobs)}


# -- one live job --------------------------------------------------------------------------


class JobPhase(Enum):
    """The phases of a live job, which ``scheduler`` explains."""

    READY = auto()
    PARKED = auto()
    RUNNABLE = auto()
    RUNNING = auto()
    ENDING = auto()


@dataclass
class LiveJob:
    """A live job, its phase, and the scheduler's notes about it."""

    job: Job
    #: When it was accepted, or loaded by this master, on the monotonic clock.
    since: float = 0.0
    phase: JobPhase = JobPhase.READY
    task: Task | None = None
    depends_on: int | None = None
    #: The job filter or rate limit that keeps it from beginning (``admission``).
    held_by: str | None = None
    cancel: threading.Event = field(default_factory=threading.Event)
    #: Whether the log already says that its work began, and that its end waits for the disk.
    start_logged: bool = False
    refusal_logged: bool = False

    def is_in(self, phase: JobPhase) -> bool:
        """Return whether the job is in this phase now.

        A method, so that type checkers forget the answer: another thread may change the phase
        whenever the mutex is free.
        """
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

    @property
    def depends(self) -> bool:
        """True if the opcode whose turn it is depends on other jobs."""
        op = self.op.op
        return op is not None and bool(op.depends)


# -- order -----------------------------------------------------------------------------------


#: Seconds in the queue that are worth one step of priority.
AGEING_SECONDS = 60.0
#: Seconds after a job's arrival during which jobs that arrive may overtake it.
OVERTAKEN_SECONDS = (PRIORITY_LOWEST - PRIORITY_HIGHEST) * AGEING_SECONDS


def rank(since: float, priority: int) -> float:
    """Return the rank of a job accepted at ``since`` (seconds on the monotonic clock)."""
    return since + priority * AGEING_SECONDS


def rank_of(live_job: LiveJob) -> float:
    """Return the rank of a live job with its present priority."""
    return rank(live_job.since, live_job.job.priority)


class ReadyQueue:
    """A priority queue of jobs in one phase; used under the mutex of ``LiveJobs``."""

    def __init__(self, phase: JobPhase) -> None:
        self._phase = phase
        self._heap: list[tuple[float, int, LiveJob]] = []

    def push(self, live_job: LiveJob) -> None:
        """Add a job; add it again after its priority changed."""
        heapq.heappush(self._heap, (rank_of(live_job), live_job.job.id, live_job))

    def pop(self) -> LiveJob | None:
        """Remove and return the job of the lowest rank; None if there is none."""
        while self._heap:
            pushed_rank, _, live_job = heapq.heappop(self._heap)
            # Nothing is removed from the middle of the heap: an item is stale if its job has
            # left the phase, or was pushed again with another rank.
            if live_job.phase is self._phase and pushed_rank == rank_of(live_job):
                return live_job
        return None


# -- all live jobs -----------------------------------------------------------------------------


Watcher = Callable[[], None]
_Value = TypeVar("_Value", Job, JobOp)


class LiveJobs:
    """The live jobs by id, their mutex and their watchers."""

    def __init__(self) -> None:
        self.mutex = threading.RLock()
        self._jobs: dict[int, Job] = {}
        self._watchers: dict[int, list[Watcher]] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, job: Job) -> None:
        """Add a job whose acceptance is durable."""
        with self.mutex:
            self._jobs[job.id] = job

    def remove(self, job: Job) -> None:
        """Remove a job whose end is durable, and call its watchers."""
        with self.mutex:
            self._jobs.pop(job.id, None)
            self.changed(job.id)

    def copies(self) -> dict[int, Job]:
        """Return copies of all live jobs by id."""
        with self.mutex:
            return {job_id: _copy_job(job) for job_id, job in self._jobs.items()}

    def heads(self) -> list[JobHead]:
        """Return the heads of all live jobs; this is cheaper than copies."""
        with self.mutex:
            return [JobHead.of(job) for job in self._jobs.values()]

    def copy(self, job_id: int) -> Job | None:
        """Return a copy of one live job, or None."""
        with self.mutex:
            job = self._jobs.get(job_id)
            return None if job is None else _copy_job(job)

    def watch(self, job_id: int, watcher: Watcher) -> Callable[[], None]:
        """Call ``watcher`` at each change of a job; return the function that stops this.

        The watcher is called by any thread, under the mutex, so it must be quick.
        """
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
    """Return a shallow copy. ``copy.copy`` costs more: thousands are copied under the mutex."""
    twin = object.__new__(type(value))
    twin.__dict__.update(value.__dict__)
    return twin


# -- completion ----------------------------------------------------------------------------------


class Completion:
    """Stores what running work does to its job: that it begins, what it logs, how it ends."""

    def __init__(
        self, store: Store, live_jobs: LiveJobs, clocks: Clocks, stop: threading.Event
    ) -> None:
        self._store = store
        self._live_jobs = live_jobs
        self._clocks = clocks
        self._stop = stop

    def run_for(self, live_job: LiveJob) -> JobContext:
        """Return the current opcode's execution, to be handed to ``Task.execute``."""
        return JobContext(
            live_job.job.id,
            live_job.cancel,
            begin=lambda: self._store_begin(live_job),
            log=lambda text, kind: self._log(live_job, text, kind),
        )

    def _store_begin(self, live_job: LiveJob) -> None:
        """Store that the work begins, unless it may run again after a crash anyway."""
        assert live_job.task is not None
        if live_job.task.rerun_safe:
            return
        with self._live_jobs.mutex:
            index = live_job.index
            draft = live_job.job.copy_for_update(index)
        self._store.write_with_retries(
            lambda connection: rows.save(connection, draft, [index]),
            self._stop,
            title=live_job.job.title,
        )

    def _log(self, live_job: LiveJob, text: str, kind: str) -> None:
        """Show a line of the log at once; it becomes durable with the next commit."""
        with self._live_jobs.mutex:
            job, index = live_job.job, live_job.index
            job.log_serial += 1
            entry = LogEntry(job.log_serial, timestamp(self._clocks.wall()), kind, text)
            op = job.ops[index]
            assert op.lines is not None
            op.lines.append(entry)
            self._live_jobs.changed(job.id)

        def stored(future: Future[None]) -> None:
            # No lock: only the store's thread touches this list, here and in ``rows.save``,
            # and the opcode's end is stored after its lines.
            if future.exception() is not None:
                op.unsaved.append(entry)

        self._store.write(lambda connection: rows.add_log(connection, job.id, index, entry), stored)

    def store_end(
        self, live_job: LiveJob, index: int, outcome: Done | Failed
    ) -> tuple[Job, list[Job]]:
        """Store how an opcode ended; return the job as stored, and the jobs that it submits.

        A success whose change is refused becomes a failure. Raises ``StoreUnavailable`` if the
        master stops before the disk takes the end.
        """
        if isinstance(outcome, Done):
            ended = self._draft(live_job, index)
            try:
                children = self._store_success(ended, index, outcome)
            except Exception as err:
                outcome.undo()
                if isinstance(err, StoreUnavailable):
                    raise
                outcome = Failed(err, outcome.op)
            else:
                _run_after_commit(outcome, ended.id)
                return ended, children
        # From a fresh copy: the refused success has changed the first one.
        ended = self._draft(live_job, index)
        ended.ops[index].show(outcome.op)
        ended.fail(index, outcome.error, self._clocks.now())
        self._store.write_with_retries(
            lambda connection: rows.save(connection, ended, range(index, len(ended.ops))),
            self._stop,
            title=ended.title,
        )
        return ended, []

    def _draft(self, live_job: LiveJob, index: int) -> Job:
        with self._live_jobs.mutex:
            return live_job.job.copy_for_update(index)

    def _store_success(self, draft: Job, index: int, outcome: Done) -> list[Job]:
        """Store a success with its change, and the jobs that it submits; return these."""
        now = self._clocks.now()
        draft.succeed(index, outcome.value, now)
        draft.ops[index].show(outcome.op)

        def change(connection: sqlite3.Connection) -> list[Job]:
            if outcome.change is not None:
                outcome.change(connection)
            children = [
                rows.insert(connection, ops, draft.context_for_children(), now)
                for ops in outcome.jobs
            ]
            if children:
                others = outcome.value if isinstance(outcome.value, dict) else {}
                draft.ops[index].result = {**others, "jobs": [[True, job.id] for job in children]}
            rows.save(connection, draft, [index])
            return children

        return self._store.write_with_retries(change, self._stop, title=draft.title)


def _run_after_commit(outcome: Done, job_id: int) -> None:
    """Run what follows a success; it is durable, so a failure here cannot take it back."""
    try:
        outcome.after_commit()
    except Exception:
        logger.exception("Job %d: its changes are stored, but not all of them are shown", job_id)
