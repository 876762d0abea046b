"""A job queue on a real database, whose work stands at a gate until it is let through.

So between two steps everything can come to rest, and what happened can be compared
with a model. A master that is killed leaves a copy of its database, taken in the midst
of a transaction: nothing that its threads do afterwards can reach the next one.
"""

import os
import shutil
import threading
import time

from ganeti import errors
from ganeti.db.store import Store
from ganeti.jqueue.execution import Done, Failed
from ganeti.jqueue.queue import JobQueue
from ganeti.locking import Level, LockManager, exclusive
from support.promises import WORKERS

#: Seconds after which something that did not happen has failed.
PATIENCE = 30


class Gone(Exception):
    """The master was killed: what this thread was about to do did not happen."""


class Work:
    """One opcode (``jqueue.task.Task``): stands at the gate until it may go on."""

    def __init__(self, life, op, job_id, rank):
        self.life, self.job_id, self.rank = life, job_id, rank
        _, index, self.word, self.locks = op.comment.split(":")
        self.index = int(index)
        self.cancellable = self.word != "stubborn"
        self.rerun_safe = self.word == "safe"
        self.owner = f"job/{job_id}"
        self.released = False
        self.mutex = threading.Lock()

    def acquire(self, ready):
        with self.mutex:
            return not self.released and self.life.locks.request(
                self.owner,
                [exclusive(Level.INSTANCE, name) for name in self.locks],
                self.rank,
                ready,
            )

    def release(self):
        with self.mutex:
            released, self.released = self.released, True
        if not released:
            self.life.locks.release(self.owner)

    def waiting_for(self):
        state = self.life.locks.waits_for(self.owner)
        return [] if state is None else [{"kind": "lock", "name": state.name}]

    def set_rank(self, rank):
        with self.mutex:
            self.rank = rank
        self.life.locks.change_rank(self.owner, rank)

    def execute(self, run):
        life = self.life
        life.entered.add(self.job_id)
        try:
            run.begin()
            with life.gate:
                life.note("begins", self.job_id, self.index)
                life.standing.add(self.job_id)
                life.gate.wait_for(
                    lambda: life.open or self.job_id not in life.standing or run.cancelled()
                )
                life.standing.discard(self.job_id)
                life.note("ends", self.job_id, not run.cancelled())
            run.stop_if_cancelled()
            if self.word == "fail":
                raise errors.OpExecError("as planned")
            return Done(self.job_id)
        except Exception as err:
            return Failed(err)


class Life:
    """A master from its start to its end, and what its work did meanwhile."""

    def __init__(self, path, clock, monotonic):
        self.path = path
        self.gate = threading.Condition()
        self.standing, self.entered, self.events = set(), set(), []
        self.open = self.killed = False
        self.locks = LockManager()
        self.store = Store.open(path)
        self.queue = JobQueue(
            self.store,
            self,
            workers=WORKERS,
            clock=clock,
            monotonic=monotonic,
            rerun_safe=lambda op: ":safe:" in op.comment,
        )
        self.dead = {job_id for job_id, _ in self.queue.recover()}
        self.queue.start()

    def begin(self, op, job_id, rank):
        """The queue's ``Executor``."""
        return Work(self, op, job_id, rank)

    def note(self, *event):
        """Something happens, unless the master is gone; under the gate."""
        if self.killed:
            raise Gone
        self.events.append(event)

    def take_events(self):
        with self.gate:
            events, self.events = self.events, []
        return events

    def let_through(self, *job_ids):
        """Work that stands at the gate goes on; others that were canceled notice it."""
        with self.gate:
            self.standing.difference_update(job_ids)
            self.gate.notify_all()

    def let_all_through(self):
        """From now on the gate is open."""
        with self.gate:
            self.open = True
            self.standing.clear()
            self.gate.notify_all()

    def come_to_rest(self):
        """Wait until nothing moves any more; all jobs as they are then.

        Everybody then stands at the gate, or waits for somebody who does not move
        either. A job that never comes to that was forgotten, or waits for nothing.
        """
        deadline = time.monotonic() + PATIENCE
        while (moving := self._moving()) is not None:
            assert time.monotonic() < deadline, f"job {moving} neither works nor waits"
            time.sleep(0.0002)
        return self.queue.jobs(archived=True)

    def _moving(self):
        live = {job.id for job in self.queue.jobs() if not job.final}
        with self.gate:
            standing = set(self.standing)
        for number in live - standing:
            reasons = self.queue.waiting_for(number)
            if not reasons or not all(self._holds(reason, live, standing) for reason in reasons):
                return number
        return None

    @staticmethod
    def _holds(reason, live, standing):
        if reason["kind"] == "limit":
            return len(standing) == WORKERS
        return reason["kind"] == "lock" or set(reason["jobs"]) <= live

    def lock_owners(self):
        """Ids of the jobs that hold a lock, by its name."""
        return {
            state.name.partition("/")[2]: {
                int(owner.removeprefix("job/")) for owner in state.owners
            }
            for state in self.locks.states()
        }

    def waiting(self):
        """What each waiting job waits for: ``lock``, ``limit`` or ``job``."""
        return {
            job.id: reasons[0]["kind"]
            for job in self.queue.jobs()
            if not job.final and (reasons := self.queue.waiting_for(job.id))
        }

    def kill(self, path, answers):
        """Copy the database as it is now; which of these futures clients had heard of."""

        def copy(_):
            with self.gate:
                self.killed = True
            heard = [answer.done() for answer in answers]
            for end in ("", "-wal"):
                if os.path.exists(self.path + end):
                    shutil.copyfile(self.path + end, path + end)
            return heard

        heard = self.store.write(copy).result(PATIENCE)
        self.bury()
        return heard

    def end(self, patient):
        """Stop as the daemon does; work that stands at the gate may end, or is left."""
        if patient:
            self.let_all_through()
        left = set(self.queue.stop(PATIENCE if patient else 0))
        assert left == (set() if patient else self.standing), left
        self.store.close()
        self.bury()

    def bury(self):
        """End the threads; what they do now goes nowhere."""
        with self.gate:
            self.killed = True
        self.let_all_through()
        self.queue.stop(PATIENCE)
        self.store.close()
