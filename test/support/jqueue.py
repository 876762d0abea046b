"""A job queue whose opcodes do what a test says: OP_TEST_DELAY with a plan in its comment.

The comment is a word: ``ok``, ``fail``, ``hold`` (until the test lets go),
``lock:NAME`` (needs a lock first), ``again`` (once), ``children``,
``clash`` (its change is refused), ``safe`` (may be run again), ``unwritable`` (its
result is no JSON), ``unsettled`` (fails once its success is durable).
"""

import sqlite3
import threading

from ganeti import errors, opcodes
from ganeti.constants import JobStatus
from ganeti.db.store import Store
from ganeti.jqueue import rows
from ganeti.jqueue.execution import Again, Done, Failed
from ganeti.jqueue.queue import JobQueue
from ganeti.locking import Level, LockManager, exclusive
from ganeti.request_context import RequestContext

#: Seconds after which a test that waits for a job has failed.
PATIENCE = 30


def op(word="ok", **fields):
    return opcodes.OpTestDelay(duration=1.0, comment=word, **fields)


class PlannedTask:
    """Does what the comment says."""

    def __init__(self, executor, opcode, job_id, rank):
        self.executor = executor
        self.op = opcode
        self.word = opcode.comment or "ok"
        self.job_id = job_id
        self.rank = rank
        self.owner = f"job/{job_id}"
        self.cancellable = self.word.startswith("hold")
        self.rerun_safe = self.word == "safe"
        self.released = False

    def acquire(self, ready):
        if self.released:
            return False
        name = self.word.partition(":")[2]
        wants = [exclusive(Level.INSTANCE, name)] if name else []
        return self.executor.locks.request(self.owner, wants, self.rank, ready)

    def release(self):
        if not self.released:
            self.released = True
            self.executor.locks.release(self.owner)

    def waiting_for(self):
        state = self.executor.locks.waits_for(self.owner)
        return (
            []
            if state is None
            else [
                {
                    "kind": "lock",
                    "name": state.name,
                    "mode": state.mode,
                    "jobs": [int(owner[4:]) for owner in state.blockers],
                }
            ]
        )

    def set_rank(self, rank):
        self.executor.locks.change_rank(self.owner, rank)

    def execute(self, run):
        if self.word == "again" and self.job_id not in self.executor.again:
            self.executor.again.add(self.job_id)
            return Again()
        try:
            run.begin()
            self.executor.began.append(self.job_id)
            return self.work(run)
        except Exception as err:
            return Failed(err)

    def work(self, run):
        run.log(f"doing {self.word}")
        if self.word == "fail":
            raise errors.OpExecError("as planned")
        if self.word.startswith("hold"):
            while not self.executor.let_go.is_set() and not run.cancelled():
                run.pause(0.01)
            run.stop_if_cancelled()
        if self.word == "children":
            return Done({"more": 1}, jobs=[[op()], [op(depends=[[-1, ["success"]]])]])
        if self.word == "clash":
            return Done(1, change=self.refuse, undo=lambda: self.executor.undone.append(1))
        if self.word == "unwritable":
            return Done(object(), undo=lambda: self.executor.undone.append(1))
        if self.word == "unsettled":
            return Done(1, after_commit=self.unsettle)
        return Done(self.job_id)

    def unsettle(self):
        raise RuntimeError("our mistake")

    def refuse(self, connection):
        raise errors.OpPrereqError("taken", "already_exists")


class QueueScene:
    """Store, queue and planned work; ``wait`` follows jobs to their end."""

    max_live = 50

    def __init__(self, path, workers=4):
        self.path = path
        self.workers = workers
        self.again, self.began, self.undone = set(), [], []
        self.let_go = threading.Event()
        self.now = 1_000_000.0
        self.uptime = 500.0
        self.store = Store.create(path)
        self.open()

    def open(self):
        self.locks = LockManager()
        self.queue = JobQueue(
            self.store,
            self,
            workers=self.workers,
            clock=lambda: self.now,
            monotonic=lambda: self.uptime,
            rerun_safe=self.rerun_safe,
            max_live=self.max_live,
        )
        self.dead = [op for _, op in self.queue.recover()]

    def rerun_safe(self, opcode):
        return opcode.comment == "safe"

    def refuse(self, times):
        """Have the disk refuse the next changes."""

        def full(connection):
            raise sqlite3.OperationalError("disk full")

        def enqueue(change, done):
            nonlocal times
            times -= 1
            if times < 0:
                del self.store.enqueue
                self.store.enqueue(change, done)
            else:
                real(full, done)

        real = self.store.enqueue
        self.store.enqueue = enqueue

    def begin(self, opcode, job_id, rank):
        if opcode.comment == "refused":
            raise errors.OpCodeUnknown("nobody does this")
        return PlannedTask(self, opcode, job_id, rank)

    def submit(self, *ops, **options):
        return self.queue.submit([ops], RequestContext("admin"), **options).result(PATIENCE)[0]

    def reach(self, job_id, *statuses):
        """Wait until a job has one of these statuses; the job."""
        changed = threading.Event()
        unwatch = self.queue.watch(job_id, changed.set)
        try:
            while (job := self.queue.job(job_id)).status not in statuses:
                assert changed.wait(PATIENCE), f"job {job_id} stays {job.status}"
                changed.clear()
            return job
        finally:
            unwatch()

    def wait(self, job_id):
        return self.reach(job_id, "success", "error", "canceled")

    def close(self):
        self.let_go.set()
        self.queue.stop(PATIENCE)
        self.store.close()


def leave(scene, job_id, *statuses):
    """Have a job stored as the old master left it."""
    (job,) = rows.load(scene.store, [job_id], archived=True)
    for item, status in zip(job.ops, statuses):
        item.status = JobStatus(status)
    scene.store.write(lambda connection: rows.save(connection, job, range(len(job.ops)))).result(
        PATIENCE
    )
