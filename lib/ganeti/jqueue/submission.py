"""Submissions: what arrives together is written together, and answered when it is durable.

Theory. The first of some submissions has a change of the store made. When the change's
turn comes it takes all submissions that are there by then, and writes their jobs with
one statement for each table; the work before and after the disk is done once for all of
them. A submission that is refused (its dependencies lead nowhere, its key was used for
something else) takes no number, and none of the others with it.

A context with a key (draft-ietf-httpapi-idempotency-key-header) goes with one job: for a
day of service the same key and digest of the same user are that job.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ganeti import errors
from ganeti.db.store import Store, StoreUnavailable
from ganeti.jqueue import rows
from ganeti.jqueue.job import Clocks, Job, Moment
from ganeti.luxi import RequestContext
from ganeti.opcodes import OpCode

logger = logging.getLogger(__name__)

#: Seconds of service for which a key means the same submission.
KEY_SECONDS = 24 * 3600
#: Accepted jobs that one line of the log names at most.
LOGGED_TOGETHER = 20


class Accepted(NamedTuple):
    """Ids of jobs; ``replayed``: of those that the same key had named before."""

    ids: list[int]
    replayed: bool = False


@dataclass
class Submission:
    """Jobs that somebody wants accepted, all or none; ``shape`` makes the answer of them."""

    jobs: Sequence[Sequence[OpCode]]
    context: RequestContext
    shape: Callable[[Accepted], Any]
    answer: Future[Any] = field(default_factory=Future)
    made: list[Job] = field(default_factory=list)
    known: Accepted | None = None
    error: BaseException | None = None

    @property
    def key(self) -> tuple[str, str] | None:
        """User and key, if it has one."""
        key = self.context.idempotency_key
        return None if key is None else (self.context.user or "", key)

    def resolve(self) -> None:
        """Resolve the future of the submission with its result or its error."""
        if self.error is not None:
            self.answer.set_exception(self.error)
        else:
            self.answer.set_result(
                self.shape(self.known or Accepted([job.id for job in self.made]))
            )


class Submitter:
    """Writes submissions; ``on_accepted`` gets the jobs that were accepted, under ``mutex``."""

    def __init__(
        self,
        store: Store,
        clocks: Clocks,
        mutex: threading.RLock,
        on_accepted: Callable[[Sequence[Job]], None],
    ) -> None:
        self._store = store
        self._clocks = clocks
        self._live_mutex = mutex
        self._on_accepted = on_accepted
        self._mutex = threading.Lock()
        self._waiting: list[Submission] = []
        self._writing: list[Submission] = []
        #: Jobs of this commit, for the log.
        self._accepted: list[Job] = []
        store.delivering = self._publish_together

    def known(self, context: RequestContext) -> Accepted | None:
        """Return the job that a context's key names already, or None."""
        if context.idempotency_key is None:
            return None
        with self._store.read() as connection:
            return self._stored(connection, context)

    def put(self, submission: Submission) -> None:
        """Queue a submission to be written with the next commit."""
        with self._mutex:
            self._waiting.append(submission)
            alone = len(self._waiting) == 1
        if alone:
            self._store.enqueue(self._write, self._committed)

    # -- the writer's thread -----------------------------------------------------------

    def _write(self, connection: sqlite3.Connection) -> None:
        with self._mutex:
            self._writing, self._waiting = self._waiting, []
        made: list[Job] = []
        names: dict[tuple[str, str], Submission] = {}
        last, now = rows.last_id(connection), self._clocks.now()
        for one in self._writing:
            try:
                one.known = self._before(connection, one, names)
                if one.known is None:
                    one.made = _make(one, last, now)
                    last += len(one.made)
                    made += one.made
                    if one.key is not None:
                        names[one.key] = one
            except errors.Error as err:
                one.error = err
        rows.insert_all(connection, made)

    def _before(
        self,
        connection: sqlite3.Connection,
        one: Submission,
        names: dict[tuple[str, str], Submission],
    ) -> Accepted | None:
        """Return the job that a key names, stored or of a submission before this one, or None."""
        if one.key is None:
            return None
        found = self._stored(connection, one.context)
        other = names.get(one.key)
        if found is None and other is not None:
            return _same(one.context, other.made[0].id, other.context.request_digest)
        return found

    def _stored(self, connection: sqlite3.Connection, context: RequestContext) -> Accepted | None:
        found = rows.find_key(connection, context, self._clocks.service_seconds - KEY_SECONDS)
        return None if found is None else _same(context, *found)

    def _committed(self, _: object, error: BaseException | None) -> None:
        with self._mutex:
            finished, self._writing = self._writing, []
            if error is not None and not finished:  # the change was not even begun
                finished, self._waiting = self._waiting, []
        for one in finished:
            if error is not None:
                one.error = refusal(error)
            elif one.made:
                self._on_accepted(one.made)
                self._accepted += one.made
            one.resolve()

    @contextlib.contextmanager
    def _publish_together(self) -> Iterator[None]:
        """Hand all jobs of a commit to the scheduler, and to the log, at once."""
        with self._live_mutex:
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
    """Return the error that a client gets for a change that was refused."""
    if isinstance(error, StoreUnavailable):
        return errors.JobQueueUnavailable(f"The job queue cannot be written: {error}")
    return error


def _make(one: Submission, last: int, now: Moment) -> list[Job]:
    return [
        rows.make(last + number, ops, one.context, now) for number, ops in enumerate(one.jobs, 1)
    ]


def _same(context: RequestContext, job_id: int, digest: str | None) -> Accepted:
    if digest != context.request_digest:
        raise errors.IdempotencyConflict("the idempotency key was used for another request before")
    return Accepted([job_id], replayed=True)
