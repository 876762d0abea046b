"""What clients ask of the job queue: submit, query, cancel, wait, archive.

Everything that changes answers with a future, which resolves once the change
is durable; nobody waits for the disk with a thread of his own.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any

from ganeti import constants, errors, luxi
from ganeti.constants import JOB_FINAL, JobStatus
from ganeti.jqueue import ending, journal
from ganeti.jqueue.board import Board
from ganeti.jqueue.job import Job, timestamp
from ganeti.jqueue.runner import Runner
from ganeti.jqueue.task import Executor
from ganeti.opcodes import OpCode
from ganeti.store import Store, StoreUnavailable

#: What a job that died with the master says (its opcode's result).
DIED = "the master daemon stopped while this job was running; it was not run again"
#: What a job says whose stored opcodes make no sense to this master.
UNREADABLE = "the master daemon cannot read this job any more; it was not run"
#: Jobs archived in one commit: bounds how long others wait for it.
ARCHIVE_BATCH = 200

Answer = tuple[bool, str]


class JobQueue:
    """The queue of one master."""

    def __init__(self, store: Store, executor: Executor, *,
                 rerun_safe: Callable[[OpCode], bool] = lambda op: False,
                 workers: int = constants.MAX_RUNNING_JOBS,
                 max_live: int = constants.MAX_LIVE_JOBS,
                 clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._max_live = max_live
        self._rerun_safe = rerun_safe
        self._board = Board()
        self._runner = Runner(store, self._board, executor, workers=workers, clock=clock)
        with store.read() as connection:
            self._drained = bool(journal.value(connection, "drained", False))
            self._watcher_pause: float | None = journal.value(connection, "watcher_pause", None)

    # -- life -----------------------------------------------------------------------

    def recover(self) -> list[tuple[int, OpCode]]:
        """Take up what is stored; the opcodes of jobs that died in the middle of their work.

        Pairs of job id and opcode as it was submitted: which of a job's opcodes
        had ended before, and which had not, makes no difference here.

        Queued jobs will run. A job that had started ends in error, unless the
        opcode that was running may be run again.
        """
        dead: list[tuple[int, OpCode]] = []
        for job in journal.load_live(self._store):
            started = [op for op in job.ops if op.status is not JobStatus.QUEUED]
            if started and not self._may_go_on(job):
                dead += [(job.id, op.op) for op in started if op.op is not None]
                logging.warning("Job %d (%s) was running when the master stopped; "
                                "it ends in error", job.id, ", ".join(job.summary))
                self._bury(job, DIED)
                continue
            if any(op.op is None and op.status not in JOB_FINAL for op in job.ops):
                logging.error("Job %d (%s) cannot be read; it ends in error",
                              job.id, ", ".join(job.summary))
                self._bury(job, UNREADABLE)
                continue
            for op in job.ops:
                if op.op is not None:
                    op.status, op.start_ts, op.exec_ts = JobStatus.QUEUED, None, None
                # New lines go behind the stored ones.
                op.lines = list(op.log)
                job.log_serial = max([job.log_serial, *(line[0] for line in op.lines)])
            self._runner.add(job)
        return dead

    def start(self) -> None:
        """Begin to run jobs."""
        self._runner.start()

    def stop(self, grace: float) -> list[int]:
        """Begin nothing new; ids of the jobs that still run after ``grace`` seconds."""
        return self._runner.stop(grace)

    def _may_go_on(self, job: Job) -> bool:
        return all(op.status in (JobStatus.QUEUED, JobStatus.WAITING)
                   or (op.op is not None and self._may_run_again(op.op)) for op in job.ops)

    def _may_run_again(self, op: OpCode) -> bool:
        try:
            return self._rerun_safe(op)
        except Exception:
            logging.exception("Cannot tell whether %s may run again", op.summary())
            return False

    def _bury(self, job: Job, reason: str) -> None:
        """End a job that cannot go on."""
        index = job.current
        if index is None:                   # its row and its opcodes contradict each other
            self._store.write(lambda connection: journal.save(connection, job, ())).result()
            return
        for op in job.ops[index:]:
            op.status = JobStatus.WAITING if op is job.ops[index] else JobStatus.QUEUED
        ending.mark_end(job, index, JobStatus.ERROR,
                        errors.encode(errors.OpExecError(reason)), timestamp(self._clock()))
        self._store.write(lambda connection: journal.save(
            connection, job, range(index, len(job.ops)))).result()

    # -- submitting ---------------------------------------------------------------------

    def submit(self, jobs: Sequence[Sequence[OpCode]], context: luxi.Context = luxi.Context(), *,
               to_drained: bool = False) -> Future[list[int]]:
        """Accept jobs, all or none; their ids, once they are durable.

        ``JobQueueDrainError``, ``JobQueueFull``, ``GenericError`` (dependencies);
        ``JobQueueUnavailable`` when the disk refuses.
        """
        answer: Future[list[int]] = Future()
        if self._drained and not to_drained:
            answer.set_exception(errors.JobQueueDrainError("The job queue is drained: "
                                                           "it takes no new jobs"))
            return answer
        if len(self._board) + len(jobs) > self._max_live:
            answer.set_exception(errors.JobQueueFull(
                f"The job queue is full: it holds {len(self._board)} unfinished jobs"))
            return answer

        def change(connection: sqlite3.Connection) -> list[Job]:
            now = self._clock()
            return [journal.insert(connection, ops, context, now) for ops in jobs]

        def accept(accepted: list[Job]) -> list[int]:
            for job in accepted:
                if job.ops:
                    self._runner.add(job)
                logging.info("Job %d accepted%s: %s", job.id,
                             f" from {context.user}" if context.user else "",
                             ", ".join(job.summary))
            return [job.id for job in accepted]
        return self._then(change, accept, answer)

    @property
    def drained(self) -> bool:
        """Does the queue take no new jobs?"""
        return self._drained

    def set_drained(self, flag: bool) -> Future[bool]:
        """Stop or start taking new jobs; answers true."""
        def switch(_: object) -> bool:
            self._drained = flag
            return True
        return self._then(lambda connection: journal.set_value(connection, "drained", flag),
                          switch)

    @property
    def watcher_pause(self) -> float | None:
        """Until when Ganeti's watcher keeps still (seconds since the epoch).

        Kept beside the drain flag: who sets it takes no lock of the configuration.
        """
        return self._watcher_pause

    def set_watcher_pause(self, until: float | None) -> Future[float | None]:
        """Have the watcher keep still, or (None) work; answers the same."""
        def switch(_: object) -> float | None:
            self._watcher_pause = until
            return until
        return self._then(
            lambda connection: journal.set_value(connection, "watcher_pause", until), switch)

    # -- looking ----------------------------------------------------------------------------

    def jobs(self, ids: Iterable[int] | None = None, *, archived: bool = False) -> list[Job]:
        """Jobs, ascending: these (also archived ones), or all; copies that nobody changes."""
        if ids is not None:
            wanted = set(ids)
            found = {job_id: job for job_id in wanted if (job := self._board.copy(job_id))}
            rest = [job_id for job_id in wanted if job_id not in found]
            stored = journal.load(self._store, rest, archived=True) if rest else []
        else:
            # Live ones first: whoever ends in between is then shown twice, not never.
            found = self._board.copies()
            stored = journal.load(self._store, None, archived=archived)
        return [job for _, job in sorted(({job.id: job for job in stored} | found).items())]

    def job(self, job_id: int) -> Job | None:
        """One job, archived or not."""
        found = self.jobs([job_id])
        return found[0] if found else None

    def watch(self, job_id: int, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call ``watcher`` whenever a live job changes; returns what ends that."""
        return self._board.watch(job_id, watcher)

    def waiting_for(self, job_id: int) -> list[dict[str, Any]]:
        """What a live job waits for: ``{kind, name, mode, jobs}``, empty if for nothing."""
        return self._runner.waiting_for(job_id)

    # -- changing -------------------------------------------------------------------------------

    def cancel(self, job_id: int) -> Future[Answer]:
        """Cancel a job -> (was it, or will it be; a sentence)."""
        answer: Future[Answer] = Future()
        self._runner.cancel(job_id, lambda done, text: answer.set_result((done, text)),
                            lambda error: answer.set_exception(_refusal(error)))
        return answer

    def change_priority(self, job_id: int, priority: int) -> Future[Answer]:
        """Move an unfinished job -> (was it moved; a sentence)."""
        if not constants.PRIORITY_HIGHEST <= priority <= constants.PRIORITY_LOWEST:
            raise errors.OpPrereqError(
                f"Priority {priority} is not between {constants.PRIORITY_HIGHEST} "
                f"and {constants.PRIORITY_LOWEST}")

        def move(_: object) -> Answer:
            if not self._runner.change_priority(job_id, priority):
                return False, f"Job {job_id} not found in queue"
            return True, f"Priorities of pending opcodes of job {job_id} are now {priority}"
        return self._then(
            lambda connection: journal.set_priority(connection, job_id, priority), move)

    def archive(self, job_id: int) -> Future[bool]:
        """Put a final job away; false if there is none, or it is away already."""
        return self._then(lambda connection: journal.archive(connection, [job_id]), bool)

    def auto_archive(self, age: float, timeout: float) -> tuple[int, int]:
        """Put away what ended ``age`` seconds ago, for ``timeout`` seconds at most.

        (archived, not looked at); an ``age`` of -1 takes all final jobs.
        """
        before = None if age < 0 else int(max(0.0, self._clock() - age) * 1_000_000)
        with self._store.read() as connection:
            ids = journal.archivable(connection, before)
        deadline = time.monotonic() + timeout
        done = looked_at = 0
        while looked_at < len(ids) and time.monotonic() < deadline:
            batch = ids[looked_at:looked_at + ARCHIVE_BATCH]
            done += self._archive_batch(batch)
            looked_at += len(batch)
        return done, len(ids) - looked_at

    def _archive_batch(self, batch: list[int]) -> int:
        try:
            return self._store.write(
                lambda connection: journal.archive(connection, batch)).result()
        except StoreUnavailable as err:
            raise _refusal(err) from None

    def _then(self, change: Callable[[sqlite3.Connection], Any], step: Callable[[Any], Any],
              answer: Future[Any] | None = None) -> Future[Any]:
        """Have a change stored; a future of what ``step`` then makes of its result.

        Steps are taken in the order of the commits, on the store's thread.
        """
        result: Future[Any] = Future() if answer is None else answer

        def done(future: Future[Any]) -> None:
            error = future.exception()
            if error is not None:
                result.set_exception(_refusal(error))
                return
            try:
                result.set_result(step(future.result()))
            except Exception as err:
                logging.exception("A step after a commit failed")
                result.set_exception(err)
        self._store.write(change, done)
        return result


def _refusal(error: BaseException) -> BaseException:
    if isinstance(error, StoreUnavailable):
        return errors.JobQueueUnavailable(f"The job queue cannot be written: {error}")
    return error
