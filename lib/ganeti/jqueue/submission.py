"""Submission: jobs are written together, and acknowledged once they are durable.

Theory. The first submission that arrives while none is waiting queues one change of the store.
When the writer gets to that change, it takes every submission that has arrived by then, and
writes their jobs with one statement for each table. So the work around a commit is done once for
all of them. A submission that is refused (a dependency leads to no job, its key was used for
something else) takes no id, and does not affect the others.

A context with an idempotency key (draft-ietf-httpapi-idempotency-key-header) belongs to a
submission of one job. For a day of service, a further submission by the same user with the same
key and the same digest of the request is answered with that job.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from ganeti import errors
from ganeti.db.store import Store, StoreUnavailable
from ganeti.jqueue import rows
from ganeti.jqueue.job import Clocks, Job, Moment
from ganeti.jqueue.live import LiveJobs
from ganeti.jqueue.scheduler import Scheduler
from ganeti.luxi import RequestContext
from ganeti.opcodes import OpCode

logger = logging.getLogger(__name__)

#: Seconds of service for which a key identifies a submission.
KEY_SECONDS = 24 * 3600
#: Maximum number of accepted jobs in one line of the log.
LOGGED_TOGETHER = 20

T = TypeVar("T")


class Accepted(NamedTuple):
    """Ids of accepted jobs; ``replayed`` if an earlier submission with the same key made them."""

    ids: list[int]
    replayed: bool = False


@dataclass
class Submission:
    """Jobs to be accepted, all or none, and what has become of them so far."""

    jobs: Sequence[Sequence[OpCode]]
    context: RequestContext
    #: Called once, with the jobs that are durable or with the error.
    answer: Callable[[Accepted | None, BaseException | None], None]
    made: list[Job] = field(default_factory=list)
    known: Accepted | None = None
    error: BaseException | None = None

    @property
    def key(self) -> tuple[str, str] | None:
        """User and idempotency key, if it has a key."""
        key = self.context.idempotency_key
        return None if key is None else (self.context.user or "", key)

    def resolve(self) -> None:
        """Answer with the accepted jobs, or with the error."""
        if self.error is not None:
            self.answer(None, self.error)
        else:
            self.answer(self.known or Accepted([job.id for job in self.made]), None)


def _unshaped(accepted: Accepted) -> Any:
    return accepted


class Submitter:
    """Accepts jobs, and hands those that are durable to the scheduler."""

    def __init__(
        self,
        store: Store,
        clocks: Clocks,
        live_jobs: LiveJobs,
        scheduler: Scheduler,
        *,
        max_live: int,
        drained: bool,
    ) -> None:
        self._store = store
        self._clocks = clocks
        self._live_jobs = live_jobs
        self._scheduler = scheduler
        self._max_live = max_live
        #: Whether the queue takes no new jobs.
        self.drained = drained
        self._mutex = threading.Lock()
        self._waiting: list[Submission] = []
        self._writing: list[Submission] = []
        #: Jobs of this commit, for the log.
        self._accepted: list[Job] = []
        store.delivering = self._publish_together

    def submit_once(
        self,
        jobs: Sequence[Sequence[OpCode]],
        context: RequestContext = RequestContext(),
        *,
        to_drained: bool = False,
        shape: Callable[[Accepted], T] = _unshaped,
    ) -> Future[T]:
        """Accept jobs, all or none; return what ``shape`` makes of them once they are durable.

        If the context has an idempotency key, ``jobs`` is one job, and however often it is sent,
        it is accepted once. The future raises ``JobQueueDrainError``, ``JobQueueFull``,
        ``GenericError`` (a dependency leads to no job), ``IdempotencyConflict`` (the key was
        used for another request) or ``JobQueueUnavailable`` (the disk refuses).
        """
        result: Future[T] = Future()

        def answer(accepted: Accepted | None, error: BaseException | None) -> None:
            if accepted is None:
                result.set_exception(error)
            else:
                result.set_result(shape(accepted))

        submission = Submission(jobs, context, answer)
        try:
            assert len(jobs) == 1 or submission.key is None, "a key names one job"
            # Before the drain flag: a job that was accepted earlier is found even then.
            submission.known = self._known(context)
            if submission.known is None:
                self._check_open(len(jobs), to_drained)
        except errors.Error as err:
            submission.error = err
        if submission.known is not None or submission.error is not None:
            submission.resolve()
        else:
            self._put(submission)
        return result

    def _known(self, context: RequestContext) -> Accepted | None:
        """Return the job that the context's key already names, or None."""
        if context.idempotency_key is None:
            return None
        with self._store.read() as connection:
            return self._stored(connection, context)

    def _check_open(self, count: int, to_drained: bool) -> None:
        if self.drained and not to_drained:
            raise errors.JobQueueDrainError("The job queue is drained: it takes no new jobs")
        if len(self._live_jobs) + count > self._max_live:
            raise errors.JobQueueFull(
                f"The job queue is full: it holds {len(self._live_jobs)} unfinished jobs"
            )

    def _put(self, submission: Submission) -> None:
        """Have a submission written with the next commit."""
        with self._mutex:
            self._waiting.append(submission)
            alone = len(self._waiting) == 1
        if alone:
            self._store.enqueue(self._write, self._committed)

    # -- on the writer's thread --------------------------------------------------------

    def _write(self, connection: sqlite3.Connection) -> None:
        with self._mutex:
            self._writing, self._waiting = self._waiting, []
        made: list[Job] = []
        by_key: dict[tuple[str, str], Submission] = {}  # of this commit
        last, now = rows.last_id(connection), self._clocks.now()
        for one in self._writing:
            try:
                one.known = self._before(connection, one, by_key)
                if one.known is None:
                    one.made = _make(one, last, now)
                    last += len(one.made)
                    made += one.made
                    if one.key is not None:
                        by_key[one.key] = one
            except errors.Error as err:
                one.error = err
        rows.insert_all(connection, made)

    def _before(
        self,
        connection: sqlite3.Connection,
        one: Submission,
        by_key: dict[tuple[str, str], Submission],
    ) -> Accepted | None:
        """Return the job that a submission's key names, stored or of this commit, or None."""
        if one.key is None:
            return None
        # Again, on the thread that writes: since ``submit_once`` looked, another may be stored.
        found = self._stored(connection, one.context)
        other = by_key.get(one.key)
        if found is None and other is not None:
            return _same(one.context, other.made[0].id, other.context.request_digest)
        return found

    def _stored(self, connection: sqlite3.Connection, context: RequestContext) -> Accepted | None:
        found = rows.find_key(connection, context, self._clocks.service_seconds - KEY_SECONDS)
        return None if found is None else _same(context, *found)

    def _committed(self, _: object, error: BaseException | None) -> None:
        with self._mutex:
            finished, self._writing = self._writing, []
            if error is not None and not finished:  # the transaction failed before ``_write``
                finished, self._waiting = self._waiting, []
        for one in finished:
            if error is not None:
                one.error = refusal(error)
            elif one.made:
                for job in one.made:
                    if job.ops:
                        self._scheduler.add(job)
                self._accepted += one.made
            one.resolve()

    @contextlib.contextmanager
    def _publish_together(self) -> Iterator[None]:
        """Publish all jobs of a commit at once: the scheduler sees none before it has them all."""
        with self._live_jobs.mutex:
            yield
        accepted, self._accepted = self._accepted, []
        for start in range(0, len(accepted), LOGGED_TOGETHER):
            logger.info(
                "%s",
                "; ".join(
                    f"{job.title} accepted: {job.outline}"
                    for job in accepted[start : start + LOGGED_TOGETHER]
                ),
            )


def refusal(error: BaseException) -> BaseException:
    """Return the error that a client gets for a change that the store refused."""
    if isinstance(error, StoreUnavailable):
        return errors.JobQueueUnavailable(f"The job queue cannot be written: {error}")
    return error


def _make(one: Submission, last: int, now: Moment) -> list[Job]:
    return [
        rows.make(last + number, ops, one.context, now) for number, ops in enumerate(one.jobs, 1)
    ]


def _same(context: RequestContext, job_id: int, digest: str | None) -> Accepted:
    """Return the job that the key of a context names; its request must have been the same."""
    if digest != context.request_digest:
        raise errors.IdempotencyConflict("the idempotency key was used for another request before")
    return Accepted([job_id], replayed=True)
