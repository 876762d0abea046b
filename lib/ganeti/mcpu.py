"""The processor: carries one opcode through the steps of its logical unit.

The job queue is handed the processor's ``begin``. So the queue depends on no opcode's work, and
the processor needs nothing of a job but its id.

An opcode's task requests the locks that the unit wants according to the present configuration.
Once they are held, the unit is asked again: what it wants may have changed while the task waited
(an instance was renamed, say), and then the task starts over with the new locks. Otherwise the
unit checks whether its work is possible, the queue makes durable that the work begins, and the
unit does it. If it fails, its steps are undone in reverse order.
"""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Callable
from functools import cache

from ganeti import cmdlib, errors, locking
from ganeti.cmdlib.base import Environment, FollowUps, LogicalUnit, big_lock
from ganeti.jqueue.live import (
    Again,
    Done,
    Failed,
    JobContext,
    Outcome,
    Task,
    WaitReason,
    wait_reason,
)
from ganeti.opcodes import BY_ID, OpCode

logger = logging.getLogger(__name__)


@cache
def lu_for(op_id: str) -> type[LogicalUnit[OpCode]]:
    """Return the logical unit of an OP_ID; raise ``OpCodeUnknown`` if there is none."""
    if op_id not in cmdlib.FILE_OF:
        raise errors.OpCodeUnknown(f"unknown opcode {op_id}")
    module = importlib.import_module(f"ganeti.cmdlib.{cmdlib.FILE_OF[op_id]}")
    name = "LU" + BY_ID[op_id].__name__.removeprefix("Op")
    found: type[LogicalUnit[OpCode]] = getattr(module, name)
    return found


def rerun_safe(op: OpCode) -> bool:
    """Return whether running this opcode again after a crash does no harm."""
    return lu_for(op.OP_ID).RERUN_SAFE


class Processor:
    """Makes the tasks of opcodes; all of them share one environment and its locks."""

    def __init__(self, environment: Environment, locks: locking.LockManager) -> None:
        self._environment = environment
        self._locks = locks

    def begin(self, op: OpCode, job_id: int, rank: float) -> OpcodeTask:
        """Return the task of an opcode; raise what its logical unit objects to at once."""
        return OpcodeTask(self._environment, self._locks, op, job_id, rank)


class OpcodeTask(Task):
    """One opcode being carried out, with the locks that it holds or waits for."""

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
        #: A job may be canceled while the dispatcher requests its locks. Under this mutex
        #: either the request finds the task released, or the release finds the request. It is
        #: never held while owners of other requests are called back.
        self._mutex = threading.Lock()
        self._released = False
        self._wants: tuple[locking.Want, ...] = ()
        self._lu = lu_for(op.OP_ID)(op, environment, job_id)
        self.cancellable = self._lu.CANCELLABLE
        self.rerun_safe = self._lu.RERUN_SAFE

    def acquire(self, ready: Callable[[], None]) -> bool:
        """Request the locks that the logical unit wants now, unless the task was released."""
        self._wants = self._wanted()
        with self._mutex:
            if self._released:
                # A unit may reserve names when it is asked for its locks: after the release.
                self._environment.config.release_reservations(self._job_id)
                return False
            return self._locks.request(self._owner, self._wants, self._rank, ready)

    def release(self) -> None:
        """Release locks and reservations; doing it twice is harmless."""
        with self._mutex:
            released, self._released = self._released, True
        if not released:
            # Reservations first: the next owner of the locks must find their resources free.
            self._environment.config.release_reservations(self._job_id)
            self._locks.release(self._owner)

    def waiting_for(self) -> list[WaitReason]:
        """Return the lock that the task waits for, with the jobs that must release it first."""
        found = self._locks.waits_for(self._owner)
        if found is None:
            return []
        jobs = [int(owner.removeprefix("job/")) for owner in found.blockers]
        return [wait_reason("lock", found.name, jobs, found.mode)]

    def set_rank(self, rank: float) -> None:
        """Change the rank of the task in the queues for locks."""
        with self._mutex:
            self._rank = rank
        self._locks.change_rank(self._owner, rank)

    def execute(self, run: JobContext) -> Outcome:
        """Check, make durable that the work begins, and do it; undo what failed half way."""
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
        follow_ups = result if isinstance(result, FollowUps) else None
        return Done(
            result if follow_ups is None else dict(follow_ups.others),
            self._effective_op(),
            change=lu.tx.apply,
            after_commit=lu.tx.publish,
            undo=lambda: self._undo(run),
            jobs=() if follow_ups is None else follow_ups.jobs,
        )

    def _wanted(self) -> tuple[locking.Want, ...]:
        return locking.merge([big_lock(), *self._lu.locks()])

    def _effective_op(self) -> OpCode | None:
        """Return the opcode with what is known by now; None if it failed before that."""
        try:
            return self._lu.effective_op()
        except Exception:
            logger.debug("No effective opcode", exc_info=True)
            return None

    def _undo(self, run: JobContext) -> None:
        for step in self._lu.undo_steps():
            try:
                step()
            except Exception as err:
                logger.exception("Job %d: an undo step failed", self._job_id)
                run.log(f"Could not undo a step: {err}")
