"""How opcodes and jobs end: on a copy first, which is stored, and only then shown."""

from __future__ import annotations

import copy
import logging
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from ganeti import errors
from ganeti.constants import JOB_FINAL, JobStatus
from ganeti.db.store import Store, StoreUnavailable
from ganeti.jqueue import rows
from ganeti.jqueue.clocks import Clocks, Moment
from ganeti.jqueue.execution import Done, Failed, JobRun
from ganeti.jqueue.job import CANCELED_RESULT, Job, JobOp, cut, end_rest, timestamp
from ganeti.jqueue.live import LiveJob, LiveJobs
from ganeti.opcodes import OpCode
from ganeti.utils.redaction import redact

logger = logging.getLogger(__name__)

# -- the end of a job ------------------------------------------------------------------


#: Seconds between tries to store something on a disk that refuses.
STORE_RETRY = 1.0
#: Characters of an error's words that the log shows at most.
REASON_SHOWN = 500

T = TypeVar("T")


def commit(
    store: Store, change: Callable[[sqlite3.Connection], T], stop: threading.Event, *, title: str
) -> T:
    """Store what must be stored and return what ``change`` returns.

    A disk that refuses is tried again each second until it takes the change, or until ``stop``;
    then ``StoreUnavailable`` is raised. The log says once that ``title`` waits for the disk.
    """
    logged = False
    while True:
        try:
            made = store.write(change).result()
            break
        except StoreUnavailable as err:
            if not logged:
                logged = True
                logger.error("%s: waiting for the disk: %s", title, err)
            if stop.wait(STORE_RETRY):
                raise
    if logged:
        logger.info("%s: the disk takes changes again", title)
    return made


def copy_for_update(job: Job, first: int) -> Job:
    """Return a copy of the job whose opcodes from ``first`` on may be changed."""
    draft = copy.copy(job)
    draft.ops = job.ops[:first] + [copy.copy(op) for op in job.ops[first:]]
    return draft


def publish(job: Job, draft: Job, first: int) -> None:
    """Show readers what was stored in ``draft``."""
    job.start_ts, job.end_ts, job.end_served = draft.start_ts, draft.end_ts, draft.end_served
    for shown, op in zip(job.ops[first:], draft.ops[first:]):
        op.priority = shown.priority  # it may have been changed meanwhile
    job.ops[first:] = draft.ops[first:]


def store_end(
    store: Store,
    live_jobs: LiveJobs,
    job: Job,
    index: int,
    outcome: Done | Failed,
    clocks: Clocks,
    stop: threading.Event,
) -> tuple[Job, list[Job]]:
    """Store how an opcode ended, with its effect; (the job as stored, jobs that follow).

    A success whose effect is refused becomes the failure that it then is.
    """

    def draft() -> Job:
        with live_jobs.mutex:
            return copy_for_update(job, index)

    if isinstance(outcome, Done):
        ended = draft()
        try:
            children = commit(
                store, store_success(ended, index, outcome, clocks.now()), stop, title=job.title
            )
        except Exception as err:
            outcome.undo()
            if isinstance(err, StoreUnavailable):
                raise
            outcome = Failed(err, outcome.op)
        else:
            after_commit(outcome, job.id)
            return ended, children
    ended = draft()
    mark_failure(ended, index, outcome, clocks.now())
    commit(
        store,
        lambda connection: rows.save(connection, ended, range(index, len(ended.ops))),
        stop,
        title=job.title,
    )
    return ended, []


def store_success(
    draft: Job, index: int, outcome: Done, now: Moment
) -> Callable[[sqlite3.Connection], list[Job]]:
    """Return the change that stores a success with its effect and makes the jobs that follow."""
    op = draft.ops[index]
    op.move(JobStatus.SUCCESS)
    op.result = outcome.value
    op.end_ts = now.stamp
    _show_effective(op, outcome.op)
    if draft.final:
        draft.end_ts, draft.end_served = now.stamp, now.service_seconds

    def change(connection: sqlite3.Connection) -> list[Job]:
        if outcome.change is not None:
            outcome.change(connection)
        children = [
            rows.insert(connection, ops, draft.context_for_children(), now) for ops in outcome.jobs
        ]
        if children:
            op.result = {**outcome.value, "jobs": [[True, job.id] for job in children]}
        rows.save(connection, draft, [index])
        return children

    return change


def after_commit(outcome: Done, job_id: int) -> None:
    """Run what follows a success; it is durable, so a failure here cannot take it back."""
    try:
        outcome.after_commit()
    except Exception:
        logger.exception("Job %d: what it changed is stored, but not all of it is shown", job_id)


def mark_failure(draft: Job, index: int, outcome: Failed, now: Moment) -> None:
    """End a job whose opcode failed or was stopped; those after it never begin."""
    _show_effective(draft.ops[index], outcome.op)
    if isinstance(outcome.error, errors.JobCanceled):
        mark_end(draft, index, JobStatus.CANCELED, CANCELED_RESULT, now)
    else:
        mark_end(draft, index, JobStatus.ERROR, errors.encode(outcome.error), now)


def mark_end(draft: Job, index: int, status: JobStatus, result: Any, now: Moment) -> None:
    """End a job with this opcode."""
    op = draft.ops[index]
    op.move(status)
    op.result = result
    op.end_ts = draft.end_ts = now.stamp
    draft.end_served = now.service_seconds
    end_rest(draft, index + 1, status, now.stamp)


def log_outcome(job: Job) -> None:
    """Have the log say how a job ended and, if it failed, why; called once that is durable."""
    if job.final:
        logger.info("%s ended: %s (%s)%s", job.title, job.status, job.outline, _reason(job))


def _reason(job: Job) -> str:
    """Return the words of the opcode that failed, behind a colon; nothing if none did.

    Secret parameters in them are hidden, and a long text is cut.
    """
    failed = next((index for index, op in enumerate(job.ops) if op.status is JobStatus.ERROR), None)
    if failed is None:
        return ""
    op = job.ops[failed]
    text = (
        f"{op.result[0]}: {errors.decode(op.result)}"
        if errors.is_encoded(op.result)
        else str(op.result)
    )
    text = redact(text, _secrets(op.op))
    place = f" opcode {failed + 1} of {len(job.ops)}," if len(job.ops) > 1 else ""
    return f":{place} {cut(text, REASON_SHOWN)}"


def _secrets(op: OpCode | None) -> set[str]:
    """Return the texts in the secret fields of an opcode."""
    found, ahead = set(), [getattr(op, name) for name in (op.SECRET if op is not None else ())]
    while ahead:
        value = ahead.pop()
        if isinstance(value, dict):
            ahead += value.values()
        elif isinstance(value, (list, tuple)):
            ahead += value
        elif value is not None:
            found.add(str(value))
    return found


def _show_effective(op: JobOp, effective: OpCode | None) -> None:
    """Have the job show the opcode with what its work found out, such as full names."""
    if effective is not None:
        op.view = effective.to_view()
        op.summary = effective.summary()


def give_up(job: Job, words: str, now: Moment) -> None:
    """End in error, with these words, what had not ended: it does not run any more."""
    for op in job.ops:
        if op.status not in JOB_FINAL:
            op.status = JobStatus.QUEUED
    if job.current is not None:
        mark_end(job, job.current, JobStatus.ERROR, errors.encode(errors.OpExecError(words)), now)


# -- what running work may do to its job -----------------------------------------------


def job_run_for(
    live_job: LiveJob,
    live_jobs: LiveJobs,
    store: Store,
    clock: Callable[[], float],
    stop: threading.Event,
) -> JobRun:
    """Return what the work of the current opcode sees of its job."""

    def begin() -> None:
        """Store that the work begins."""
        assert live_job.task is not None
        if live_job.task.rerun_safe:
            return
        with live_jobs.mutex:
            index = live_job.index
            draft = copy_for_update(live_job.job, index)
        commit(
            store,
            lambda connection: rows.save(connection, draft, [index]),
            stop,
            title=live_job.job.title,
        )

    def log(text: str, kind: str) -> None:
        """Show a line at once, and have it stored with the next commit."""
        with live_jobs.mutex:
            job, index = live_job.job, live_job.index
            job.log_serial += 1
            line = [job.log_serial, timestamp(clock()), kind, text]
            op = job.ops[index]
            assert op.lines is not None
            op.lines.append(line)
            live_jobs.changed(job.id)

        def stored(future: Future[None]) -> None:
            # The writer is the only one to touch this list: the end is stored after it.
            if future.exception() is not None:
                op.unsaved.append(line)

        store.write(lambda connection: rows.add_log(connection, job.id, index, line), stored)

    return JobRun(live_job.job.id, live_job.cancel, begin=begin, log=log)
