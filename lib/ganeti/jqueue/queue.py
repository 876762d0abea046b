"""The job queue as clients see it: submit, query, cancel, wait, archive, purge.

Methods that change something return a future, which is resolved once the change is durable, so
that no caller's thread waits for the disk. The few methods that wait for it themselves say so.
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
from typing import TypeVar

from ganeti import constants, errors, ht
from ganeti.db.store import Store, StoreUnavailable
from ganeti.jqueue import admission, listing, purge, recovery, rows
from ganeti.jqueue.job import Clocks, Job, since_boot
from ganeti.jqueue.listing import JobHead, JobPage
from ganeti.jqueue.live import LiveJobs, WaitReason
from ganeti.jqueue.scheduler import BeginTask, Scheduler
from ganeti.jqueue.submission import KEY_SECONDS, Submitter, refusal
from ganeti.opcodes import OpCode
from ganeti.qlang.job_filters import JobFilter, normalize
from ganeti.serializer import Json

logger = logging.getLogger(__name__)

#: Jobs archived in one commit: bounds how long other changes wait for it.
ARCHIVE_BATCH = 200


Answer = tuple[bool, str]
T = TypeVar("T")
R = TypeVar("R")


class JobQueue:
    """The queue of one master: its live jobs, and all that its database has."""

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
        self._rerun_safe = rerun_safe
        with store.read() as connection:
            drained = bool(rows.value(connection, "drained", False))
            pause = rows.value(connection, "watcher_pause", None)
            self._clocks = Clocks(clock, monotonic, rows.service_seconds(connection))
            known = admission.load_filters(connection)
        self._watcher_pause = pause if isinstance(pause, (int, float)) else None
        self._stopping = threading.Event()  # ends archiving and purging early
        self._live_jobs = LiveJobs()
        self._filters_mutex = threading.Lock()
        self._scheduler = Scheduler(
            store, self._live_jobs, begin_task, self._clocks, workers=workers, filters=known
        )
        self._submitter = Submitter(
            store,
            self._clocks,
            self._live_jobs,
            self._scheduler,
            max_live=max_live,
            drained=drained,
        )
        # Submitting is the submitter's business alone; see there.
        self.submit_once = self._submitter.submit_once

    # -- life -------------------------------------------------------------------------------

    def recover(
        self,
        clean_up: Callable[[list[recovery.Interrupted]], None] = lambda interrupted: None,
    ) -> list[recovery.Interrupted]:
        """Load the unfinished jobs; return the opcodes that the previous master was running.

        Queued jobs will run. A job that had begun ends in error, unless the opcodes that had
        begun may be run again. ``clean_up`` is called before that end is stored: if the master
        dies in between, the next one finds the same jobs and cleans up again.
        """
        found = recovery.load_unfinished(self._store, self._rerun_safe, self._clocks.now())
        clean_up(found.interrupted)
        self._scheduler.persist_failed(found.failed)
        for job in found.to_run:
            self._scheduler.add(job)
        return found.interrupted

    def start(self) -> None:
        """Start running jobs; until then they can be submitted and canceled only."""
        self._scheduler.start()

    def stop(self, grace: float) -> list[int]:
        """Start no more work; return the ids of jobs that still run after ``grace`` seconds."""
        self._stopping.set()
        left = self._scheduler.stop(grace)
        self.store_service_seconds()
        return left

    def store_service_seconds(self) -> None:
        """Store the seconds of service, where the next master continues if this one is killed."""
        self._store.write(
            lambda connection: rows.set_value(connection, "served", self._clocks.service_seconds)
        )

    # -- settings ---------------------------------------------------------------------------

    @property
    def drained(self) -> bool:
        """True while the queue takes no new jobs."""
        return self._submitter.drained

    def set_drained(self, flag: bool) -> Future[bool]:
        """Stop or start taking new jobs; the answer is true."""

        def switch(_: object) -> bool:
            self._submitter.drained = flag
            return True

        return self._write_then(
            lambda connection: rows.set_value(connection, "drained", flag), switch
        )

    @property
    def watcher_pause(self) -> float | None:
        """Until when Ganeti's watcher pauses (seconds since the epoch); None if it does not.

        It is stored beside the drain flag, so that setting it takes no lock of the configuration.
        """
        return self._watcher_pause

    def set_watcher_pause(self, until: float | None) -> Future[float | None]:
        """Pause the watcher until then, or (None) let it work; the answer is ``until``."""

        def switch(_: object) -> float | None:
            self._watcher_pause = until
            return until

        return self._write_then(
            lambda connection: rows.set_value(connection, "watcher_pause", until), switch
        )

    @property
    def filters(self) -> Sequence[JobFilter]:
        """The job filters (``qlang.job_filters``) in the order in which they are applied."""
        return self._scheduler.filters

    def put_filter(
        self,
        uuid: str | None,
        priority: int,
        predicates: Sequence[list[Json]],
        action: str | list[Json],
        reason_trail: Sequence[list[Json]],
    ) -> str:
        """Store a job filter, new or replacing the one with this uuid, and apply it.

        Returns its uuid. The values must be valid (``qlang.job_filters``), except for the uuid:
        raises ``GenericError`` if that is not one. Waits for the disk.
        """
        if uuid is None:
            uuid = str(uuids.uuid4())
        elif not ht.is_uuid(uuid):
            raise errors.GenericError(f"{uuid!r} is not a UUID")
        trail: list[list[Json]] = [*reason_trail, ["luxid", "", int(self._clocks.wall() * 10**9)]]
        trees: list[list[Json]] = [[kind, normalize(tree)] for kind, tree in predicates]
        name = uuid
        self._change_filters(
            lambda connection: admission.put_filter(
                connection, name, priority, trees, action, trail
            )
        )
        return name

    def remove_filter(self, uuid: str) -> None:
        """Remove a job filter; raise ``GenericError`` if there is none. Waits for the disk."""
        self._change_filters(lambda connection: admission.remove_filter(connection, uuid))

    def _change_filters(self, change: Callable[[sqlite3.Connection], list[JobFilter]]) -> None:
        # Without this lock, the filters stored last might not be the ones applied last.
        with self._filters_mutex:
            try:
                found = self._store.write(change).result()
            except StoreUnavailable as err:
                raise refusal(err) from err
            self._scheduler.set_filters(found)

    # -- queries ------------------------------------------------------------------------------

    def jobs(self, ids: Iterable[int] | None = None, *, archived: bool = False) -> list[Job]:
        """Return jobs in ascending order: those with these ids, archived or not, or all.

        Without ``ids``, archived jobs are included only if ``archived`` says so. The jobs are
        copies, which nobody else changes.
        """
        if ids is not None:
            wanted = set(ids)
            found = {job_id: job for job_id in wanted if (job := self._live_jobs.copy(job_id))}
            rest = [job_id for job_id in wanted if job_id not in found]
            stored = rows.load(self._store, rest, archived=True) if rest else []
        else:
            # Live ones first: a job that ends in between is then found twice, not missed.
            found = self._live_jobs.copies()
            stored = rows.load(self._store, None, archived=archived)
        return [job for _, job in sorted(({job.id: job for job in stored} | found).items())]

    def heads(self, page: JobPage) -> tuple[list[JobHead], int]:
        """Return the jobs of a page, in its order, and how many match on all pages."""
        # Live ones first: a job that ends in between is then found twice, not missed.
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
        """Call ``watcher`` at each change of a live job; return the function that stops this."""
        return self._live_jobs.watch(job_id, watcher)

    def explainer(self) -> Callable[[int], list[WaitReason]]:
        """Return a function that tells why jobs wait, for all rows of one query.

        The function takes the id of a job and returns its reasons (see ``live``); the list is
        empty if the job waits for nothing. What the reasons share is computed only once.
        """
        return self._scheduler.explainer()

    def waiting_for(self, job_id: int) -> list[WaitReason]:
        """Return the reasons for which one job waits (see ``live``)."""
        return self.explainer()(job_id)

    # -- changes -------------------------------------------------------------------------------

    def cancel(self, job_id: int) -> Future[Answer]:
        """Cancel a job; the answer is whether it was or will be, and a sentence that says it."""
        answer: Future[Answer] = Future()
        self._scheduler.cancel(job_id, lambda done, text: answer.set_result((done, text)))
        return answer

    def change_priority(self, job_id: int, priority: int) -> Future[Answer]:
        """Change the priority of a job's opcodes that have not begun.

        The answer is whether that was done, and a sentence that says it. Raises
        ``OpPrereqError`` if the priority is out of range.
        """
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
        """Archive a job that has ended; the answer is false if there is no such job to archive."""
        return self._write_then(lambda connection: rows.archive(connection, [job_id]), bool)

    def auto_archive(self, age: float, timeout: float) -> tuple[int, int]:
        """Archive jobs that ended at least ``age`` seconds ago, for at most ``timeout`` seconds.

        Returns how many were archived, and how many there was no time to look at. An ``age`` of
        -1 means all jobs that have ended. Ages are in seconds of service (``job``), so that a
        jump of the wall clock archives nothing early. Waits for the disk.
        """
        # Both moments are rounded down to whole seconds, so their difference may be one too much.
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
        """Delete archived jobs that ended at least ``age`` seconds ago, for ``timeout`` seconds.

        Returns how many were deleted; the log has their ids. Ages are in seconds of service, and
        at least a day: while an idempotency key names a job, the job must exist. Waits for the
        disk.
        """
        deadline = time.monotonic() + timeout

        def go_on(took: float) -> bool:
            # Pause for as long as the commit took, so that others get half of the disk's time.
            return not self._stopping.wait(took) and time.monotonic() < deadline

        before = self._clocks.service_seconds - math.ceil(max(KEY_SECONDS, min(age, 1e15))) - 1
        try:
            return len(purge.purge(self._store, before, go_on))
        except StoreUnavailable as err:
            raise refusal(err) from err
        except ValueError as err:
            raise errors.JobQueueError(f"the database is damaged: {err}") from err

    def _archive_batch(self, batch: list[int]) -> int:
        try:
            return self._store.write(lambda connection: rows.archive(connection, batch)).result()
        except StoreUnavailable as err:
            raise refusal(err) from err

    def _write_then(
        self, change: Callable[[sqlite3.Connection], T], step: Callable[[T], R]
    ) -> Future[R]:
        """Write ``change``; the answer is what ``step`` makes of its result.

        Steps run on the store's thread, in the order of the commits.
        """
        answer: Future[R] = Future()

        def written(future: Future[T]) -> None:
            error = future.exception()
            if error is not None:
                answer.set_exception(refusal(error))
                return
            try:
                made = step(future.result())
            except Exception as err:
                logger.exception("A step after a commit failed")
                answer.set_exception(err)
            else:
                answer.set_result(made)

        self._store.write(change, written)
        return answer
