"""A job queue whose opcodes do what a test says: each is an OP_TEST_DELAY with a ``Work``."""

import dataclasses
import json
import sqlite3
import threading

from ganeti import errors, opcodes
from ganeti.constants import JobStatus
from ganeti.db.store import Store
from ganeti.jqueue import rows
from ganeti.jqueue.live import Again, Done, Failed
from ganeti.jqueue.queue import JobQueue
from ganeti.locking import Level, LockManager, exclusive
from ganeti.luxi import RequestContext

#: Seconds for which a test waits for a job before it fails.
PATIENCE = 30


@dataclasses.dataclass(frozen=True)
class Work:
    """The work of one opcode, which succeeds at once by default; it is in the opcode's comment."""

    #: Name of an instance whose lock it needs.
    lock: str = ""
    #: Goes on until the test sets ``let_go``, and can be canceled meanwhile.
    hold: bool = False
    fail: bool = False
    #: Asks once to start over (``Again``).
    again: bool = False
    #: Submits two jobs, of which the second depends on the first.
    children: bool = False
    #: The change in its outcome raises an error.
    clash: bool = False
    #: May be run again after a crash.
    safe: bool = False
    #: Its result cannot be serialized.
    unwritable: bool = False
    #: Its ``after_commit`` fails.
    fail_after_commit: bool = False
    #: Making its task fails.
    refused: bool = False

    @property
    def comment(self):
        """The comment of the opcode: the fields that differ from their defaults, as JSON."""
        return json.dumps({name: value for name, value in vars(self).items() if value})

    @classmethod
    def of(cls, opcode):
        return cls(**json.loads(opcode.comment or "{}"))


_WORK_FIELDS = {field.name for field in dataclasses.fields(Work)}


def op(work=None, **fields):
    """Return an opcode that does ``work``; keywords are fields of ``Work``, or of the opcode."""
    named = {name: fields.pop(name) for name in _WORK_FIELDS & fields.keys()}
    assert work is None or not named, "say it once"
    return opcodes.OpTestDelay(duration=1.0, comment=(work or Work(**named)).comment, **fields)


class PlannedTask:
    """A task that does the ``Work`` of its opcode."""

    def __init__(self, executor, opcode, job_id, rank):
        self.executor = executor
        self.op = opcode
        self.plan = Work.of(opcode)
        self.job_id = job_id
        self.rank = rank
        self.owner = f"job/{job_id}"
        self.cancellable = self.plan.hold
        self.rerun_safe = self.plan.safe
        self.released = False

    def acquire(self, ready):
        if self.released:
            return False
        lock = self.plan.lock
        wants = [exclusive(Level.INSTANCE, lock)] if lock else []
        return self.executor.locks.request(self.owner, wants, self.rank, ready)

    def release(self):
        if not self.released:
            self.released = True
            self.executor.locks.release(self.owner)

    def waiting_for(self):
        state = self.executor.locks.waits_for(self.owner)
        if state is None:
            return []
        jobs = [int(owner[4:]) for owner in state.blockers]
        return [{"kind": "lock", "name": state.name, "mode": state.mode, "jobs": jobs}]

    def set_rank(self, rank):
        self.executor.locks.change_rank(self.owner, rank)

    def execute(self, run):
        if self.plan.again and self.job_id not in self.executor.again:
            self.executor.again.add(self.job_id)
            return Again()
        try:
            run.begin()
            self.executor.began.append(self.job_id)
            return self.work(run)
        except Exception as err:
            return Failed(err)

    def work(self, run):
        run.log("working")
        if self.plan.fail:
            raise errors.OpExecError("as planned")
        if self.plan.hold:
            while not self.executor.let_go.is_set() and not run.cancelled():
                run.pause(0.01)
            run.stop_if_cancelled()
        if self.plan.children:
            return Done({"more": 1}, jobs=[[op()], [op(depends=[[-1, ["success"]]])]])
        if self.plan.clash:
            return Done(1, change=self.refuse, undo=lambda: self.executor.undone.append(1))
        if self.plan.unwritable:
            return Done(object(), undo=lambda: self.executor.undone.append(1))
        if self.plan.fail_after_commit:
            return Done(1, after_commit=self.fail_after_commit)
        return Done(self.job_id)

    def fail_after_commit(self):
        raise RuntimeError("our mistake")

    def refuse(self, connection):
        raise errors.OpPrereqError("taken", "already_exists")


class QueueScene:
    """A store and a queue that carries out planned work."""

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
            self.begin,
            workers=self.workers,
            clock=lambda: self.now,
            monotonic=lambda: self.uptime,
            rerun_safe=self.rerun_safe,
            max_live=self.max_live,
        )
        self.interrupted = [op for _, op in self.queue.recover()]

    def rerun_safe(self, opcode):
        return Work.of(opcode).safe

    def refuse(self, times):
        """Make the disk refuse that many changes."""

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
        if Work.of(opcode).refused:
            raise errors.OpCodeUnknown("nobody does this")
        return PlannedTask(self, opcode, job_id, rank)

    def submit(self, *ops, **options):
        accepted = self.queue.submit_once([ops], RequestContext("admin"), **options)
        return accepted.result(PATIENCE).ids[0]

    def reach(self, job_id, *statuses):
        """Wait until a job has one of these statuses; return the job."""
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
    """Store statuses of a job's opcodes, as a master that died left them."""
    (job,) = rows.load(scene.store, [job_id], archived=True)
    for item, status in zip(job.ops, statuses):
        item.status = JobStatus(status)
    scene.store.write(lambda connection: rows.save(connection, job, range(len(job.ops)))).result(
        PATIENCE
    )
