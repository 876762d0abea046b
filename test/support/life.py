"""A job queue on a real database, with work that blocks until a test unblocks it.

So the queue can become idle between two steps, and its state can be compared with a model. A
master that is killed leaves a copy of its database, taken in the middle of a transaction:
whatever its threads do afterwards cannot reach the next master.
"""

import os
import shutil
import threading
import time

from ganeti import errors
from ganeti.db.store import Store
from ganeti.jqueue.live import Done, Failed
from ganeti.jqueue.queue import JobQueue
from ganeti.locking import Level, LockManager, exclusive
from support.promises import WORKERS

#: Seconds after which something that did not happen has failed.
PATIENCE = 30


class Gone(Exception):
    """The master was killed before this thread could go on."""


class BlockedTask:
    """One opcode (``jqueue.live.Task``): its work blocks until ``unblock`` names its job."""

    def __init__(self, master, op, job_id, rank):
        self.master, self.job_id, self.rank = master, job_id, rank
        _, index, self.word, self.locks = op.comment.split(":")
        self.index = int(index)
        self.cancellable = self.word != "stubborn"
        self.rerun_safe = self.word == "safe"
        self.owner = f"job/{job_id}"
        self.released = False
        self.mutex = threading.Lock()

    def acquire(self, ready):
        with self.mutex:
            return not self.released and self.master.locks.request(
                self.owner,
                [exclusive(Level.INSTANCE, name) for name in self.locks],
                self.rank,
                ready,
            )

    def release(self):
        with self.mutex:
            released, self.released = self.released, True
        if not released:
            self.master.locks.release(self.owner)

    def waiting_for(self):
        state = self.master.locks.waits_for(self.owner)
        return [] if state is None else [{"kind": "lock", "name": state.name}]

    def set_rank(self, rank):
        with self.mutex:
            self.rank = rank
        self.master.locks.change_rank(self.owner, rank)

    def execute(self, run):
        master = self.master
        master.entered.add(self.job_id)
        try:
            run.begin()
            with master.condition:
                master.note("begins", self.job_id, self.index)
                master.blocked.add(self.job_id)
                master.condition.wait_for(
                    lambda: (
                        master.all_unblocked or self.job_id not in master.blocked or run.cancelled()
                    )
                )
                master.blocked.discard(self.job_id)
                master.note("ends", self.job_id, not run.cancelled())
            run.stop_if_cancelled()
            if self.word == "fail":
                raise errors.OpExecError("as planned")
            return Done(self.job_id)
        except Exception as err:
            return Failed(err)


class MasterLife:
    """A master from its start to its end, and the events of its work."""

    def __init__(self, path, clock, monotonic):
        self.path = path
        self.condition = threading.Condition()
        self.blocked, self.entered, self.events = set(), set(), []
        self.all_unblocked = self.killed = False
        self.locks = LockManager()
        self.store = Store.open(path)
        self.queue = JobQueue(
            self.store,
            self.begin,
            workers=WORKERS,
            clock=clock,
            monotonic=monotonic,
            rerun_safe=lambda op: ":safe:" in op.comment,
        )
        self.interrupted = {job_id for job_id, _ in self.queue.recover()}
        self.queue.start()

    def begin(self, op, job_id, rank):
        """Return the task of an opcode."""
        return BlockedTask(self, op, job_id, rank)

    def note(self, *event):
        """Record an event; raise ``Gone`` if the master was killed. Called under ``condition``."""
        if self.killed:
            raise Gone
        self.events.append(event)

    def take_events(self):
        with self.condition:
            events, self.events = self.events, []
        return events

    def unblock(self, *job_ids):
        """Let the work of these jobs go on; canceled work notices that it is canceled."""
        with self.condition:
            self.blocked.difference_update(job_ids)
            self.condition.notify_all()

    def unblock_all(self):
        """Let all work go on, now and later."""
        with self.condition:
            self.all_unblocked = True
            self.blocked.clear()
            self.condition.notify_all()

    def wait_until_idle(self):
        """Wait until nothing changes any more; return all jobs as they are then.

        Every job is then blocked in its work, or waits for one that is. A job that never
        gets there was forgotten, or waits for nothing.
        """
        deadline = time.monotonic() + PATIENCE
        while (unsettled := self._unsettled_job()) is not None:
            assert time.monotonic() < deadline, f"job {unsettled} neither works nor waits"
            time.sleep(0.0002)
        return self.queue.jobs(archived=True)

    def _unsettled_job(self):
        live = {job.id for job in self.queue.jobs() if not job.final}
        with self.condition:
            blocked = set(self.blocked)
        for number in live - blocked:
            reasons = self.queue.waiting_for(number)
            if not reasons or not all(
                self._is_settled(reason, live, blocked) for reason in reasons
            ):
                return number
        return None

    @staticmethod
    def _is_settled(reason, live, blocked):
        if reason["kind"] == "limit":
            return len(blocked) == WORKERS
        return reason["kind"] == "lock" or set(reason["jobs"]) <= live

    def lock_owners(self):
        """Return, by the name of a lock, the ids of the jobs that hold it."""
        return {
            state.name.partition("/")[2]: {
                int(owner.removeprefix("job/")) for owner in state.owners
            }
            for state in self.locks.states()
        }

    def waiting(self):
        """Return what each waiting job waits for: ``lock``, ``limit`` or ``job``."""
        return {
            job.id: reasons[0]["kind"]
            for job in self.queue.jobs()
            if not job.final and (reasons := self.queue.waiting_for(job.id))
        }

    def kill(self, path, answers):
        """Copy the database as it is now; return which of these futures were resolved by then."""

        def copy(_):
            with self.condition:
                self.killed = True
            answered = [answer.done() for answer in answers]
            for end in ("", "-wal"):
                if os.path.exists(self.path + end):
                    shutil.copyfile(self.path + end, path + end)
            return answered

        answered = self.store.write(copy).result(PATIENCE)
        self.discard()
        return answered

    def end(self, orderly):
        """Stop as the daemon does; if ``orderly``, let blocked work end first."""
        if orderly:
            self.unblock_all()
        left = set(self.queue.stop(PATIENCE if orderly else 0))
        assert left == (set() if orderly else self.blocked), left
        self.store.close()
        self.discard()

    def discard(self):
        """End the threads; whatever they still do has no effect."""
        with self.condition:
            self.killed = True
        self.unblock_all()
        self.queue.stop(PATIENCE)
        self.store.close()
