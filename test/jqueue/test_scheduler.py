"""The scheduler: running jobs, locks, priorities, dependencies, cancellation."""

import logging

import pytest

from ganeti import errors
from ganeti.db import store
from ganeti.jqueue import rows
from ganeti.jqueue.job import Moment
from ganeti.luxi import RequestContext
from support.jqueue import PATIENCE, QueueScene, Work, op


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


def test_a_job_runs_to_success(scene):
    job = scene.wait(scene.submit(op()))
    assert job.status == "success" and job.ops[0].result == job.id
    assert [list(line[2:]) for line in job.ops[0].log] == [["message", "working"]]
    assert job.received_ts == job.start_ts == job.end_ts == (1_000_000, 0)
    assert job.context.user == "admin" and job.summary == ["TEST_DELAY(1.0)"]


def test_a_failing_opcode_ends_the_job_and_those_after_it(scene):
    job = scene.wait(scene.submit(op(), op(fail=True), op()))
    assert [str(item.status) for item in job.ops] == ["success", "error", "error"]
    assert job.ops[1].result == ["OpExecError", ["as planned"]]
    assert job.ops[2].result == ["OpExecError", ["Preceding opcode failed"]]


def test_an_opcode_that_the_executor_refuses_ends_in_error(scene):
    assert scene.wait(scene.submit(op(refused=True))).ops[0].result[0] == "OpCodeUnknown"


def test_work_whose_needs_changed_begins_anew(scene):
    assert scene.wait(scene.submit(op(again=True))).status == "success"


def test_a_refused_change_is_undone_and_fails_the_job(scene):
    job = scene.wait(scene.submit(op(clash=True)))
    assert job.ops[0].result == ["OpPrereqError", ["taken", "already_exists"]]
    assert scene.undone == [1]


@pytest.mark.parametrize(
    "work, status, undone",
    [(Work(unwritable=True), "error", [1]), (Work(fail_after_commit=True), "success", [])],
)
def test_our_own_mistakes_leave_no_job_half_ended(scene, work, status, undone):
    for _ in range(scene.workers + 1):  # and it has not cost a worker
        assert scene.wait(scene.submit(op(work))).status == status
    assert scene.undone == undone * (scene.workers + 1)


def test_follow_up_jobs_are_accepted_with_the_result(scene):
    job = scene.wait(scene.submit(op(children=True)))
    first, second = (job_id for _, job_id in job.ops[0].result["jobs"])
    assert job.ops[0].result["more"] == 1
    assert scene.wait(second).ops[0].view["depends"] == [[first, ["success"]]]
    assert scene.queue.job(first).context.user == "admin"


def test_locks_are_requested_in_the_order_of_submission(held):
    ids = [held.submit(op(lock="web")) for _ in range(20)]
    held.queue.start()
    held.wait(ids[-1])
    assert held.began == ids


def test_jobs_that_wait_for_a_lock_do_not_delay_others(scene):
    holder = scene.submit(op(hold=True, lock="web"))
    waiting = [scene.submit(op(lock="web")) for _ in range(20)]
    assert scene.wait(scene.submit(op())).status == "success"
    assert scene.queue.waiting_for(waiting[0]) == [
        {"kind": "lock", "name": "instance/web", "mode": "exclusive", "jobs": [holder]}
    ]
    assert scene.queue.job(waiting[-1]).status == "waiting"
    scene.let_go.set()
    assert scene.wait(waiting[-1]).status == "success" and scene.began[0] == holder


def test_priority_decides_who_is_next(tmp_path):
    scene = QueueScene(str(tmp_path / "one.db"), workers=1)
    low, middle, high, moved = (scene.submit(op(priority=number)) for number in (10, 0, -10, 0))
    assert scene.queue.change_priority(moved, -20).result(PATIENCE)[0]
    scene.queue.start()
    scene.wait(low)
    assert scene.began == [moved, high, middle, low]
    scene.close()


def test_the_priority_of_an_opcode_that_runs_stays(scene):
    job_id = scene.submit(op(hold=True), op(), op())
    scene.reach(job_id, "running")
    assert scene.queue.change_priority(job_id, -7).result(PATIENCE)[0]
    assert [item.priority for item in scene.queue.job(job_id).ops] == [0, -7, -7]
    with scene.store.read() as connection:
        assert connection.execute("SELECT priority FROM job_op ORDER BY idx").fetchall() == [
            (0,),
            (-7,),
            (-7,),
        ]
    scene.let_go.set()
    assert [item.priority for item in scene.wait(job_id).ops] == [0, -7, -7]


def test_a_job_whose_last_opcode_runs_goes_on_as_it_was(scene):
    job_id = scene.submit(op(hold=True))
    scene.reach(job_id, "running")
    assert scene.queue.change_priority(job_id, -7).result(PATIENCE) == (
        True,
        f"Job {job_id} has no pending opcodes; the one that runs goes on",
    )


def test_the_priority_of_a_job_that_is_being_canceled_cannot_change(scene):
    job_id = scene.submit(op(hold=True), op())
    scene.reach(job_id, "running")
    scene.queue._scheduler._scheduled[job_id].cancel.set()
    done, text = scene.queue._scheduler.change_priority(job_id, -7)
    assert not done and text == f"Job {job_id} is being canceled"


def test_the_priority_of_all_opcodes_of_a_job_that_waits_for_a_lock_changes(scene):
    scene.submit(op(hold=True, lock="web"))
    job_id = scene.submit(op(lock="web"), op())
    scene.reach(job_id, "waiting")
    assert scene.queue.change_priority(job_id, -7).result(PATIENCE)[0]
    assert [item.priority for item in scene.queue.job(job_id).ops] == [-7, -7]


# -- the log -------------------------------------------------------------------------


def lines(caplog, *words):
    return [
        record.getMessage()
        for record in caplog.records
        if all(word in record.getMessage() for word in words)
    ]


def test_the_log_says_that_a_job_started_and_why_it_failed(scene, caplog):
    caplog.set_level(logging.INFO)
    job_id = scene.submit(op(), op(fail=True), op())
    scene.wait(job_id)
    scene.queue.stop(PATIENCE)
    summary = ", ".join(["TEST_DELAY(1.0)"] * 3)
    assert lines(caplog, "started") == [f"Job {job_id} of admin started: {summary}"]
    assert lines(caplog, "ended") == [
        f"Job {job_id} of admin ended: error ({summary}): opcode 2 of 3, OpExecError: as planned"
    ]


@pytest.mark.parametrize(
    "opcode, words",
    [
        (op(refused=True), "): OpCodeUnknown: nobody does this"),
        (op(), "success (TEST_DELAY(1.0))"),
        (op(clash=True), "): OpPrereqError: taken"),
        (op(depends=[[99, []]]), "): OpExecError: Dependency error: Job 99 not found"),
    ],
)
def test_the_log_describes_any_end(scene, caplog, opcode, words):
    caplog.set_level(logging.INFO)
    scene.wait(scene.submit(opcode))
    scene.queue.stop(PATIENCE)
    (line,) = lines(caplog, "ended")
    assert line.endswith(words)


@pytest.mark.parametrize("work", [Work(refused=True), Work(), Work(fail=True)])
def test_the_log_says_once_that_a_job_waits_for_the_disk(held, caplog, monkeypatch, work):
    monkeypatch.setattr(held.queue._scheduler._stopping, "wait", lambda seconds: None)
    job_id = held.submit(op(work))
    held.refuse(9)
    held.queue.start()
    held.wait(job_id)
    assert len(lines(caplog, f"Job {job_id} of admin: waiting for the disk")) == 1


# -- dependencies --------------------------------------------------------------------


def test_a_job_waits_for_the_one_it_depends_on(scene):
    first = scene.submit(op(hold=True))
    second = scene.submit(op(depends=[[first, ["success"]]]))
    scene.wait(scene.submit(op()))  # so the dispatcher has seen both of them
    assert scene.queue.job(second).status == "queued"
    assert scene.queue.waiting_for(second)[0]["jobs"] == [first]
    scene.let_go.set()
    assert scene.wait(second).status == "success" and scene.began[0] == first


@pytest.mark.parametrize(
    "work, wanted, status",
    [
        (Work(), [], "success"),
        (Work(fail=True), ["error"], "success"),
        (Work(fail=True), ["success"], "error"),
        (Work(), ["error", "canceled"], "error"),
    ],
)
def test_dependencies_depend_on_how_the_other_ended(scene, work, wanted, status):
    first = scene.submit(op(work))
    assert scene.wait(scene.submit(op(depends=[[-1, wanted]]))).status == status
    assert scene.wait(scene.submit(op(depends=[[str(first), wanted]]))).status == status


def test_a_dependency_on_a_canceled_job_cancels(held):
    first = held.submit(op())
    second = held.submit(op(depends=[[first, ["success"]]]))
    held.queue.cancel(first).result(PATIENCE)
    held.queue.start()
    assert held.wait(second).status == "canceled"


@pytest.mark.parametrize(
    "work, canceled", [(Work(hold=True), "running"), (Work(lock="web"), "waiting")]
)
def test_a_job_without_statuses_is_canceled_with_the_one_that_had_begun(scene, work, canceled):
    scene.submit(op(hold=True, lock="web"))
    parent = scene.submit(op(work))
    child = scene.submit(op(depends=[[parent, []]]))
    grandchild = scene.submit(op(depends=[[-1, []]]))
    scene.reach(parent, canceled)
    assert scene.queue.cancel(parent).result(PATIENCE)[0]
    assert {str(scene.wait(job).status) for job in (parent, child, grandchild)} == {"canceled"}
    assert child not in scene.began and grandchild not in scene.began


def test_a_job_that_depends_on_an_archived_canceled_one_is_canceled(held):
    parent = held.submit(op())
    held.queue.cancel(parent).result(PATIENCE)
    assert held.queue.archive(parent).result(PATIENCE)
    held.queue.start()
    assert held.wait(held.submit(op(depends=[[parent, []]]))).status == "canceled"
    assert held.wait(held.submit(op(depends=[[parent, ["canceled"]]]))).status == "success"


def test_one_canceled_dependency_of_two_is_enough(held):
    parent, other = held.submit(op()), held.submit(op())
    child = held.submit(op(depends=[[other, []], [parent, []]]))
    held.queue.cancel(parent).result(PATIENCE)
    held.queue.start()
    assert held.wait(child).status == "canceled" and child not in held.began


def test_jobs_of_one_submission_are_canceled_with_the_first(held):
    parent = held.submit(op())
    chain = [[op(depends=[[parent, []]])], [op(depends=[[-1, []]])]]
    ids = held.queue.submit_once(chain).result(PATIENCE).ids
    held.queue.cancel(ids[0]).result(PATIENCE)
    held.queue.start()
    assert held.wait(ids[1]).status == "canceled" and held.wait(parent).status == "success"


def test_a_job_that_depends_on_a_rejected_one_is_canceled(scene):
    scene.queue.put_filter(None, 1, [["reason", ["=", "reason", "no"]]], "REJECT", [])
    rejected = scene.submit(op(reason=[["gnt:user", "no", 1]]))
    assert scene.wait(rejected).status == "canceled"
    assert scene.wait(scene.submit(op(depends=[[rejected, []]]))).status == "canceled"


def test_a_dependency_holds_over_a_restart(held):
    parent = held.submit(op())
    child = held.submit(op(depends=[[parent, []]]))
    held.queue.cancel(parent).result(PATIENCE)
    held.open()
    held.queue.start()
    assert held.wait(child).status == "canceled"


@pytest.mark.parametrize("target", [999, 1])
def test_a_dependency_on_no_job_or_itself_is_an_error(scene, target):
    job = scene.wait(scene.submit(op(depends=[[target, []]])))
    assert job.ops[0].result == ["OpExecError", [f"Dependency error: Job {target} not found"]]


def test_jobs_that_depend_on_each_other_do_not_wait_for_ever(held):
    first = held.submit(op(depends=[[2, []]]))
    second = held.submit(op(depends=[[1, []]]))
    held.queue.start()
    assert "Job 2 not found" in held.wait(first).ops[0].result[1][0]
    assert held.wait(second).status == "success"


def test_a_dependency_that_is_stored_and_not_yet_scheduled_is_waited_for(scene):
    late = scene.store.write(
        lambda connection: rows.insert(connection, [op()], RequestContext(), Moment(1.0))
    ).result(PATIENCE)
    second = scene.submit(op(depends=[[late.id, ["success"]]]))
    scene.wait(scene.submit(op()))  # so the dispatcher has seen it
    assert scene.queue.waiting_for(second)[0]["jobs"] == [late.id]
    scene.queue._scheduler.add(late)
    assert scene.wait(second).status == "success"


def test_a_relative_dependency_below_the_first_job_is_refused(scene):
    with pytest.raises(errors.GenericError, match="leads to no job"):
        scene.submit(op(depends=[[-5, []]]))


# -- cancel -----------------------------------------------------------------------------


def test_a_queued_job_is_canceled_at_once(held):
    job_id = held.submit(op(), op())
    assert held.queue.cancel(job_id).result(PATIENCE) == (True, f"Job {job_id} canceled")
    job = held.queue.job(job_id)
    assert job.status == "canceled" and job.end_ts is not None
    assert {str(item.result) for item in job.ops} == {"Job canceled by request"}


def test_a_job_that_waits_for_a_lock_is_canceled_and_leaves_the_queue(scene):
    scene.submit(op(hold=True, lock="web"))
    second, third = scene.submit(op(lock="web")), scene.submit(op(lock="web"))
    scene.reach(second, "waiting")
    assert scene.queue.cancel(second).result(PATIENCE)[0]
    scene.let_go.set()
    assert scene.wait(third).status == "success" and second not in scene.began


def test_a_running_job_stops_at_a_safe_point(scene):
    job_id = scene.submit(op(hold=True))
    scene.reach(job_id, "running")
    done, text = scene.queue.cancel(job_id).result(PATIENCE)
    assert done and "will be canceled" in text
    assert scene.wait(job_id).status == "canceled"


def test_a_finished_or_unknown_job_cannot_be_canceled(scene):
    job_id = scene.submit(op())
    scene.wait(job_id)
    for number in (job_id, 999):
        assert scene.queue.cancel(number).result(PATIENCE) == (
            False,
            f"Job {number} not found in queue",
        )


def test_a_cancel_that_meets_the_start_is_answered(held, monkeypatch):
    scheduler, job_id = held.queue._scheduler, held.submit(op(hold=True))

    def late(entry, *arguments):
        monkeypatch.undo()
        held.queue.start()
        held.reach(job_id, "running")
        return scheduler._end(entry, *arguments)

    monkeypatch.setattr(scheduler, "_end", late)
    done, text = held.queue.cancel(job_id).result(PATIENCE)
    assert done and "will be canceled" in text
    assert held.wait(job_id).status == "canceled"


def test_a_job_told_to_stop_does_not_begin_its_next_opcode(held):
    job_id = held.submit(op(lock="web"), op())
    held.queue._scheduler._scheduled[job_id].cancel.set()
    held.queue.start()
    assert held.wait(job_id).status == "canceled" and held.began == []


# -- a disk that refuses --------------------------------------------------------------------


def test_a_cancel_that_cannot_be_stored_holds_as_long_as_the_master_lives(held, monkeypatch):
    job_id = held.submit(op())
    held.refuse(3)
    done, text = held.queue.cancel(job_id).result(PATIENCE)
    assert done and "as soon as the disk takes it" in text
    assert held.queue.job(job_id).status == "queued"
    assert held.queue.waiting_for(job_id) == [
        {"kind": "limit", "name": "disk", "mode": None, "jobs": []}
    ]
    monkeypatch.setattr(held.queue._scheduler._stopping, "wait", lambda seconds: None)
    held.queue.start()
    assert held.wait(job_id).status == "canceled" and held.began == []


def test_an_end_that_is_refused_is_tried_again_but_not_without_pause(held, monkeypatch):
    pauses = []
    monkeypatch.setattr(held.queue._scheduler._stopping, "wait", pauses.append)
    job_id = held.submit(op(refused=True))
    held.refuse(3)
    held.queue.start()
    assert held.wait(job_id).status == "error" and pauses == [store.STORE_RETRY] * 3


def test_refused_begin_and_end_are_tried_again_and_nothing_runs_twice(scene, monkeypatch):
    monkeypatch.setattr(store, "STORE_RETRY", 0)
    job_id = scene.submit(op(hold=True))
    scene.reach(job_id, "running")
    scene.refuse(3)
    scene.let_go.set()
    assert scene.wait(job_id).status == "success" and scene.began == [job_id]
