"""The model of the job queue: what may be seen of jobs, given what was asked and answered.

It is told what clients asked and were answered, which work began and ended, and when
the master died. It knows no thread, no disk and no queue: of several things that may
come next it does not say which, except where the queue promises an order.
"""

from dataclasses import dataclass
from typing import NamedTuple

#: Jobs whose work may be under way at the same time.
WORKERS = 3
#: Seconds by which one step of priority moves a job.
AGEING = 60


class Step(NamedTuple):
    """One opcode: what becomes of it, and the names of the locks that it needs.

    Words: ``ok``, ``fail``, ``safe`` (may be run again), ``stubborn`` (cannot be
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
    canceled: bool = False  # a client was told that it is
    to_cancel: bool = False  # a client was told that it will be
    died: bool = False  # with a master, which may have given it up
    archived: bool = False
    successes: int = 0  # steps that are shown as such
    final: str | None = None
    final_since: float = 0.0

    @property
    def rank(self):
        """The lowest of those that wait for the same goes first."""
        return self.since + AGEING * self.priority

    @property
    def comments(self):
        """What its opcodes say: enough to know it again, and what to do."""
        return [
            f"{self.mark}:{index}:{step.word}:{step.locks}" for index, step in enumerate(self.steps)
        ]

    @property
    def safe(self):
        """May everything that began be run again?"""
        return all(step.word == "safe" for step in self.steps[: self.begun])


class QueueModel:
    """All jobs that were accepted; ``compare``, then the events, then ``check_ends``."""

    def __init__(self):
        self.jobs = {}  # id -> Promise
        self.working = {}  # id -> the step that is under way
        self.waiting, self.owners = {}, {}  # see ``note_waiting``

    def live(self):
        """Ids of those that have not ended."""
        return [number for number, job in self.jobs.items() if job.final is None]

    def accept(self, ids, promises):
        """Ids are dense, rise, and are given once."""
        for number, promise in zip(ids, promises, strict=True):
            assert number == len(self.jobs) + 1, f"id {number} after {len(self.jobs)}"
            self.jobs[number] = promise

    def compare(self, shown, now):
        """What the queue shows: all that was accepted, and what has ended stays as it was."""
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
        """The queue is idle: note who waits for what, and who holds which lock."""
        self.waiting, self.owners = waiting, owners

    def begins(self, number, index, in_order=True):
        """Work begins; ``in_order``: nothing else was under way, so that the order counts."""
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
        """Of those that want the same locks and waited for the same thing, the first begins."""
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
        """Does a job depend on one that has not ended? It may not have noticed yet."""
        return not self.jobs[number].begun and any(
            0 < other < number and self.jobs[other].final is None
            for other, _ in self.jobs[number].depends
        )

    def ends(self, number, through):
        """Work ends: ``through`` to its end, or stopped on the way."""
        del self.working[number]
        self.jobs[number].ended += through

    def crash(self, interrupted, now):
        """Another master takes over; it says that these jobs died with the one before."""
        for number in self.working:
            assert number in interrupted or self.jobs[number].safe or self.jobs[number].final
        self.working, self.waiting, self.owners = {}, {}, {}
        for number, job in self.jobs.items():
            job.since = now
            if number in interrupted:
                assert job.final == "error", f"job {number} died, and is {job.final}"
            # A master also gives up what was between two steps, or in a safe second one.
            job.died |= number in interrupted or job.ended > 0
            if job.final is None and job.safe:
                job.begun = job.ended = job.successes

    def check_ends(self):
        """Has every job that has ended, ended as it may?"""
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
        """How a job may end whose dependencies do not end as they should."""
        found = set()
        for other, wanted in self.jobs[number].depends:
            status = self.jobs[other].final if 0 < other < number else "missing"
            if status is not None and not meets(status, wanted):
                found.add("canceled" if status == "canceled" else "error")
        return found


def meets(status, wanted):
    """May a job begin that wants another to end so? No list means success or error."""
    return status in (wanted or ("success", "error"))
