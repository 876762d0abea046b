"""Jobs that wait for other jobs to end.

A job can depend only on jobs before it: whoever waits has the higher id, so
that no circle of jobs waits for itself.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from ganeti import errors
from ganeti.constants import JOB_FINAL, JobStatus
from ganeti.db.store import Store
from ganeti.jqueue import rows
from ganeti.jqueue.job import CANCELED_RESULT
from ganeti.jqueue.live import JobPhase, LiveJob, LiveJobs


class Verdict(NamedTuple):
    """How a job ends whose dependency did not end as it should."""

    status: JobStatus
    result: Any


class Dependencies:
    """Who waits for which job; all but ``met`` happens under the mutex of ``LiveJobs``."""

    def __init__(self, store: Store, live_jobs: LiveJobs) -> None:
        self._store = store
        self._mutex = live_jobs.mutex
        self._waiting: dict[int, set[int]] = {}

    def met(self, live_job: LiveJob, live_ids: Collection[int]) -> bool | Verdict:
        """True: go on. False: parked until a job ends, or moved by others. Else: how it ends.

        Without the mutex: for jobs that have ended the disk is asked.
        """
        op = live_job.op.op
        for number, statuses in (op.depends if op is not None else None) or ():
            status = None
            if number < live_job.job.id:
                with self._mutex:
                    if not live_job.is_in(JobPhase.PARKED):
                        return False
                    # Before reading: what ends meanwhile will wake it.
                    self.park(live_job, number)
                    if number in live_ids:
                        return False
                with self._store.read() as connection:
                    status = rows.status(connection, number)
                if status is not None and status not in JOB_FINAL:
                    return False  # stored just now, live in a moment
                with self._mutex:
                    if not live_job.is_in(JobPhase.PARKED):
                        return False  # woken, or canceled
                    self.stop_waiting(live_job)
            verdict = judge(number, status, statuses)
            if verdict is not None:
                return verdict
        return True

    def park_new(self, live_job: LiveJob, live_ids: Collection[int]) -> bool:
        """Park a new job if the first job that it depends on is live; true if so."""
        op = live_job.op.op
        if op is None or not op.depends:
            return False
        first = int(op.depends[0][0])
        if first >= live_job.job.id or first not in live_ids:
            return False
        live_job.phase = JobPhase.PARKED
        self.park(live_job, first)
        return True

    def park(self, live_job: LiveJob, number: int) -> None:
        """Note that a job waits for the end of another."""
        live_job.depends_on = number
        self._waiting.setdefault(number, set()).add(live_job.job.id)

    def stop_waiting(self, live_job: LiveJob) -> None:
        """Note that a job waits no longer."""
        number, live_job.depends_on = live_job.depends_on, None
        if number is None:
            return
        others = self._waiting.get(number, set())
        others.discard(live_job.job.id)
        if not others:
            self._waiting.pop(number, None)

    def job_ended(self, number: int) -> set[int]:
        """Return the ids of the jobs that waited for this one, or once did, and forget them."""
        return self._waiting.pop(number, set())


def judge(number: int, status: JobStatus | None, wanted: Sequence[str]) -> Verdict | None:
    """Return None if a job that depends on ``number`` may go on, else how that job ends.

    ``status`` is that of job ``number``, or None if there is no such job; ``wanted`` are the
    statuses that the dependency lists. Rule and words are those of Ganeti's own queue.
    """
    if status is None:
        return _error(f"Dependency error: Job {number} not found")
    # Before the empty list, which means every final status but this one: who cancels the
    # first step of a chain does not want the second.
    if status is JobStatus.CANCELED and status not in wanted:
        return Verdict(JobStatus.CANCELED, CANCELED_RESULT)
    if not wanted or status in wanted:
        return None
    words = ", ".join(repr(str(word)) for word in wanted)
    return _error(
        f"Dependency job {number} finished with status {str(status)!r}, "
        f"not one of {words} as required"
    )


def _error(text: str) -> Verdict:
    return Verdict(JobStatus.ERROR, errors.encode(errors.OpExecError(text)))
