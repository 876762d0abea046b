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

from ganeti.constants import JOB_FINAL, JobStatus
from ganeti.db.store import Store, StoreUnavailable
from ganeti.jqueue import rows
from ganeti.jqueue.job import Job, JobOp, Moment
from ganeti.jqueue.live import LiveJobs
from ganeti.opcodes import OpCode

logger = logging.getLogger(__name__)

# -- what was left ---------------------------------------------------------------------


#: What a job says that was interrupted by the end of the master (its opcode's result).
INTERRUPTED = "the master daemon stopped while this job was running; it was not run again"
#: What a job says whose stored opcodes make no sense to this master.
UNREADABLE = "the master daemon cannot read this job any more; it was not run"

#: Job id, and an opcode of it as it was submitted that had begun, or been next: which of
#: a job's opcodes had ended before, and which had not, makes no difference.
Interrupted = tuple[int, OpCode]


class Unfinished(NamedTuple):
    """The jobs that the previous master left unfinished, and the opcodes it was running."""

    to_run: list[Job]
    #: Marked as ended in error; to be stored so.
    failed: list[Job]
    interrupted: list[Interrupted]


def load_unfinished(store: Store, rerun_safe: Callable[[OpCode], bool], now: Moment) -> Unfinished:
    """Read the jobs that had not ended; nothing is written."""
    found = Unfinished([], [], [])
    for job in rows.load_live(store):
        started = [op for op in job.ops if op.status is not JobStatus.QUEUED]
        if job.damaged:
            found.failed.append(job)
        elif started and not _may_go_on(job, rerun_safe):
            found.interrupted.extend((job.id, op.op) for op in started if op.op is not None)
            logger.warning(
                "%s (%s) was running when the master stopped; it ends in error",
                job.title,
                job.outline,
            )
            found.failed.append(_ended(job, INTERRUPTED, now))
        elif any(op.op is None and op.status not in JOB_FINAL for op in job.ops):
            logger.error("%s (%s) cannot be read; it ends in error", job.title, job.outline)
            found.failed.append(_ended(job, UNREADABLE, now))
        else:
            found.to_run.append(_as_new(job))
    return found


def _may_go_on(job: Job, rerun_safe: Callable[[OpCode], bool]) -> bool:
    def may_run(op: JobOp) -> bool:
        if op.status in (JobStatus.QUEUED, JobStatus.WAITING):
            return True  # its work had not begun
        if op.op is None:
            return False
        try:
            return rerun_safe(op.op)
        except Exception:
            logger.exception("Cannot tell whether %s may run again", op.op.summary())
            return False

    return all(map(may_run, job.ops))


def _as_new(job: Job) -> Job:
    """What had not ended is queued; new log lines go behind the stored ones."""
    for op in job.ops:
        if op.op is not None:
            op.status, op.start_ts, op.exec_ts = JobStatus.QUEUED, None, None
        op.lines = list(op.log)
        job.log_serial = max([job.log_serial, *(entry.serial for entry in op.lines)])
    return job


def _ended(job: Job, reason: str, now: Moment) -> Job:
    if job.current is None:  # its row and its opcodes contradict each other
        job.end_served = now.service_seconds
    else:
        job.give_up(reason, now)
    return job


# -- interrupted jobs ----------------------------------------------------------------------


class InterruptedJobs:
    """Jobs whose failure is not stored yet; ``wake`` is called with the id of each that is."""

    def __init__(self, store: Store, live_jobs: LiveJobs, wake: Callable[[int], None]) -> None:
        self._store = store
        self._live_jobs = live_jobs
        self._wake = wake
        self._jobs: list[Job] = []

    def add(self, jobs: Sequence[Job]) -> None:
        """Show these jobs as ended, and remember that they are to be stored."""
        with self._live_jobs.mutex:
            for job in jobs:
                self._live_jobs.add(job)
            self._jobs += jobs

    def store_once(self) -> None:
        """Store the jobs; on a disk that refuses, leave them for ``store_with_retries``."""
        try:
            self._store.write(self._replace).result()
        except StoreUnavailable as err:
            logger.error("The ends of %d jobs have to wait for the disk: %s", len(self._jobs), err)
        else:
            self._all_stored()

    def store_with_retries(self, stop: threading.Event) -> bool:
        """Store what is left, trying until the disk takes it; false if ``stop`` came first."""
        if self._jobs:
            try:
                self._store.write_with_retries(
                    self._replace,
                    stop,
                    title=f"Jobs of the previous master ({len(self._jobs)})",
                )
            except StoreUnavailable:
                return False
            self._all_stored()
        return True

    def _replace(self, connection: sqlite3.Connection) -> None:
        for job in self._jobs:
            rows.replace(connection, job)

    def _all_stored(self) -> None:
        with self._live_jobs.mutex:
            jobs, self._jobs = self._jobs, []
            for job in jobs:
                self._live_jobs.remove(job)
                self._wake(job.id)
