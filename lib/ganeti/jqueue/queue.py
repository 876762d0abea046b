"""What clients ask of the job queue: submit, query, cancel, wait, archive, purge.

Everything that changes answers with a future, which resolves once the change
is durable; nobody waits for the disk with a thread of his own.
"""

from __future__ import annotations

import logging
import math
import sqlite3
import threading
import time
import uuid as uuids
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from ganeti import constants, errors, ht
from ganeti.db.store import Store, StoreUnavailable
from ganeti.jqueue import (
    admission,
    listing,
    purge,
    recovery,
    rows,
)
from ganeti.jqueue.job import Clocks, Job, since_boot
from ganeti.jqueue.listing import JobHead, JobPage
from ganeti.jqueue.live import LiveJobs, WaitReason
from ganeti.jqueue.scheduler import BeginTask, Scheduler
from ganeti.jqueue.submission import KEY_SECONDS, Accepted, Submission, Submitter, refusal
from ganeti.luxi import RequestContext
from ganeti.opcodes import OpCode
from ganeti.qlang.job_filters import JobFilter, normalize

logger = logging.getLogger(__name__)

#: Jobs archived in one commit: bounds how long others wait for it.
ARCHIVE_BATCH = 200


Answer = tuple[bool, str]
T = TypeVar("T")


def _unshaped(accepted: Accepted) -> Any:
    return accepted


class JobQueue:
    """The queue of one master."""

    def __init__(
        self,
        store: Store,
        begin_task: BeginTask,
        *,
        rerun_safe: Callable[[OpCode], bool] = lambda op: False,
        workers: int = constants.MAX_RUNNING_JOBS,
        max_live: int = constants.MAX_LIVE_JOBS,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = since_boot,
    ) -> None:
        self._store = store
        self._max_live = max_live
        self._rerun_safe = rerun_safe
        with store.read() as connection:
            self._drained = bool(rows.value(connection, "drained", False))
            self._watcher_pause: float | None = rows.value(connection, "watcher_pause", None)
            self._clocks = Clocks(clock, monotonic, rows.service_seconds(connection))
            known = admission.load_filters(connection)
        self._stopping = threading.Event()  # ends what goes on for long
        self._live_jobs = LiveJobs()
        self._filters_mutex = threading.Lock()
        self._scheduler = Scheduler(
            store, self._live_jobs, begin_task, self._clocks, workers=workers, filters=known
        )
        self._submitter = Submitter(store, self._clocks, self._live_jobs.mutex, self._add_accepted)

    # -- life -----------------------------------------------------------------------

    def recover(
        self,
        clean_up: Callable[[list[recovery.Interrupted]], None] = lambda interrupted: None,
    ) -> list[recovery.Interrupted]:
        """Load the unfinished jobs; return the opcodes that the previous master was running.

        Queued jobs will run. A job that had started ends in error, unless the
        opcode that was running may be run again. ``clean_up`` is called before
        that is stored, so that a master that dies meanwhile is followed by one
        that cleans up again.
        """
        found = recovery.load_unfinished(self._store, self._rerun_safe, self._clocks.now())
        clean_up(found.interrupted)
        self._scheduler.persist_failed(found.failed)
        for job in found.to_run:
            self._scheduler.add(job)
        return found.interrupted

    def start(self) -> None:
        """Begin to run jobs."""
        self._scheduler.start()

    def stop(self, grace: float) -> list[int]:
        """Begin nothing new; ids of the jobs that still run after ``grace`` seconds."""
        self._stopping.set()
        left = self._scheduler.stop(grace)
        self.store_service_seconds()
        return left

    def store_service_seconds(self) -> None:
        """Store the seconds of service, from which the next master counts on if this one dies."""
        self._store.write(
            lambda connection: rows.set_value(connection, "served", self._clocks.service_seconds)
        )

    # -- submitting ---------------------------------------------------------------------

    def submit(
        self,
        jobs: Sequence[Sequence[OpCode]],
        context: RequestContext = RequestContext(),
        *,
        to_drained: bool = False,
    ) -> Future[list[int]]:
        """Accept jobs, all or none; their ids, once they are durable. See ``submit_once``."""
        return self.submit_once(
            jobs, context, to_drained=to_drained, shape=lambda accepted: accepted.ids
        )

    def submit_once(
        self,
        jobs: Sequence[Sequence[OpCode]],
        context: RequestContext,
        *,
        to_drained: bool = False,
        shape: Callable[[Accepted], T] = _unshaped,
    ) -> Future[T]:
        """Accept jobs, all or none, once they are durable; ``shape`` makes the answer of them.

        With a key in the context there is one job, and one submission however often it is
        sent (``submission``); ``IdempotencyConflict`` when it was another before.
        ``JobQueueDrainError``, ``JobQueueFull``, ``GenericError`` (dependencies);
        ``JobQueueUnavailable`` when the disk refuses.
        """
        submission = Submission(jobs, context, shape)
        try:
            assert len(jobs) == 1 or submission.key is None, "a key names one job"
            submission.known = self._submitter.known(context)  # also while nothing is accepted
            if submission.known is None:
                self._check_open(len(jobs), to_drained)
        except errors.Error as err:
            submission.error = err
        if submission.known is not None or submission.error is not None:
            submission.resolve()
        else:
            self._submitter.put(submission)
        return submission.answer

    def _add_accepted(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if job.ops:
                self._scheduler.add(job)

    def _check_open(self, count: int, to_drained: bool) -> None:
        if self._drained and not to_drained:
            raise errors.JobQueueDrainError("The job queue is drained: it takes no new jobs")
        if len(self._live_jobs) + count > self._max_live:
            raise errors.JobQueueFull(
                f"The job queue is full: it holds {len(self._live_jobs)} unfinished jobs"
            )

    @property
    def drained(self) -> bool:
        """Whether the queue takes no new jobs."""
        return self._drained

    def set_drained(self, flag: bool) -> Future[bool]:
        """Stop or start taking new jobs; answers true."""

        def switch(_: object) -> bool:
            self._drained = flag
            return True

        return self._write_then(
            lambda connection: rows.set_value(connection, "drained", flag), switch
        )

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

        return self._write_then(
            lambda connection: rows.set_value(connection, "watcher_pause", until), switch
        )

    @property
    def filters(self) -> Sequence[JobFilter]:
        """The job filters (``qlang.job_filters``), in their order."""
        return self._scheduler.filters

    def put_filter(
        self,
        uuid: str | None,
        priority: int,
        predicates: Sequence[list[Any]],
        action: str | list[Any],
        reason_trail: Sequence[list[Any]],
    ) -> str:
        """Store a job filter, new or replacing the one of this uuid, and apply it; return its uuid.

        The values are valid (``qlang.job_filters``) but for the uuid, which raises ``GenericError``
        if it is not one. Waits for the disk.
        """
        if uuid is None:
            uuid = str(uuids.uuid4())
        elif not ht.is_uuid(uuid):
            raise errors.GenericError(f"{uuid!r} is no UUID")
        trail = [*reason_trail, ["luxid", "", int(self._clocks.wall() * 10**9)]]
        trees = [[kind, normalize(tree)] for kind, tree in predicates]
        name = uuid
        self._change_filters(
            lambda connection: admission.put_filter(
                connection, name, priority, trees, action, trail
            )
        )
        return name

    def remove_filter(self, uuid: str) -> None:
        """Remove a job filter; ``GenericError`` if it does not exist. Waits for the disk."""
        self._change_filters(lambda connection: admission.remove_filter(connection, uuid))

    def _change_filters(self, change: Callable[[sqlite3.Connection], list[JobFilter]]) -> None:
        with self._filters_mutex:  # who is stored last is obeyed last
            try:
                found = self._store.write(change).result()
            except StoreUnavailable as err:
                raise refusal(err) from None
            self._scheduler.set_filters(found)

    # -- looking ----------------------------------------------------------------------------

    def jobs(self, ids: Iterable[int] | None = None, *, archived: bool = False) -> list[Job]:
        """Jobs, ascending: these (also archived ones), or all; copies that nobody changes."""
        if ids is not None:
            wanted = set(ids)
            found = {job_id: job for job_id in wanted if (job := self._live_jobs.copy(job_id))}
            rest = [job_id for job_id in wanted if job_id not in found]
            stored = rows.load(self._store, rest, archived=True) if rest else []
        else:
            # Live ones first: whoever ends in between is then shown twice, not never.
            found = self._live_jobs.copies()
            stored = rows.load(self._store, None, archived=archived)
        return [job for _, job in sorted(({job.id: job for job in stored} | found).items())]

    def heads(self, page: JobPage) -> tuple[list[JobHead], int]:
        """Jobs of a page in its order, without their opcodes; how many match in all."""
        # Live ones first: whoever ends in between is then shown twice, not never.
        live = {head.id: head for head in self._live_jobs.heads() if page.matches(head)}
        stored = [head for head in listing.heads(self._store, page) if head.id not in live]
        chosen = page.cut([*stored, *live.values()])
        if page.limit is None and page.after is None:
            return chosen, len(chosen)
        return chosen, listing.count(self._store, page) + len(live)

    def job(self, job_id: int) -> Job | None:
        """Return one job, archived or not, or None."""
        found = self.jobs([job_id])
        return found[0] if found else None

    def watch(self, job_id: int, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call ``watcher`` whenever a live job changes; returns what ends that."""
        return self._live_jobs.watch(job_id, watcher)

    def explainer(self) -> Callable[[int], list[WaitReason]]:
        """What says why jobs wait, for the rows of one query: each is found out once.

        Id of a live job -> ``[{kind, name, mode, jobs}]`` (see ``live``), empty if it waits
        for nothing.
        """
        return self._scheduler.explainer()

    def waiting_for(self, job_id: int) -> list[WaitReason]:
        """Return why one job waits."""
        return self.explainer()(job_id)

    # -- changing -------------------------------------------------------------------------------

    def cancel(self, job_id: int) -> Future[Answer]:
        """Cancel a job -> (was it, or will it be; a sentence that says which)."""
        answer: Future[Answer] = Future()
        self._scheduler.cancel(job_id, lambda done, text: answer.set_result((done, text)))
        return answer

    def change_priority(self, job_id: int, priority: int) -> Future[Answer]:
        """Give the opcodes of a job that have not begun a priority -> (done; a sentence)."""
        if not constants.PRIORITY_HIGHEST <= priority <= constants.PRIORITY_LOWEST:
            raise errors.OpPrereqError(
                f"Priority {priority} is not between {constants.PRIORITY_HIGHEST} "
                f"and {constants.PRIORITY_LOWEST}"
            )

        return self._write_then(
            lambda connection: rows.set_priority(connection, job_id, priority),
            lambda _: self._scheduler.change_priority(job_id, priority),
        )

    def archive(self, job_id: int) -> Future[bool]:
        """Put a final job away; false if there is none, or it is away already."""
        return self._write_then(lambda connection: rows.archive(connection, [job_id]), bool)

    def auto_archive(self, age: float, timeout: float) -> tuple[int, int]:
        """Put away what ended ``age`` seconds ago, for ``timeout`` seconds at most.

        (archived, not looked at); an ``age`` of -1 takes all final jobs. The age is
        counted in seconds of service (``clocks``): no wall clock makes it more.
        """
        # Both moments are whole seconds, cut off: the difference may be one too much.
        before = None if age < 0 else self._clocks.service_seconds - math.ceil(min(age, 1e15)) - 1
        with self._store.read() as connection:
            ids = rows.archivable(connection, before)
        deadline = time.monotonic() + timeout
        done = looked_at = 0
        while looked_at < len(ids):
            if time.monotonic() >= deadline or self._stopping.is_set():
                break
            batch = ids[looked_at : looked_at + ARCHIVE_BATCH]
            done += self._archive_batch(batch)
            looked_at += len(batch)
        return done, len(ids) - looked_at

    def purge(self, age: float, timeout: float) -> int:
        """Delete archived jobs that ended ``age`` seconds ago, for ``timeout`` seconds at most.

        How many; their ids are logged. Seconds are those of service, and a day of them at
        least: as long as a key names a job, the job must be there.
        """
        deadline = time.monotonic() + timeout

        def go_on(took: float) -> bool:
            # As long as it took: others have at least half of the disk.
            return not self._stopping.wait(took) and time.monotonic() < deadline

        before = self._clocks.service_seconds - math.ceil(max(KEY_SECONDS, min(age, 1e15))) - 1
        try:
            return len(purge.purge(self._store, before, go_on))
        except StoreUnavailable as err:
            raise refusal(err) from None
        except ValueError as err:
            raise errors.JobQueueError(f"the database is damaged: {err}") from None

    def _archive_batch(self, batch: list[int]) -> int:
        try:
            return self._store.write(lambda connection: rows.archive(connection, batch)).result()
        except StoreUnavailable as err:
            raise refusal(err) from None

    def _write_then(
        self,
        change: Callable[[sqlite3.Connection], Any],
        step: Callable[[Any], Any],
        answer: Future[Any] | None = None,
    ) -> Future[Any]:
        """Have a change stored; a future of what ``step`` then makes of its result.

        Steps are taken in the order of the commits, on the store's thread.
        """
        result: Future[Any] = Future() if answer is None else answer

        def done(value: Any, error: BaseException | None) -> None:
            if error is not None:
                result.set_exception(refusal(error))
                return
            try:
                made = step(value)
            except Exception as err:
                logger.exception("A step after a commit failed")
                result.set_exception(err)
            else:
                result.set_result(made)

        self._store.enqueue(change, done)
        return result
