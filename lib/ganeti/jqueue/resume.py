"""What a master makes of the jobs that the one before it left.

Queued jobs run. A job that had begun is over, unless all that had begun in it may
be done again: nobody knows how far it came. One that cannot be read is over, too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

from ganeti import errors
from ganeti.constants import JOB_FINAL, JobStatus
from ganeti.db.store import Store
from ganeti.jqueue import ending, records
from ganeti.jqueue.clocks import Moment
from ganeti.jqueue.job import Job
from ganeti.opcodes import OpCode

#: What a job that died with the master says (its opcode's result).
DIED = "the master daemon stopped while this job was running; it was not run again"
#: What a job says whose stored opcodes make no sense to this master.
UNREADABLE = "the master daemon cannot read this job any more; it was not run"

#: Job id, and an opcode of it as it was submitted that had begun, or been next: which of
#: a job's opcodes had ended before, and which had not, makes no difference.
Dead = tuple[int, OpCode]


class Found(NamedTuple):
    """What was left: jobs to run, jobs that are over (marked so), opcodes that died."""

    living: list[Job]
    over: list[Job]
    dead: list[Dead]


def take_up(store: Store, rerun_safe: Callable[[OpCode], bool], now: Moment) -> Found:
    """Read the jobs that had not ended; nothing is written."""
    found = Found([], [], [])
    for job in records.load_live(store):
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
        ending.mark_end(job, index, JobStatus.ERROR, errors.encode(errors.OpExecError(reason)), now)
    return job
