"""What a master makes of the jobs that the one before it left.

Queued jobs run. A job that had begun is over, unless all that had begun in it may
be done again: nobody knows how far it came. One that cannot be read is over, too.

What is over is stored so before any job begins. On a disk that refuses, the master starts
nevertheless and shows these jobs as they are going to be stored; whatever happens before they
are, the next start comes to the same end.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ganeti import errors
from ganeti.constants import JOB_FINAL, JobStatus
from ganeti.db.store import Store, StoreUnavailable
from ganeti.jqueue import completion, rows
from ganeti.jqueue.clocks import Moment
from ganeti.jqueue.job import Job
from ganeti.jqueue.live import LiveJobs
from ganeti.opcodes import OpCode

# -- what was left ---------------------------------------------------------------------


#: What a job that died with the master says (its opcode's result).
DIED = "the master daemon stopped while this job was running; it was not run again"
#: What a job says whose stored opcodes make no sense to this master.
UNREADABLE = "the master daemon cannot read this job any more; it was not run"

#: Job id, and an opcode of it as it was submitted that had begun, or been next: which of
#: a job's opcodes had ended before, and which had not, makes no difference.
Interrupted = tuple[int, OpCode]


class Found(NamedTuple):
    """What was left: jobs to run, jobs that are over (marked so), opcodes that died."""

    living: list[Job]
    over: list[Job]
    dead: list[Interrupted]


def load_unfinished(store: Store, rerun_safe: Callable[[OpCode], bool], now: Moment) -> Found:
    """Read the jobs that had not ended; nothing is written."""
    found = Found([], [], [])
    for job in rows.load_live(store):
        started = [op for op in job.ops if op.status is not JobStatus.QUEUED]
        if job.damaged:
            found.over.append(job)
        elif started and not _may_go_on(job, rerun_safe):
            found.dead.extend((job.id, op.op) for op in started if op.op is not None)
            logging.warning(
                "%s (%s) was running when the master stopped; it ends in error",
                job.title,
                job.outline,
            )
            found.over.append(_ended(job, DIED, now))
        elif any(op.op is None and op.status not in JOB_FINAL for op in job.ops):
            logging.error("%s (%s) cannot be read; it ends in error", job.title, job.outline)
            found.over.append(_ended(job, UNREADABLE, now))
        else:
            found.living.append(_as_new(job))
    return found


def _may_go_on(job: Job, rerun_safe: Callable[[OpCode], bool]) -> bool:
    def again(op: OpCode) -> bool:
        try:
            return rerun_safe(op)
        except Exception:
            logging.exception("Cannot tell whether %s may run again", op.summary())
            return False

    return all(
        op.status in (JobStatus.QUEUED, JobStatus.WAITING) or (op.op is not None and again(op.op))
        for op in job.ops
    )


def _as_new(job: Job) -> Job:
    """What had not ended is queued; new log lines go behind the stored ones."""
    for op in job.ops:
        if op.op is not None:
            op.status, op.start_ts, op.exec_ts = JobStatus.QUEUED, None, None
        op.lines = list(op.log)
        job.log_serial = max([job.log_serial, *(line[0] for line in op.lines)])
    return job


def _ended(job: Job, reason: str, now: Moment) -> Job:
    index = job.current
    if index is None:  # its row and its opcodes contradict each other
        job.end_served = now.served
    else:
        for op in job.ops[index:]:
            op.status = JobStatus.WAITING if op is job.ops[index] else JobStatus.QUEUED
        completion.mark_end(
            job, index, JobStatus.ERROR, errors.encode(errors.OpExecError(reason)), now
        )
    return job


# -- what is over ----------------------------------------------------------------------


class InterruptedJobs:
    """The jobs that are still to be stored; ``wake`` is told of each that is."""

    def __init__(self, store: Store, board: LiveJobs, wake: Callable[[int], None]) -> None:
        self._store = store
        self._board = board
        self._wake = wake
        self._jobs: list[Job] = []

    def take(self, jobs: Sequence[Job]) -> None:
        """Show jobs as ended."""
        with self._board.mutex:
            for job in jobs:
                self._board.add(job)
            self._jobs += jobs

    def store_now(self) -> None:
        """Try once."""
        try:
            self._store.write(self._replace).result()
        except StoreUnavailable as err:
            logging.error("The ends of %d jobs have to wait for the disk: %s", len(self._jobs), err)
        else:
            self._stored()

    def finish(self, stop: threading.Event) -> bool:
        """Try until the disk takes them; false if ``stop`` came first."""
        if self._jobs:
            try:
                completion.commit(
                    self._store,
                    self._replace,
                    stop,
                    title=f"Jobs of the previous master ({len(self._jobs)})",
                )
            except StoreUnavailable:
                return False
            self._stored()
        return True

    def _replace(self, connection: sqlite3.Connection) -> None:
        for job in self._jobs:
            rows.replace(connection, job)

    def _stored(self) -> None:
        with self._board.mutex:
            jobs, self._jobs = self._jobs, []
            for job in jobs:
                self._board.remove(job)
                self._wake(job.id)
