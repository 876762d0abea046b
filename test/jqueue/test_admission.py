"""Job filters applied to the jobs of a queue."""

import collections
import random
import threading

import pytest

from ganeti import errors
from support.jqueue import PATIENCE, QueueScene, Work, op

SET_BEFORE = [["jobid", ["<=", "id", "watermark"]]]
ALL = [["jobid", [">", "id", 0]]]


@pytest.fixture
def held(tmp_path):
    """Yield a queue that accepts jobs but does not run them yet."""
    made = QueueScene(str(tmp_path / "master.db"))
    yield made
    made.close()


@pytest.fixture
def scene(held):
    held.queue.start()
    return held


def put_filter(scene, action, predicates=ALL, priority=0, uuid=None):
    return scene.queue.put_filter(uuid, priority, predicates, action, [["me", "test", 1]])


def doing(**work):
    """Return the predicates of a filter for opcodes that do this work."""
    return [["opcode", ["==", "comment", Work(**work).comment]]]


def why(scene, job_id):
    return [(item["kind"], item["name"], item["jobs"]) for item in scene.queue.waiting_for(job_id)]


def statuses(scene, jobs):
    return [str(job.status) for job in scene.queue.jobs(jobs)]


def dispatched(scene):
    """Wait until the dispatcher has looked at all jobs: one submitted last has ended."""
    scene.wait(scene.submit(op(safe=True)))


def test_a_reject_filter_cancels_new_jobs(scene):
    put_filter(scene, "REJECT", doing())
    job = scene.wait(scene.submit(op(safe=True), op()))
    assert job.status == "canceled" and job.ops[0].result == "Job canceled by request"
    assert scene.wait(scene.submit(op(safe=True))).status == "success"


def test_queued_jobs_are_rejected_even_while_they_wait_for_others(held):
    first = held.submit(op(hold=True))
    others = [held.submit(op()), held.submit(op(depends=[[first, []]]))]
    put_filter(held, "REJECT", [["opcode", ["!=", "comment", Work(hold=True).comment]]])
    assert [held.wait(job).status for job in others] == ["canceled", "canceled"]
    assert statuses(held, [first]) == ["queued"]


def test_jobs_that_have_begun_are_not_rejected(scene):
    running, locked = scene.submit(op(hold=True, lock="web")), scene.submit(op(lock="web"))
    scene.reach(running, "running")
    scene.reach(locked, "waiting")
    for action in ("REJECT", "PAUSE"):
        put_filter(scene, action)
    scene.let_go.set()
    assert [scene.wait(job).status for job in (running, locked)] == ["success"] * 2


def test_a_job_between_two_opcodes_has_begun(scene):
    job = scene.submit(op(hold=True), op())
    scene.reach(job, "running")
    put_filter(scene, "PAUSE")
    scene.let_go.set()
    assert scene.wait(job).status == "success"


def test_a_job_is_paused_until_the_filter_is_removed(scene):
    uuid = put_filter(scene, "PAUSE", doing())
    job = scene.submit(op())
    dispatched(scene)
    assert statuses(scene, [job]) == ["queued"] and why(scene, job) == [("filter", uuid, [])]
    scene.queue.remove_filter(uuid)
    assert scene.wait(job).status == "success"


def test_a_paused_job_can_be_canceled(scene):
    put_filter(scene, "PAUSE", doing())
    job = scene.submit(op())
    dispatched(scene)
    assert scene.queue.cancel(job).result(PATIENCE)[0]
    assert scene.wait(job).status == "canceled"


def test_an_accept_filter_before_it_makes_an_exception(scene):
    put_filter(scene, "PAUSE", priority=5)
    put_filter(scene, "CONTINUE", doing(safe=True), priority=1)
    put_filter(scene, "ACCEPT", doing(safe=True), priority=2)
    job = scene.submit(op())
    dispatched(scene)
    assert statuses(scene, [job]) == ["queued"]


def test_the_watermark_is_the_newest_job_at_the_creation_of_the_filter(held):
    before = held.submit(op())
    put_filter(held, "PAUSE", SET_BEFORE)
    held.queue.start()
    held.wait(held.submit(op()))
    assert statuses(held, [before]) == ["queued"]
    assert [one.watermark for one in held.queue.filters] == [before]


def test_a_rate_limit_lets_so_many_jobs_begin_in_order(scene):
    uuid = put_filter(scene, ["RATE_LIMIT", 2], doing(hold=True))
    jobs = [scene.submit(op(hold=True)) for _ in range(4)]
    urgent = scene.submit(op(hold=True, priority=-10))
    for job in jobs[:2]:
        scene.reach(job, "running")
    dispatched(scene)
    assert statuses(scene, jobs[2:]) == ["queued"] * 2
    assert why(scene, jobs[3]) == [("filter", uuid, jobs[:2])]
    scene.queue.change_priority(jobs[3], -20).result(PATIENCE)
    scene.queue.cancel(jobs[0]).result(PATIENCE)
    scene.reach(jobs[3], "running")
    scene.queue.cancel(jobs[1]).result(PATIENCE)
    scene.reach(urgent, "running")
    assert statuses(scene, [jobs[2]]) == ["queued"]
    scene.let_go.set()
    assert scene.wait(jobs[2]).status == "success"


def test_jobs_that_began_before_the_rate_limit_count(scene):
    running = scene.submit(op(hold=True))
    scene.reach(running, "running")
    uuid = put_filter(scene, ["RATE_LIMIT", 1], doing(hold=True))
    held = scene.submit(op(hold=True))
    dispatched(scene)
    assert why(scene, held) == [("filter", uuid, [running])]
    scene.let_go.set()
    assert scene.wait(held).status == "success"


def limited(*words):
    return op(hold=True, reason=[["gnt:user", f"rate-limit:1:{word}", 1] for word in words])


def test_a_job_held_by_one_rate_limit_hands_on_its_slot_in_another(scene):
    first, second = scene.submit(limited("a")), scene.submit(limited("b"))
    both, after = scene.submit(limited("a", "b")), scene.submit(limited("a"))
    for job in (first, second):
        scene.reach(job, "running")
    dispatched(scene)
    assert why(scene, both) == [("limit", "rate-limit:1:a", [first])]
    scene.queue.cancel(first).result(PATIENCE)
    scene.reach(after, "running")  # a has a free slot, b has not, so the next job takes that of a
    assert why(scene, both) == [("limit", "rate-limit:1:b", [second])]
    scene.let_go.set()
    assert scene.wait(both).status == "success"


def test_a_job_canceled_when_its_turn_comes_hands_on_its_slot(held):
    jobs = [held.submit(limited("a")) for _ in range(3)]
    held.queue.start()
    held.reach(jobs[0], "running")
    dispatched(held)
    with held.queue._live_jobs.mutex:  # so that the dispatcher cannot look at it
        canceled = held.queue._scheduler._scheduled[jobs[1]]
        held.queue._scheduler._admission.job_ended(held.queue._scheduler._scheduled[jobs[0]].job)
        assert canceled.held_by is None
        held.queue.cancel(jobs[1])
    held.reach(jobs[2], "running")


def test_filters_survive_a_restart(held):
    uuid = put_filter(held, "PAUSE", [["opcode", ["=", "comment", Work().comment]]])
    before = list(held.queue.filters)
    held.queue.stop(0)
    held.open()
    assert held.queue.filters == before and before[0].uuid == uuid
    assert before[0].predicates == [["opcode", ["==", "comment", Work().comment]]]
    assert before[0].reason_trail == [["me", "test", 1], ["luxid", "", 10**15]]
    held.queue.start()
    job = held.submit(op())
    dispatched(held)
    assert statuses(held, [job]) == ["queued"]


def test_a_bad_or_unknown_uuid_is_refused(held):
    uuid = "12345678-0000-4000-8000-00000000000a"
    assert put_filter(held, "PAUSE", uuid=uuid) == put_filter(held, "ACCEPT", uuid=uuid) == uuid
    assert [one.action for one in held.queue.filters] == ["ACCEPT"]
    with pytest.raises(errors.GenericError, match="is not a UUID"):
        put_filter(held, "PAUSE", uuid=uuid.upper())
    held.queue.remove_filter(uuid)
    with pytest.raises(errors.GenericError, match="does not exist"):
        held.queue.remove_filter(uuid)


def test_a_disk_that_refuses_leaves_the_filters_unchanged(held):
    held.refuse(1)
    with pytest.raises(errors.JobQueueUnavailable):
        put_filter(held, "PAUSE")
    assert list(held.queue.filters) == []


class Counting:
    """A task that records how many jobs of its limit run at the same time."""

    def __init__(self, task, scene):
        self._task = task
        self._scene = scene

    def __getattr__(self, name):
        return getattr(self._task, name)

    def execute(self, run):
        reasons = [entry[1] for entry in self._task.op.reason if entry[1].startswith("rate")]
        with self._scene.counting:
            self._scene.inside.update(reasons)
            self._scene.most |= self._scene.inside
        outcome = self._task.execute(run)
        with self._scene.counting:
            self._scene.inside.subtract(reasons)
        return outcome


class CountingScene(QueueScene):
    """A queue that records the maximum number of running jobs of each limit."""

    max_live = 1000

    def __init__(self, path):
        self.counting = threading.Lock()
        self.inside, self.most = collections.Counter(), collections.Counter()
        super().__init__(path, workers=8)

    def begin(self, opcode, job_id, rank):
        return Counting(super().begin(opcode, job_id, rank), self)


def test_rate_limits_hold_and_no_job_is_forgotten_whatever_happens(tmp_path):
    scene, dice = CountingScene(str(tmp_path / "master.db")), random.Random(5)
    scene.queue.start()
    limits = [f"rate-limit:{number}:{word}" for number in (1, 2, 3) for word in "ab"]
    jobs, uuids = [], []
    for _ in range(150):
        reasons = dice.sample(limits, dice.randrange(4))
        jobs.append(
            scene.submit(
                op(
                    dice.choice([Work(), Work(again=True), Work(fail=True)]),
                    reason=[["gnt:user", reason, 1] for reason in reasons],
                )
            )
        )
        move = dice.randrange(12)
        if move == 0:
            scene.queue.cancel(dice.choice(jobs)).result(PATIENCE)
        elif move == 1:
            scene.queue.change_priority(dice.choice(jobs), dice.choice([-20, 0, 19]))
        elif move == 2:
            uuids.append(
                put_filter(
                    scene,
                    dice.choice(["PAUSE", ["RATE_LIMIT", 1], "REJECT"]),
                    doing(again=dice.choice([False, True])),
                )
            )
        elif uuids and move < 5:
            scene.queue.remove_filter(uuids.pop())
    for uuid in uuids:
        scene.queue.remove_filter(uuid)
    for job in jobs:
        scene.wait(job)
    scene.close()
    assert scene.most and all(
        most <= int(limit.split(":")[1]) for limit, most in scene.most.items()
    )
    admission = scene.queue._scheduler._admission
    assert not admission._admitted and not admission._slots_of
