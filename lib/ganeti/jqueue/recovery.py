"""Recovery: what becomes of the jobs that the previous master left unfinished.

Queued jobs run. A job that had begun ends in error, because nobody knows how far its work came,
unless all of it that had begun may be run again. A job whose opcodes cannot be read ends in error,
too.

These ends are stored before any job begins. If the disk refuses, the master starts nevertheless
and shows the jobs as they will be stored. Should it die before that, the next master decides the
same, because nothing of it depends on what happens in between.
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


#: Error of a job that was running when the master stopped; part of its opcode's result.
INTERRUPTED = "the master daemon stopped while this job was running; it was not run again"
#: Error of a job whose stored opcodes this master cannot read.
UNREADABLE = "the master daemon cannot read this job any more; it was not run"

#: A job's id, and one of its opcodes, as submitted, that had begun or was waiting for its locks.
Interrupted = tuple[int, OpCode]


class Unfinished(NamedTuple):
    """The jobs that the previous master left unfinished, and the opcodes it was running."""

    to_run: list[Job]
    #: Already marked as ended in error, but not yet stored so.
    failed: list[Job]
    interrupted: list[Interrupted]


def load_unfinished(store: Store, rerun_safe: Callable[[OpCode], bool], now: Moment) -> Unfinished:
    """Read the jobs that have not ended, and decide about each; nothing is written."""
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
            return True  # a worker stores RUNNING before the work begins
        if op.op is None:
            return False
        try:
            return rerun_safe(op.op)
        except Exception:
            logger.exception("Cannot tell whether %s may run again", op.op.summary())
            return False

    return all(map(may_run, job.ops))


def _as_new(job: Job) -> Job:
    """Queue the opcodes of a job that had not ended; continue its log where it stopped."""
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
    """The interrupted jobs whose end is not stored yet.

    ``wake`` is called with the id of each job whose end is, so that dependent jobs go on.
    """

    def __init__(self, store: Store, live_jobs: LiveJobs, wake: Callable[[int], None]) -> None:
        self._store = store
        self._live_jobs = live_jobs
        self._wake = wake
        self._jobs: list[Job] = []

    def add(self, jobs: Sequence[Job]) -> None:
        """Show these jobs as ended, and remember to store that."""
        with self._live_jobs.mutex:
            for job in jobs:
                self._live_jobs.add(job)
            self._jobs += jobs

    def store_once(self) -> None:
        """Store the jobs; if the disk refuses, leave them to ``store_with_retries``."""
        try:
            self._store.write(self._replace).result()
        except StoreUnavailable as err:
            logger.error(
                "Waiting for the disk to store the end of %d jobs: %s", len(self._jobs), err
            )
        else:
            self._all_stored()

    def store_with_retries(self, stop: threading.Event) -> bool:
        """Store the remaining jobs, retrying until the disk takes them.

        Returns false if ``stop`` was set before that.
        """
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
