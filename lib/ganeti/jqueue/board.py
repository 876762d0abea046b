"""The live jobs in memory, and who watches them.

A job is on the board from the commit that accepted it to the commit that
ended it. Whoever changes one holds the board's mutex; whoever only looks gets
a copy. Never wait for the store while holding the mutex.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from ganeti.jqueue.job import Job, JobOp
from ganeti.jqueue.pages import Head

Watcher = Callable[[], None]
_Value = TypeVar("_Value", Job, JobOp)


class Board:
    """Live jobs by id."""

    def __init__(self) -> None:
        self.mutex = threading.RLock()
        self._jobs: dict[int, Job] = {}
        self._watchers: dict[int, list[Watcher]] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, job: Job) -> None:
        """Put a job up; it is stored already."""
        with self.mutex:
            self._jobs[job.id] = job

    def remove(self, job: Job) -> None:
        """Take a job down that has ended, and is stored so."""
        with self.mutex:
            self._jobs.pop(job.id, None)
            self.changed(job.id)

    def live(self, job_id: int) -> Job | None:
        """The job itself: only under the mutex."""
        return self._jobs.get(job_id)

    def copies(self) -> dict[int, Job]:
        """Copies of all live jobs, which nobody changes any more."""
        with self.mutex:
            return {job_id: _copy(job) for job_id, job in self._jobs.items()}

    def heads(self) -> list[Head]:
        """What can be said of all live jobs without copying them."""
        with self.mutex:
            return [Head.of(job) for job in self._jobs.values()]

    def copy(self, job_id: int) -> Job | None:
        """A copy of one live job."""
        with self.mutex:
            job = self._jobs.get(job_id)
            return None if job is None else _copy(job)

    def watch(self, job_id: int, watcher: Watcher) -> Callable[[], None]:
        """Call ``watcher`` (any thread; it must be quick) at each change; returns the end of it."""
        with self.mutex:
            self._watchers.setdefault(job_id, []).append(watcher)

        def unwatch() -> None:
            with self.mutex:
                watchers = self._watchers.get(job_id, [])
                if watcher in watchers:
                    watchers.remove(watcher)
                if not watchers:
                    self._watchers.pop(job_id, None)

        return unwatch

    def changed(self, job_id: int) -> None:
        """Tell the watchers of a job."""
        with self.mutex:
            for watcher in list(self._watchers.get(job_id, ())):
                try:
                    watcher()
                except Exception:
                    logging.exception("A watcher of job %d failed", job_id)


def _copy(job: Job) -> Job:
    twin = _twin(job)
    twin.ops = [_twin(op) for op in job.ops]
    for op in twin.ops:
        if op.lines is not None:
            op.lines = op.lines.copy()
    return twin


def _twin(value: _Value) -> _Value:
    """As ``copy.copy``, but cheaper: thousands are copied under the mutex."""
    twin = object.__new__(type(value))
    twin.__dict__.update(value.__dict__)
    return twin
