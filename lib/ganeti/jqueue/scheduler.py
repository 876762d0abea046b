"""The scheduler gives jobs their turn; the work of their opcodes is behind an interface.

Theory. A live job is in one of five phases:

    READY      its next opcode may begin as soon as a worker is free
    PARKED     waits for another job, for a slot of a limit, or for locks
    RUNNABLE   holds its locks, waits for a worker
    RUNNING    a worker executes its opcode
    ENDING     its end is being written

Only a RUNNING job occupies a thread. One dispatcher thread takes READY jobs in the order of
their ranks (``live.rank``) and requests their locks. Because it is the only thread that does so,
locks are requested in that order: of two jobs, the first of which creates an instance that the
second one tags, the first gets the instance's lock. The dispatcher pauses while as many jobs hold
all their locks as there are workers. Jobs that are parked on locks do not count, so that a
thousand of them delay nobody.

Opcodes are carried out by a ``Task``, made by the function that the scheduler is handed: it
requests the locks, says what it waits for, and executes. A worker first makes durable that the
work begins (unless running it again would do no harm), then executes it, then stores its result
and its changes in one commit. So after a crash it is known which work may have begun, and nothing
runs twice.

Everything below that changes a ``LiveJob`` holds the mutex of ``LiveJobs``. It is free while
locks are requested, work runs and the disk is written, and then a client may cancel the job. So
each step first looks again whether the job is in the phase in which the last one left it.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from ganeti import errors
from ganeti.constants import JobStatus
from ganeti.db import store as db_store
from ganeti.db.store import Store, StoreUnavailable
from ganeti.jqueue import rows
from ganeti.jqueue.admission import Admission, Dependencies, has_begun
from ganeti.jqueue.job import CANCELED_RESULT, Clocks, Job
from ganeti.jqueue.live import (
    Again,
    Completion,
    Failed,
    JobPhase,
    LiveJob,
    LiveJobs,
    Outcome,
    ReadyQueue,
    Task,
    WaitReason,
    rank_of,
    wait_reason,
)
from ganeti.jqueue.recovery import InterruptedJobs
from ganeti.opcodes import OpCode
from ganeti.qlang.job_filters import JobFilter

logger = logging.getLogger(__name__)


#: Makes the task of an opcode, given the id and the rank of its job; raises an error to refuse it.
BeginTask = Callable[[OpCode, int, float], Task]


class Scheduler:
    """The dispatcher and the workers; they run from ``start`` to ``stop``."""

    def __init__(
        self,
        store: Store,
        live_jobs: LiveJobs,
        begin_task: BeginTask,
        clocks: Clocks,
        *,
        workers: int,
        filters: Iterable[JobFilter] = (),
    ) -> None:
        self._store = store
        self._live_jobs = live_jobs
        self._begin_task = begin_task
        self._max_running = workers
        self._clocks = clocks
        self._scheduled: dict[int, LiveJob] = {}
        self._ready = ReadyQueue(JobPhase.READY)
        self._runnable = ReadyQueue(JobPhase.RUNNABLE)
        self._busy = 0  # number of jobs that are RUNNABLE or RUNNING
        self._dependencies = Dependencies(store, live_jobs)
        self._admission = Admission(filters, self._make_ready)
        self._interrupted = InterruptedJobs(store, live_jobs, self._wake_dependents)
        self._store_refused = False  # an end could not be stored
        self._stopping = threading.Event()
        self._completion = Completion(store, live_jobs, clocks, self._stopping)
        self._dispatcher_wakeup = threading.Condition(live_jobs.mutex)
        self._worker_wakeup = threading.Condition(live_jobs.mutex)
        self._threads = [threading.Thread(target=self._dispatch, name="dispatcher", daemon=True)]
        self._threads += [
            threading.Thread(target=self._work, name=f"worker-{number}", daemon=True)
            for number in range(workers)
        ]

    def start(self) -> None:
        """Start the threads, and so the jobs that were added."""
        for thread in self._threads:
            thread.start()

    def stop(self, grace: float) -> list[int]:
        """Start no more work; return the ids of jobs still running after ``grace`` seconds."""
        with self._live_jobs.mutex:
            self._stopping.set()
            self._dispatcher_wakeup.notify_all()
            self._worker_wakeup.notify_all()
        deadline = time.monotonic() + grace
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))
        with self._live_jobs.mutex:
            return [
                job_id
                for job_id, live_job in self._scheduled.items()
                if live_job.phase is JobPhase.RUNNING
            ]

    def add(self, job: Job) -> None:
        """Schedule a job whose acceptance is durable, or cancel it if a filter rejects it."""
        with self._live_jobs.mutex:
            self._live_jobs.add(job)
            live_job = self._scheduled[job.id] = LiveJob(job, self._clocks.monotonic())
            if self._is_rejected(job):
                self._end(live_job, JobStatus.CANCELED, CANCELED_RESULT)
            # The dispatcher would park it too, but for each job of a chain again and again.
            elif not live_job.depends or not self._dependencies.park_new(live_job, self._scheduled):
                self._make_ready(live_job)

    def persist_failed(self, jobs: Sequence[Job]) -> None:
        """Store the end of jobs that cannot run; retry later if the disk refuses."""
        self._interrupted.add(jobs)
        self._interrupted.store_once()

    def cancel(self, job_id: int, answer: Callable[[bool, str], None]) -> None:
        """Cancel a live job.

        ``answer`` is called, with whether the job is or will be canceled and a sentence that says
        so: once the end is durable, or at once if that has to wait for the work or the disk.
        """

        def refused(_: BaseException) -> None:
            answer(
                True,
                f"Job {job_id} will be canceled as soon as the disk takes it; until "
                "then it does not begin, unless the master is restarted",
            )

        while True:
            with self._live_jobs.mutex:
                live_job = self._scheduled.get(job_id)
                if live_job is None or live_job.phase is JobPhase.ENDING:
                    answer(False, f"Job {job_id} not found in queue")
                    return
                if live_job.phase is JobPhase.RUNNING:
                    answer(*self._cancel_running(live_job))
                    return
            if self._end(
                live_job,
                JobStatus.CANCELED,
                CANCELED_RESULT,
                lambda: answer(True, f"Job {job_id} canceled"),
                refused,
            ):
                return  # otherwise a worker took it in between: look again

    def change_priority(self, job_id: int, priority: int) -> tuple[bool, str]:
        """Change a live job's priority; return whether it was changed, and a sentence.

        An opcode that runs keeps its priority.
        """
        with self._live_jobs.mutex:
            live_job = self._scheduled.get(job_id)
            if live_job is None or live_job.phase is JobPhase.ENDING:
                return False, f"Job {job_id} not found in queue"
            pending = live_job.job.ops[live_job.index + (live_job.phase is JobPhase.RUNNING) :]
            if live_job.cancel.is_set():
                return False, f"Job {job_id} is being canceled"
            if not pending:  # luxid reports success too: it signals the job's process
                return True, f"Job {job_id} has no pending opcodes; the one that runs goes on"
            for op in pending:
                op.priority = priority
            task = live_job.task
            rank = rank_of(live_job)
            if live_job.phase is JobPhase.READY:
                self._make_ready(live_job)
            elif live_job.phase is JobPhase.RUNNABLE:
                self._runnable.push(live_job)
            self._admission.priority_changed(live_job)
            self._live_jobs.changed(job_id)
        if task is not None:
            task.set_rank(rank)
        return True, f"Priorities of pending opcodes of job {job_id} are now {priority}"

    @property
    def filters(self) -> Sequence[JobFilter]:
        """The job filters in the order in which they are applied."""
        return self._admission.filters

    def set_filters(self, filters: Iterable[JobFilter]) -> None:
        """Replace the job filters, also for the jobs that have not begun yet."""
        with self._live_jobs.mutex:
            scheduled = list(self._scheduled.values())
            self._admission.replace(filters, scheduled)
            for live_job in scheduled:
                if live_job.phase is JobPhase.PARKED and not has_begun(live_job.job):
                    self._dependencies.stop_waiting(live_job)
                    self._make_ready(live_job)
        for live_job in scheduled:  # without the mutex: with many jobs this takes a while
            if self._is_rejected(live_job.job):
                self._end(live_job, JobStatus.CANCELED, CANCELED_RESULT)

    def _is_rejected(self, job: Job) -> bool:
        return bool(self._admission.filters) and self._admission.rejects(job)

    def _may_be_limited(self, job: Job) -> bool:
        """Return whether ``Admission`` has to be asked about a job, and told of its end."""
        return bool(self._admission.filters) or bool(job.own_limits())

    def explainer(self) -> Callable[[int], list[WaitReason]]:
        """Return a function from a job's id to why it waits (``JobQueue.explainer``).

        The jobs that occupy the workers, which many jobs may wait for, are found only once.
        """

        @functools.cache
        def busy() -> list[int]:
            return [
                job_id
                for job_id, live_job in self._scheduled.items()
                if live_job.phase in (JobPhase.RUNNABLE, JobPhase.RUNNING)
            ]

        return lambda job_id: self._wait_reasons(job_id, busy)

    def _wait_reasons(self, job_id: int, busy: Callable[[], list[int]]) -> list[WaitReason]:
        with self._live_jobs.mutex:
            live_job = self._scheduled.get(job_id)
            if live_job is None:
                return []
            task = live_job.task if live_job.phase is JobPhase.PARKED else None
            found = (
                self._dependencies.wait_reasons(live_job, self._scheduled)
                or self._turn_reasons(live_job, busy)
                or self._admission.wait_reasons(live_job)
            )
        if not found and task is not None:
            return task.waiting_for()
        return found

    def _turn_reasons(self, live_job: LiveJob, busy: Callable[[], list[int]]) -> list[WaitReason]:
        """Return why a job whose turn has come does not begin, or whose work is done not end."""
        if live_job.phase not in (JobPhase.READY, JobPhase.RUNNABLE, JobPhase.ENDING):
            return []
        if self._stopping.is_set():
            return [wait_reason("drain", "shutdown")]
        if self._store.refusing:
            return [wait_reason("limit", "disk")]
        if self._busy >= self._max_running and live_job.phase is not JobPhase.ENDING:
            # None while a worker that has just ended a job is still counted as busy.
            if jobs := busy():
                return [wait_reason("limit", "max_running_jobs", jobs)]
        return []

    # -- dispatcher --------------------------------------------------------------------

    def _make_ready(self, live_job: LiveJob) -> None:
        live_job.phase = JobPhase.READY
        self._ready.push(live_job)
        self._dispatcher_wakeup.notify()

    def _next_ready(self) -> LiveJob | None:
        """Wait for the next READY job and return it, PARKED now; None when stopping."""
        with self._live_jobs.mutex:
            while not self._stopping.is_set():
                live_job = self._ready.pop() if self._busy < self._max_running else None
                if live_job is not None:
                    live_job.phase = JobPhase.PARKED
                    return live_job
                self._dispatcher_wakeup.wait()
            return None

    def _dispatch(self) -> None:
        # Before any job runs, since it may depend on a job that was interrupted.
        if not self._interrupted.store_with_retries(self._stopping):
            return
        while (live_job := self._next_ready()) is not None:
            if self._store_refused:  # the job would come back at once: no busy loop
                self._store_refused = False
                self._stopping.wait(db_store.STORE_RETRY)
            try:
                self._dispatch_one(live_job)
            except Exception as err:
                if not isinstance(err, errors.Error):
                    logger.exception("Job %d could not be dispatched", live_job.job.id)
                self._fail(live_job, err)

    def _dispatch_one(self, live_job: LiveJob) -> None:
        """Request what a job needs to begin. An exception from here ends the job in error."""
        with self._live_jobs.mutex:
            if not live_job.is_in(JobPhase.PARKED):
                return  # canceled in between
            item, op = live_job.op, live_job.op.op
            rank, depends = rank_of(live_job), live_job.depends
        assert op is not None
        if live_job.cancel.is_set() or self._is_rejected(live_job.job):
            self._end(live_job, JobStatus.CANCELED, CANCELED_RESULT)
            return
        met = self._dependencies.met(live_job, self._scheduled) if depends else True
        if not isinstance(met, bool):
            self._end(live_job, *met)
            return
        if not met:
            return
        with self._live_jobs.mutex:
            if not live_job.is_in(JobPhase.PARKED):
                return
            if self._may_be_limited(live_job.job) and not self._admission.admit(live_job):
                return
        task = self._begin_task(op, live_job.job.id, rank)
        with self._live_jobs.mutex:
            if not live_job.is_in(JobPhase.PARKED):
                return
            live_job.task = task
            if item.status is JobStatus.QUEUED:
                item.move(JobStatus.WAITING)
                item.start_ts = self._clocks.now().stamp
                live_job.job.start_ts = live_job.job.start_ts or item.start_ts
                self._live_jobs.changed(live_job.job.id)
        if rank_of(live_job) != rank:  # it changed before there was a task to tell
            task.set_rank(rank_of(live_job))
        if task.acquire(lambda: self._locks_held(live_job, task)):
            self._locks_held(live_job, task)

    def _locks_held(self, live_job: LiveJob, task: Task) -> None:
        """Give a job that holds its locks to a worker; on any thread that released a lock."""
        with self._live_jobs.mutex:
            if live_job.task is task and live_job.phase is JobPhase.PARKED:
                live_job.phase = JobPhase.RUNNABLE
                self._busy += 1
                self._runnable.push(live_job)
                self._worker_wakeup.notify()
                return
        task.release()  # canceled in between, without knowing of the locks

    # -- workers ------------------------------------------------------------------------

    def _next_runnable(self) -> LiveJob | None:
        with self._live_jobs.mutex:
            while not self._stopping.is_set():
                live_job = self._runnable.pop()
                if live_job is not None:
                    live_job.phase = JobPhase.RUNNING
                    live_job.op.move(JobStatus.RUNNING)
                    live_job.op.exec_ts = self._clocks.now().stamp
                    self._live_jobs.changed(live_job.job.id)
                    return live_job
                self._worker_wakeup.wait()
            return None

    def _work(self) -> None:
        while (live_job := self._next_runnable()) is not None:
            if not live_job.start_logged:
                live_job.start_logged = True
                logger.info("%s started: %s", live_job.job.title, live_job.job.outline)
            try:
                self._carry_out(live_job)
            except StoreUnavailable:
                logger.warning("Job %d: its end was not stored before the stop", live_job.job.id)
            except Exception:
                logger.exception("Job %d: its failure could not be stored either", live_job.job.id)
            finally:
                with self._live_jobs.mutex:
                    self._busy -= 1
                    self._dispatcher_wakeup.notify()

    def _carry_out(self, live_job: LiveJob) -> None:
        assert live_job.task is not None
        try:
            run = self._completion.run_for(live_job)
            self._finish_opcode(live_job, live_job.task.execute(run))
        except StoreUnavailable:
            raise  # only when stopping: see ``Store.write_with_retries``
        except Exception as err:
            # Tasks return their errors, so this is a mistake of ours; the job must end anyway.
            logger.exception("Job %d: its end could not be stored", live_job.job.id)
            self._finish_opcode(live_job, Failed(errors.ProgrammerError(str(err))))

    def _finish_opcode(self, live_job: LiveJob, outcome: Outcome) -> None:
        """Store how an opcode ended, publish that, and end the job or queue its next opcode."""
        assert live_job.task is not None
        if isinstance(outcome, Again):
            live_job.task.release()
            with self._live_jobs.mutex:
                if live_job.op.status is JobStatus.RUNNING:
                    live_job.op.move(JobStatus.WAITING)
                self._requeue(live_job)  # if it was told to stop, the dispatcher ends it
            return
        with self._live_jobs.mutex:
            index = live_job.index
        draft, children = self._completion.store_end(live_job, index, outcome)
        for child in children:
            self.add(child)
        # Before the job is queued again: its next opcode may need the same locks.
        live_job.task.release()
        with self._live_jobs.mutex:
            live_job.job.publish(draft, index)
            if live_job.job.final:
                self._remove(live_job)
            else:
                self._requeue(live_job)
        draft.log_outcome()

    # -- ends, and what follows them -----------------------------------------------------

    def _fail(self, live_job: LiveJob, error: BaseException) -> None:
        self._end(live_job, JobStatus.ERROR, errors.encode(error))

    def _end(
        self,
        live_job: LiveJob,
        status: JobStatus,
        result: object,
        on_stored: Callable[[], None] = lambda: None,
        on_refused: Callable[[BaseException], None] | None = None,
    ) -> bool:
        """End a job whose current opcode never ran; return False if it runs or has ended.

        ``on_stored`` is called once the end is durable. If the disk refuses, the job is queued
        again, and meets the same end there if the reason still holds. A caller that passes
        ``on_refused``, which is called then, wants the job not to begin in any case.
        """
        with self._live_jobs.mutex:
            if live_job.phase in (JobPhase.RUNNING, JobPhase.ENDING):
                return False
            before, live_job.phase = live_job.phase, JobPhase.ENDING
            if before is JobPhase.RUNNABLE:
                self._busy -= 1
                self._dispatcher_wakeup.notify()
            index = live_job.index
            draft = live_job.job.copy_for_update(index)
            task, live_job.task = live_job.task, None
            self._dependencies.stop_waiting(live_job)
        if task is not None:
            task.release()
        draft.end(index, status, result, self._clocks.now())
        future = self._store.write(
            lambda connection: rows.save(connection, draft, range(index, len(draft.ops)))
        )

        def stored(_: object) -> None:
            error = future.exception()
            with self._live_jobs.mutex:
                if error is not None:
                    self._log_refusal_once(live_job, error)
                    self._store_refused = True
                    if on_refused is not None:
                        live_job.cancel.set()  # the dispatcher will end it
                    self._requeue(live_job)
                else:
                    live_job.job.publish(draft, index)
                    self._remove(live_job)
            if error is None:
                draft.log_outcome()
                on_stored()
            elif on_refused is not None:
                on_refused(error)

        future.add_done_callback(stored)
        return True

    @staticmethod
    def _log_refusal_once(live_job: LiveJob, error: BaseException) -> None:
        """Log, once for each job, that its end waits for the disk."""
        if not live_job.refusal_logged:
            live_job.refusal_logged = True
            logger.error("%s: waiting for the disk: %s", live_job.job.title, error)

    def _cancel_running(self, live_job: LiveJob) -> tuple[bool, str]:
        job_id = live_job.job.id
        assert live_job.task is not None
        if not live_job.task.cancellable:
            return False, f"Job {job_id} is running and can no longer be canceled"
        live_job.cancel.set()
        if live_job.op.status is JobStatus.RUNNING:
            live_job.op.move(JobStatus.CANCELING)
            self._live_jobs.changed(job_id)
        return True, f"Job {job_id} will be canceled"

    def _requeue(self, live_job: LiveJob) -> None:
        live_job.task = None
        self._make_ready(live_job)
        self._live_jobs.changed(live_job.job.id)

    def _remove(self, live_job: LiveJob) -> None:
        live_job.phase = JobPhase.ENDING
        del self._scheduled[live_job.job.id]
        self._live_jobs.remove(live_job.job)
        if self._may_be_limited(live_job.job):
            self._admission.job_ended(live_job.job)
        self._wake_dependents(live_job.job.id)

    def _wake_dependents(self, number: int) -> None:
        if number not in self._dependencies.waiting:
            return
        for dependent in self._dependencies.job_ended(number):
            waiting = self._scheduled.get(dependent)
            if waiting is not None and waiting.depends_on == number:
                waiting.depends_on = None
                if waiting.phase is JobPhase.PARKED:
                    self._make_ready(waiting)
