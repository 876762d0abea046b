"""Gives jobs their turn; knows no opcode's work.

Theory. A live job is in one of five phases:

    READY      its next opcode may begin as soon as there is room
    PARKED     waits for another job, or for locks; holds no thread
    RUNNABLE   holds its locks, waits for a worker
    RUNNING    a worker carries its opcode out
    ENDING     its end is being written

One dispatcher thread takes READY jobs in the order of their ranks (``line``) and asks
for their locks. Since it is one thread, locks are asked for in that order: a
job that creates an instance and the job after it, which tags it, meet in the
right order. It stops while as many jobs hold their locks as there are workers;
jobs parked on locks do not count, so a thousand of them hold up nobody.

What an opcode does is handed in: ``Executor.begin`` gives a ``Task``, which
takes the locks, says what it waits for, and executes. A worker first makes
durable that the work begins (unless running it again would do no harm), then
executes, then stores result and effect in one commit. So after a crash it is
known which work may have begun, and nothing runs twice.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ganeti import errors
from ganeti.constants import JobStatus
from ganeti.db.store import Store, StoreUnavailable
from ganeti.jqueue import completion, live, rows
from ganeti.jqueue.admission import Admission, has_begun
from ganeti.jqueue.clocks import Clocks
from ganeti.jqueue.completion import run_of
from ganeti.jqueue.dependencies import Dependencies
from ganeti.jqueue.execution import Again, Executor, Failed, Outcome, Task
from ganeti.jqueue.job import CANCELED_RESULT, Job
from ganeti.jqueue.live import JobPhase, LiveJob, LiveJobs, ReadyQueue, rank_of
from ganeti.jqueue.recovery import InterruptedJobs
from ganeti.qlang.job_filters import JobFilter


class Scheduler:
    """Dispatcher and workers. ``start`` begins, ``stop`` ends."""

    def __init__(
        self,
        store: Store,
        board: LiveJobs,
        executor: Executor,
        clocks: Clocks,
        *,
        workers: int,
        rules: Iterable[JobFilter] = (),
    ) -> None:
        self._store = store
        self._board = board
        self._executor = executor
        self._room = workers
        self._clocks = clocks
        self._entries: dict[int, LiveJob] = {}
        self._ready = ReadyQueue(JobPhase.READY)
        self._runnable = ReadyQueue(JobPhase.RUNNABLE)
        self._busy = 0  # RUNNABLE and RUNNING ones
        self._dependents = Dependencies(store, board)
        self._gate = Admission(rules, self._make_ready)
        self._burial = InterruptedJobs(store, board, self._wake_dependents)
        self._refused = False  # the disk did not take an end
        self._stopping = threading.Event()
        self._to_dispatch = threading.Condition(board.mutex)
        self._to_work = threading.Condition(board.mutex)
        self._threads = [threading.Thread(target=self._dispatch, name="dispatcher", daemon=True)]
        self._threads += [
            threading.Thread(target=self._work, name=f"worker-{number}", daemon=True)
            for number in range(workers)
        ]

    def start(self) -> None:
        """Begin to run what was added."""
        for thread in self._threads:
            thread.start()

    def stop(self, grace: float) -> list[int]:
        """Begin nothing new; ids of the jobs still running after ``grace`` seconds."""
        with self._board.mutex:
            self._stopping.set()
            self._to_dispatch.notify_all()
            self._to_work.notify_all()
        deadline = time.monotonic() + grace
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))
        with self._board.mutex:
            return [
                job_id for job_id, entry in self._entries.items() if entry.phase is JobPhase.RUNNING
            ]

    def add(self, job: Job) -> None:
        """Take on a job that is stored; one that depends on a live one need not be looked at."""
        with self._board.mutex:
            self._board.add(job)
            entry = self._entries[job.id] = LiveJob(job, self._clocks.monotonic())
            if self._gate.rejects(job):
                self._end(entry, JobStatus.CANCELED, CANCELED_RESULT)
            elif not self._dependents.park_new(entry, self._entries):
                self._make_ready(entry)

    def bury(self, jobs: Sequence[Job]) -> None:
        """Store how jobs ended that cannot run; on a disk that refuses, once it does not."""
        self._burial.take(jobs)
        self._burial.store_now()

    def cancel(self, job_id: int, answer: Callable[[bool, str], None]) -> None:
        """Cancel a live job; ``answer`` comes once it is durable, or says that it is not yet."""

        def refused(_: BaseException) -> None:
            answer(
                True,
                f"Job {job_id} will be canceled as soon as the disk takes it; until "
                "then it does not begin, unless the master is restarted",
            )

        while True:
            with self._board.mutex:
                entry = self._entries.get(job_id)
                if entry is None or entry.phase is JobPhase.ENDING:
                    answer(False, f"Job {job_id} not found in queue")
                    return
                if entry.phase is JobPhase.RUNNING:
                    answer(*self._cancel_running(entry))
                    return
            if self._end(
                entry,
                JobStatus.CANCELED,
                CANCELED_RESULT,
                lambda: answer(True, f"Job {job_id} canceled"),
                refused,
            ):
                return  # otherwise it moved on: look again

    def change_priority(self, job_id: int, priority: int) -> tuple[bool, str]:
        """Move a live job -> (was it moved; a sentence). An opcode that runs keeps its priority."""
        with self._board.mutex:
            entry = self._entries.get(job_id)
            if entry is None or entry.phase is JobPhase.ENDING:
                return False, f"Job {job_id} not found in queue"
            pending = entry.job.ops[entry.index + (entry.phase is JobPhase.RUNNING) :]
            if entry.cancel.is_set():
                return False, f"Job {job_id} is being canceled"
            if not pending:  # luxid signals such a job's process, and says so: true
                return True, f"Job {job_id} has no pending opcodes; the one that runs goes on"
            for op in pending:
                op.priority = priority
            task = entry.task
            place = rank_of(entry)
            if entry.phase is JobPhase.READY:
                self._make_ready(entry)
            elif entry.phase is JobPhase.RUNNABLE:
                self._runnable.push(entry)
            self._gate.moved(entry)
            self._board.changed(job_id)
        if task is not None:
            task.set_rank(place)
        return True, f"Priorities of pending opcodes of job {job_id} are now {priority}"

    @property
    def rules(self) -> Sequence[JobFilter]:
        """Which jobs may begin, in their order."""
        return self._gate.rules

    def set_rules(self, rules: Iterable[JobFilter]) -> None:
        """Have other rules, for all jobs that have not begun."""
        with self._board.mutex:
            live = list(self._entries.values())
            self._gate.replace(rules, live)
            for entry in live:
                if entry.phase is JobPhase.PARKED and not has_begun(entry.job):
                    self._dependents.leave(entry)
                    self._make_ready(entry)
        for entry in live:  # of many jobs this takes a while
            if self._gate.rejects(entry.job):
                self._end(entry, JobStatus.CANCELED, CANCELED_RESULT)

    def explainer(self) -> Callable[[int], list[dict[str, Any]]]:
        """See ``JobQueue.explainer``: who takes all the room is found out once, if at all."""

        @functools.cache
        def full() -> list[int]:
            return [
                job_id
                for job_id, entry in self._entries.items()
                if entry.phase in (JobPhase.RUNNABLE, JobPhase.RUNNING)
            ]

        return lambda job_id: self._waiting_for(job_id, full)

    def _waiting_for(self, job_id: int, full: Callable[[], list[int]]) -> list[dict[str, Any]]:
        with self._board.mutex:
            entry = self._entries.get(job_id)
            if entry is None:
                return []
            task = entry.task if entry.phase is JobPhase.PARKED else None
            found = live.wait_reasons(
                entry,
                self._entries,
                stopping=self._stopping.is_set(),
                refusing=self._store.refusing,
                full=full() if self._busy >= self._room else [],
            )
        return found or self._gate.why(entry) or (task.waiting_for() if task is not None else [])

    # -- dispatcher --------------------------------------------------------------------

    def _make_ready(self, entry: LiveJob) -> None:
        entry.phase = JobPhase.READY
        self._ready.push(entry)
        self._to_dispatch.notify()

    def _next_ready(self) -> LiveJob | None:
        """The next READY job; None when stopping."""
        with self._board.mutex:
            while not self._stopping.is_set():
                entry = self._ready.pop() if self._busy < self._room else None
                if entry is not None:
                    entry.phase = JobPhase.PARKED
                    return entry
                self._to_dispatch.wait()
            return None

    def _dispatch(self) -> None:
        if not self._burial.finish(self._stopping):  # before the jobs that depend on it
            return
        while (entry := self._next_ready()) is not None:
            if self._refused:  # do not run in circles meanwhile
                self._refused = False
                self._stopping.wait(completion.STORE_RETRY)
            try:
                self._dispatch_one(entry)
            except Exception as err:
                if not isinstance(err, errors.Error):
                    logging.exception("Job %d could not be dispatched", entry.job.id)
                self._fail(entry, err)

    def _dispatch_one(self, entry: LiveJob) -> None:
        """Ask for what a job needs; what is raised here ends it in error."""
        with self._board.mutex:
            if not entry.is_in(JobPhase.PARKED):
                return  # canceled meanwhile
            item, op = entry.op, entry.op.op
            place = rank_of(entry)
        assert op is not None
        if entry.cancel.is_set() or self._gate.rejects(entry.job):
            self._end(entry, JobStatus.CANCELED, CANCELED_RESULT)
            return
        met = self._dependents.met(entry, self._entries)
        if not isinstance(met, bool):
            self._end(entry, *met)
            return
        with self._board.mutex:
            if not met or not entry.is_in(JobPhase.PARKED) or not self._gate.admit(entry):
                return
        task = self._executor.begin(op, entry.job.id, place)
        with self._board.mutex:
            if not entry.is_in(JobPhase.PARKED):
                return
            entry.task = task
            if item.status is JobStatus.QUEUED:
                item.move(JobStatus.WAITING)
                item.start_ts = self._clocks.now().stamp
                entry.job.start_ts = entry.job.start_ts or item.start_ts
                self._board.changed(entry.job.id)
        if rank_of(entry) != place:  # changed before it had a task to tell
            task.set_rank(rank_of(entry))
        if task.acquire(lambda: self._locks_held(entry, task)):
            self._locks_held(entry, task)

    def _locks_held(self, entry: LiveJob, task: Task) -> None:
        with self._board.mutex:
            if entry.task is task and entry.phase is JobPhase.PARKED:
                entry.phase = JobPhase.RUNNABLE
                self._busy += 1
                self._runnable.push(entry)
                self._to_work.notify()
                return
        task.release()  # canceled in between

    # -- workers ------------------------------------------------------------------------

    def _next_runnable(self) -> LiveJob | None:
        with self._board.mutex:
            while not self._stopping.is_set():
                entry = self._runnable.pop()
                if entry is not None:
                    entry.phase = JobPhase.RUNNING
                    entry.op.move(JobStatus.RUNNING)
                    entry.op.exec_ts = self._clocks.now().stamp
                    self._board.changed(entry.job.id)
                    return entry
                self._to_work.wait()
            return None

    def _work(self) -> None:
        while (entry := self._next_runnable()) is not None:
            if not entry.told_start:
                entry.told_start = True
                logging.info("%s started: %s", entry.job.title, entry.job.outline)
            try:
                self._carry_out(entry)
            except StoreUnavailable:
                logging.warning("Job %d: its end could not be stored before the stop", entry.job.id)
            except Exception:
                logging.exception("Job %d: no end of it could be recorded", entry.job.id)
            finally:
                with self._board.mutex:
                    self._busy -= 1
                    self._to_dispatch.notify()

    def _carry_out(self, entry: LiveJob) -> None:
        assert entry.task is not None
        try:
            run = run_of(entry, self._board, self._store, self._clocks.wall, self._stopping)
            self._settle(entry, entry.task.execute(run))
        except StoreUnavailable:
            raise  # only when stopping; see ``ending.commit``
        except Exception as err:
            # Not the work's own failure: a mistake in here. The job must not hang.
            logging.exception("Job %d: its end could not be recorded", entry.job.id)
            self._settle(entry, Failed(errors.ProgrammerError(str(err))))

    def _settle(self, entry: LiveJob, outcome: Outcome) -> None:
        """Store how an opcode ended, show it, and let the job go on."""
        assert entry.task is not None
        if isinstance(outcome, Again):
            entry.task.release()
            with self._board.mutex:
                if entry.op.status is JobStatus.RUNNING:
                    entry.op.move(JobStatus.WAITING)
                self._requeue(entry)  # if it was told to stop, it ends there
            return
        with self._board.mutex:
            index = entry.index
        draft, children = completion.store_end(
            self._store, self._board, entry.job, index, outcome, self._clocks, self._stopping
        )
        for child in children:
            self.add(child)
        # Before the job goes on: its next opcode may want the same locks.
        entry.task.release()
        with self._board.mutex:
            completion.publish(entry.job, draft, index)
            if entry.job.final:
                self._forget(entry)
            else:
                self._requeue(entry)
        completion.log_outcome(draft)

    # -- ends, and what they set going -----------------------------------------------------

    def _fail(self, entry: LiveJob, error: BaseException) -> None:
        self._end(entry, JobStatus.ERROR, errors.encode(error))

    def _end(
        self,
        entry: LiveJob,
        status: JobStatus,
        result: Any,
        done: Callable[[], None] = lambda: None,
        refuse: Callable[[BaseException], None] | None = None,
    ) -> bool:
        """End a job whose current opcode never ran; False: it runs, or has ended."""
        with self._board.mutex:
            if entry.phase in (JobPhase.RUNNING, JobPhase.ENDING):
                return False
            before, entry.phase = entry.phase, JobPhase.ENDING
            if before is JobPhase.RUNNABLE:
                self._busy -= 1
                self._to_dispatch.notify()
            index = entry.index
            draft = completion.copy_for_update(entry.job, index)
            task, entry.task = entry.task, None
            self._dependents.leave(entry)
        if task is not None:
            task.release()
        completion.mark_end(draft, index, status, result, self._clocks.now())
        future = self._store.write(
            lambda connection: rows.save(connection, draft, range(index, len(draft.ops)))
        )

        def stored(_: object) -> None:
            error = future.exception()
            with self._board.mutex:
                if error is not None:
                    self._tell_refusal(entry, error)
                    self._refused = True
                    if refuse is not None:
                        entry.cancel.set()  # it does not begin any more
                    self._requeue(entry)
                else:
                    completion.publish(entry.job, draft, index)
                    self._forget(entry)
            if error is None:
                completion.log_outcome(draft)
                done()
            elif refuse is not None:
                refuse(error)

        future.add_done_callback(stored)
        return True

    @staticmethod
    def _tell_refusal(entry: LiveJob, error: BaseException) -> None:
        """Have the log say once that the end of a job waits for the disk."""
        if not entry.told_refusal:
            entry.told_refusal = True
            logging.error("%s: waiting for the disk: %s", entry.job.title, error)

    def _cancel_running(self, entry: LiveJob) -> tuple[bool, str]:
        job_id = entry.job.id
        assert entry.task is not None
        if not entry.task.cancellable:
            return False, f"Job {job_id} is running and can no longer be canceled"
        entry.cancel.set()
        if entry.op.status is JobStatus.RUNNING:
            entry.op.move(JobStatus.CANCELING)
            self._board.changed(job_id)
        return True, f"Job {job_id} will be canceled"

    def _requeue(self, entry: LiveJob) -> None:
        entry.task = None
        self._make_ready(entry)
        self._board.changed(entry.job.id)

    def _forget(self, entry: LiveJob) -> None:
        entry.phase = JobPhase.ENDING
        del self._entries[entry.job.id]
        self._board.remove(entry.job)
        self._gate.ended(entry.job)
        self._wake_dependents(entry.job.id)

    def _wake_dependents(self, number: int) -> None:
        for dependent in self._dependents.ended(number):
            waiting = self._entries.get(dependent)
            if waiting is not None and waiting.depends_on == number:
                waiting.depends_on = None
                if waiting.phase is JobPhase.PARKED:
                    self._make_ready(waiting)
