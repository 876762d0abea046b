"""A model of the job queue: it tells which states of jobs are allowed after given events.

It is told what clients requested and got, which work began and ended, and when
the master died. It has no threads, no disk and no queue: of several things that may
come next it does not say which, except where the queue promises an order.
"""

from dataclasses import dataclass
from typing import NamedTuple

#: How many jobs may work at the same time.
WORKERS = 3
#: Seconds by which one step of priority moves a job in the order.
AGEING = 60


class Step(NamedTuple):
    """One opcode: its kind, and the names of the locks that it needs.

    Kinds: ``ok``, ``fail``, ``safe`` (may be run again), ``stubborn`` (cannot be
    canceled once it runs).
    """

    word: str = "ok"
    locks: str = ""


@dataclass
class Promise:
    """One accepted job, as its clients know it."""

    mark: int
    steps: tuple[Step, ...]
    depends: tuple[tuple[int, tuple[str, ...]], ...]
    priority: int
    since: float  # accepted, or taken up by this master
    begun: int = 0  # of its steps
    ended: int = 0
    canceled: bool = False  # a client was told that it is canceled
    to_cancel: bool = False  # a client was told that it will be canceled
    died: bool = False  # with a master; the next one may have ended it in error
    archived: bool = False
    successes: int = 0  # steps that are shown as successful
    final: str | None = None
    final_since: float = 0.0

    @property
    def rank(self):
        """Return the rank; of jobs that wait for the same thing, the lowest goes first."""
        return self.since + AGEING * self.priority

    @property
    def comments(self):
        """Return the comments of its opcodes: they identify the job and control ``life``."""
        return [
            f"{self.mark}:{index}:{step.word}:{step.locks}" for index, step in enumerate(self.steps)
        ]

    @property
    def safe(self):
        """Return whether all steps that have begun may be run again."""
        return all(step.word == "safe" for step in self.steps[: self.begun])


class QueueModel:
    """All accepted jobs. Call ``compare``, then report the events, then ``check_ends``."""

    def __init__(self):
        self.jobs = {}  # id -> Promise
        self.working = {}  # id -> its running step
        self.waiting, self.owners = {}, {}  # see ``note_waiting``

    def live(self):
        """Return the ids of the jobs that have not ended."""
        return [number for number, job in self.jobs.items() if job.final is None]

    def accept(self, ids, promises):
        """Add accepted jobs; their ids must be consecutive."""
        for number, promise in zip(ids, promises, strict=True):
            assert number == len(self.jobs) + 1, f"id {number} after {len(self.jobs)}"
            self.jobs[number] = promise

    def compare(self, shown, now):
        """Compare with what the queue shows: all accepted jobs, and ended ones unchanged."""
        assert [seen.id for seen in shown] == list(self.jobs), "not the jobs that were accepted"
        for seen in shown:
            job = self.jobs[seen.id]
            assert [op.view.get("comment") for op in seen.ops] == job.comments
            job.successes = [op.status for op in seen.ops].count("success")
            assert seen.archived == job.archived, f"job {seen.id}: archived {seen.archived}"
            if job.final is not None:
                assert seen.status == job.final, f"job {seen.id} was {job.final}"
            elif seen.final:
                job.final, job.final_since = str(seen.status), now
            else:
                assert seen.status in ("queued", "waiting", "running", "canceling")

    def note_waiting(self, waiting, owners):
        """Note, while the queue is idle, what each job waits for and who owns each lock."""
        self.waiting, self.owners = waiting, owners

    def begins(self, number, index, in_order=True):
        """Check that a step may begin; ``in_order`` if nothing else was running before."""
        job, step = self.jobs[number], self.jobs[number].steps[index]
        assert index == job.begun == job.ended, f"job {number} begins step {index} again"
        assert not job.canceled, f"job {number} begins, and was canceled"
        assert len(self.working) < WORKERS, "more work than workers"
        for other, wanted in job.depends if index == 0 else ():
            assert other not in self.working, f"job {number} does not wait for {other}"
            assert 0 < other < number and meets(self.jobs[other].final, wanted), (
                f"job {number} begins, though {other} did not end as it should"
            )
        for lock in step.locks:
            for other, its_step in self.working.items():
                assert lock not in its_step.locks, f"{number} and {other} both hold {lock}"
        holds_some = any(number in self.owners.get(lock, ()) for lock in step.locks)
        if in_order and step.locks and not holds_some:
            self._check_order(number, step.locks)
        self.waiting.pop(number, None)
        self.working[number] = step
        job.begun += 1

    def _check_order(self, number, locks):
        """Check that no job of a lower rank wants the same locks and waits for the same thing."""
        kind = self.waiting.get(number)
        if kind is None:
            return
        for other in [other for other, its_kind in self.waiting.items() if its_kind == kind]:
            its = self.jobs[other]
            if its.final is not None or self._has_to_wait(other):
                continue
            if its.steps[its.ended].locks == locks:
                assert self.jobs[number].rank <= its.rank, f"job {number} overtakes {other}"

    def _has_to_wait(self, number):
        """Return whether a job depends on one that is not known to have ended."""
        return not self.jobs[number].begun and any(
            0 < other < number and self.jobs[other].final is None
            for other, _ in self.jobs[number].depends
        )

    def ends(self, number, through):
        """Note the end of a step; ``through`` is false if it was canceled."""
        del self.working[number]
        self.jobs[number].ended += through

    def crash(self, interrupted, now):
        """Check the jobs that a new master reports as interrupted, and start over with the rest."""
        for number in self.working:
            assert number in interrupted or self.jobs[number].safe or self.jobs[number].final
        self.working, self.waiting, self.owners = {}, {}, {}
        for number, job in self.jobs.items():
            job.since = now
            if number in interrupted:
                assert job.final == "error", f"job {number} died, and is {job.final}"
            # A master also ends jobs that were between two steps, or in a safe second one.
            job.died |= number in interrupted or job.ended > 0
            if job.final is None and job.safe:
                job.begun = job.ended = job.successes

    def check_ends(self):
        """Check that each ended job has one of the statuses that it may end with."""
        for number, job in self.jobs.items():
            if job.final is not None:
                allowed = self._outcomes(number)
                assert job.final in allowed, f"job {number}: {job.final}, not one of {allowed}"

    def _outcomes(self, number):
        job = self.jobs[number]
        if job.canceled:
            return {"canceled"}
        found = {"error"} if job.died else set()
        if job.to_cancel:
            found.add("canceled")
        if not job.begun:
            found |= self._verdicts(number)
        elif job.ended and job.steps[job.ended - 1].word == "fail":
            found.add("error")
        elif job.ended == len(job.steps):
            found.add("success")
        return found

    def _verdicts(self, number):
        """Return the statuses with which a job may end because of its dependencies."""
        found = set()
        for other, wanted in self.jobs[number].depends:
            status = self.jobs[other].final if 0 < other < number else "missing"
            if status is not None and not meets(status, wanted):
                found.add("canceled" if status == "canceled" else "error")
        return found


def meets(status, wanted):
    """Return whether a dependency is met; no list means success or error."""
    return status in (wanted or ("success", "error"))
