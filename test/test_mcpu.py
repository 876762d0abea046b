"""The steps of an opcode: locks, check, work, undo; and the choice of its logical unit."""

import threading

import pytest

from ganeti import cmdlib, errors, locking, mcpu, opcodes
from ganeti.cmdlib.base import Environment, FollowUps, LogicalUnit
from ganeti.jqueue.live import Again, Done, Failed, JobContext
from ganeti.locking import Level, exclusive
from support.cluster import make_cluster


class Unit(LogicalUnit):
    """A logical unit that follows the test's plan and records its steps on the class."""

    story: list = []
    plan: dict = {}

    def locks(self):
        return [exclusive(Level.INSTANCE, self.plan.get("lock", "web"))]

    def check(self):
        self.story.append("check")
        if "check" in self.plan:
            raise self.plan["check"]

    def dry_run_result(self):
        return "dry"

    def execute(self, run):
        self.on_failure(lambda: self.story.append("undo 1"))
        self.on_failure(self.plan.get("undo", lambda: self.story.append("undo 2")))
        self.story.append("execute")
        if "execute" in self.plan:
            raise self.plan["execute"]
        return self.plan.get("result", 42)


@pytest.fixture
def scene(tmp_path, monkeypatch):
    store, config, nodes = make_cluster(tmp_path)

    class ProcessorScene:
        locks = locking.LockManager()
        plan, story, log = {}, [], []
        cancel = threading.Event()

        def task(self, **fields):
            op = opcodes.OpInstanceStartup(instance_name="web", **fields)
            return mcpu.Processor(Environment(config, nodes), self.locks).begin(op, 5, 0)

        def run(self, **fields):
            task = self.task(**fields)
            assert task.acquire(lambda: None)
            return task.execute(
                JobContext(
                    5,
                    self.cancel,
                    begin=lambda: self.story.append("begin"),
                    log=lambda text, kind: self.log.append(text),
                )
            )

    made = ProcessorScene()
    monkeypatch.setattr(Unit, "story", made.story)
    monkeypatch.setattr(Unit, "plan", made.plan)
    monkeypatch.setattr(mcpu, "lu_for", lambda op_id: Unit)
    yield made
    store.close()


def test_steps_run_in_order(scene):
    outcome = scene.run()
    assert isinstance(outcome, Done) and outcome.value == 42 and not outcome.jobs
    assert scene.story == ["check", "begin", "execute"]


def test_a_refused_check_begins_nothing(scene):
    scene.plan["check"] = errors.OpPrereqError("no")
    outcome = scene.run()
    assert isinstance(outcome, Failed) and scene.story == ["check"]


@pytest.mark.parametrize("error", [errors.OpExecError("no"), ValueError("our mistake")])
def test_a_failure_is_undone_last_step_first(scene, error):
    scene.plan["execute"] = error
    assert scene.run().error is error
    assert scene.story[-2:] == ["undo 2", "undo 1"]


def test_an_undo_that_fails_does_not_stop_the_others(scene):
    def broken():
        raise OSError("disk gone")

    scene.plan.update(execute=errors.OpExecError("no"), undo=broken)
    scene.run()
    assert scene.story[-1] == "undo 1" and "disk gone" in scene.log[0]


def test_a_canceled_job_does_not_begin(scene):
    scene.cancel.set()
    task = scene.task()
    task.acquire(lambda: None)
    run = JobContext(5, scene.cancel, begin=lambda: None, log=lambda *_: None)
    assert isinstance(task.execute(run).error, errors.JobCanceled)


def test_a_dry_run_ends_after_the_check(scene):
    assert scene.run(dry_run=True).value == "dry" and scene.story == ["check"]


def test_locks_that_changed_meanwhile_are_asked_for_again(scene):
    task = scene.task()
    task.acquire(lambda: None)
    scene.plan["lock"] = "web.example.com"
    run = JobContext(5, scene.cancel, begin=lambda: None, log=lambda *_: None)
    assert isinstance(task.execute(run), Again) and scene.story == []


def test_follow_ups_are_handed_to_the_queue(scene):
    child = [opcodes.OpTestDelay(duration=1.0)]
    scene.plan["result"] = FollowUps([child], {"more": 1})
    outcome = scene.run()
    assert outcome.jobs == [child] and outcome.value == {"more": 1}


def test_waiting_names_the_lock_and_who_holds_it(scene):
    scene.locks.request("job/3", [exclusive(Level.INSTANCE, "web")], 0, lambda: None)
    task, ready = scene.task(), []
    assert not task.acquire(lambda: ready.append(1))
    assert task.waiting_for() == [
        {"kind": "lock", "name": "instance/web", "mode": "exclusive", "jobs": [3]}
    ]
    task.set_rank(-10)
    scene.locks.release("job/3")
    assert ready == [1] and task.waiting_for() == []


def test_releasing_twice_releases_only_its_own_locks(scene):
    task = scene.task()
    task.acquire(lambda: None)
    task.release()
    other = scene.task()
    assert other.acquire(lambda: None)
    task.release()
    assert [state.owners for state in scene.locks.states()] == [("job/5",), ("job/5",)]


def test_locks_are_not_asked_for_by_a_job_that_was_canceled_just_before(scene):
    task = scene.task()
    task.release()
    assert not task.acquire(lambda: None)
    assert scene.locks.states() == []


def test_what_a_unit_reserved_for_a_job_canceled_just_before_is_free_again(scene, monkeypatch):
    task = scene.task()
    task.release()
    config = task._environment.config
    monkeypatch.setattr(
        Unit, "locks", lambda unit: config.reserve_resources(5, config.master.uuid, 128, 0) or []
    )
    assert not task.acquire(lambda: None)
    assert config.reserved_resources(config.master.uuid) == (0, 0)


def test_finished_work_succeeds_even_without_an_effective_opcode(scene, monkeypatch):
    monkeypatch.setattr(Unit, "effective_op", lambda unit: 1 / 0)
    assert scene.run().value == 42


def test_the_logical_unit_says_whether_it_may_run_again():
    assert mcpu.rerun_safe(opcodes.OpTagsSet(kind="cluster", tags=["a"]))
    assert not mcpu.rerun_safe(opcodes.OpInstanceStartup(instance_name="web"))


# -- the unit of an opcode ---------------------------------------------------------------


@pytest.mark.parametrize("op_id", sorted(set(opcodes.BY_ID) - cmdlib.FORWARD_ONLY))
def test_every_opcode_has_a_unit_of_its_name(op_id: str) -> None:
    unit = mcpu.lu_for(op_id)
    assert issubclass(unit, LogicalUnit)
    assert "Op" + unit.__name__.removeprefix("LU") == opcodes.BY_ID[op_id].__name__


@pytest.mark.parametrize("op_id", ["OP_NOSUCH", "OP_NODE_ADD", "OP_COMMON", "", "../x"])
def test_an_opcode_of_others_has_no_unit(op_id: str) -> None:
    with pytest.raises(errors.OpCodeUnknown):
        mcpu.lu_for(op_id)


def test_an_opcode_of_ours_has_a_unit() -> None:
    ours = {op_id for op_id, op in opcodes.BY_ID.items() if op.SINCE == "ours"}
    assert not ours & cmdlib.FORWARD_ONLY


def test_units_whose_work_is_not_repeatable_say_so() -> None:
    for op_id in (
        "OP_INSTANCE_CREATE",
        "OP_INSTANCE_REINSTALL",
        "OP_INSTANCE_REBOOT",
        "OP_TEST_DELAY",
    ):
        assert not mcpu.lu_for(op_id).RERUN_SAFE
    for op_id in ("OP_TAGS_SET", "OP_TAGS_DEL", "OP_CLUSTER_VERIFY"):
        assert mcpu.lu_for(op_id).RERUN_SAFE
