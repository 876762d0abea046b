"""Carries one opcode through its steps: locks, check, execution.

The processor is what the job queue is handed. It knows opcodes and logical
units; the queue knows neither, and this knows nothing of jobs but their ids.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from ganeti import cmdlib, errors, locking
from ganeti.cmdlib.base import Environment, FollowUps, LogicalUnit, big_lock
from ganeti.jqueue.live import Again, Done, Failed, JobRun, Outcome, Task, WaitReason, wait_reason
from ganeti.opcodes import OpCode

logger = logging.getLogger(__name__)


def rerun_safe(op: OpCode) -> bool:
    """Return whether this opcode may simply be run again after a crash."""
    return cmdlib.lu_for(op.OP_ID).RERUN_SAFE


class Processor:
    """Makes tasks of opcodes: the queue is handed ``begin``."""

    def __init__(self, environment: Environment, locks: locking.LockManager) -> None:
        self._environment = environment
        self._locks = locks

    def begin(self, op: OpCode, job_id: int, rank: float) -> OpcodeTask:
        """Return a task for an opcode."""
        return OpcodeTask(self._environment, self._locks, op, job_id, rank)


class OpcodeTask(Task):
    """One opcode on its way through the steps of its logical unit."""

    def __init__(
        self,
        environment: Environment,
        locks: locking.LockManager,
        op: OpCode,
        job_id: int,
        rank: float,
    ) -> None:
        self._environment = environment
        self._locks = locks
        self._rank = rank
        self._owner = f"job/{job_id}"
        self._job_id = job_id
        #: A job may be canceled while the dispatcher asks for its locks: either the
        #: request finds the task released, or the release finds the request. Never
        #: held while the owners of other requests are called back.
        self._mutex = threading.Lock()
        self._released = False
        self._wants: tuple[locking.Want, ...] = ()
        self._lu: LogicalUnit[Any] = cmdlib.lu_for(op.OP_ID)(op, environment, job_id)
        self.cancellable = self._lu.CANCELLABLE
        self.rerun_safe = self._lu.RERUN_SAFE

    def acquire(self, ready: Callable[[], None]) -> bool:
        """Ask for the locks that the logical unit wants now; for none once released."""
        self._wants = self._wanted()
        with self._mutex:
            if self._released:
                return False
            return self._locks.request(self._owner, self._wants, self._rank, ready)

    def release(self) -> None:
        """Give back locks and reservations; doing it twice is harmless."""
        with self._mutex:
            released, self._released = self._released, True
        if not released:
            self._environment.config.release_reservations(self._job_id)
            self._locks.release(self._owner)

    def waiting_for(self) -> list[WaitReason]:
        """Return the lock that is waited for, with the jobs that are in the way, as a reason."""
        found = self._locks.waits_for(self._owner)
        if found is None:
            return []
        jobs = [int(owner.removeprefix("job/")) for owner in found.blockers]
        return [wait_reason("lock", found.name, jobs, found.mode)]

    def set_rank(self, rank: float) -> None:
        """Move within the queues for locks."""
        with self._mutex:
            self._rank = rank
        self._locks.change_rank(self._owner, rank)

    def execute(self, run: JobRun) -> Outcome:
        """Check, make durable that work begins, work; undo what failed half way."""
        lu = self._lu
        try:
            if self._wanted() != self._wants:
                return Again()
            lu.check()
            if lu.op.dry_run:
                return Done(lu.dry_run_result(), self._effective_op())
            run.begin()
            result = lu.execute(run)
        except Exception as err:
            self._undo(run)
            if not isinstance(err, errors.Error):
                logger.exception("Job %d: %s failed", self._job_id, lu.op.summary())
            return Failed(err, self._effective_op())
        jobs = result.jobs if isinstance(result, FollowUps) else ()
        value = dict(result.others) if isinstance(result, FollowUps) else result
        return Done(
            value,
            self._effective_op(),
            change=lu.tx.apply,
            after_commit=lu.tx.publish,
            undo=lambda: self._undo(run),
            jobs=jobs,
        )

    def _wanted(self) -> tuple[locking.Want, ...]:
        return locking.merge([big_lock(), *self._lu.locks()])

    def _effective_op(self) -> OpCode | None:
        """Return the opcode with what is known by now; None if the failure came too early."""
        try:
            op: OpCode = self._lu.effective_op()
            return op
        except Exception:
            logger.debug("No effective opcode", exc_info=True)
            return None

    def _undo(self, run: JobRun) -> None:
        for step in self._lu.undo_steps():
            try:
                step()
            except Exception as err:
                logger.exception("Job %d: an undo step failed", self._job_id)
                run.log(f"Could not undo a step: {err}")
