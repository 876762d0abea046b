"""The queue as clients see it: submitting, following, canceling, archiving, restarting."""

import threading

import pytest

from ganeti import errors
from ganeti.db import schema
from ganeti.jqueue.job import Job
from ganeti.jqueue.queue import JobQueue
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


def test_an_empty_job_has_succeeded(scene):
    job = scene.queue.job(scene.submit())
    assert job.status == "success" and job.ops == [] and job.end_ts is None


def test_a_priority_out_of_range_is_refused(scene):
    with pytest.raises(errors.OpPrereqError, match="100"):
        scene.queue.change_priority(1, 100)
    assert scene.queue.change_priority(99, 0).result(PATIENCE) == (
        False,
        "Job 99 not found in queue",
    )


# -- settings and refusals ------------------------------------------------------


def test_a_drained_queue_takes_no_jobs_until_it_is_opened(scene):
    assert scene.queue.set_drained(True).result(PATIENCE) is True
    with pytest.raises(errors.JobQueueDrainError):
        scene.submit(op())
    assert scene.wait(scene.submit(op(), to_drained=True)).status == "success"
    assert JobQueue(scene.store, scene.begin).drained
    scene.queue.set_drained(False).result(PATIENCE)
    scene.submit(op())


def test_a_full_queue_says_so(held):
    for _ in range(50):
        held.submit(op())
    with pytest.raises(errors.JobQueueFull, match="50"):
        held.submit(op())


def test_a_disk_that_refuses_is_no_acceptance(held):
    held.refuse(2)
    with pytest.raises(errors.JobQueueUnavailable, match="disk full"):
        held.submit(op())
    with pytest.raises(errors.JobQueueUnavailable):
        held.queue.archive(1).result(PATIENCE)


# -- keys -----------------------------------------------------------------------------------


def once(scene, key="k", digest="d", user="admin", work=None):
    accepted = scene.queue.submit_once([[op(work)]], RequestContext(user, "r", key, digest)).result(
        PATIENCE
    )
    return accepted.ids[0], accepted.replayed


def test_one_key_of_one_user_is_one_job(held):
    assert once(held) == (1, False)
    assert once(held) == (1, True)
    assert once(held, user="other") == (2, False) and once(held, key="l") == (3, False)
    assert once(held, user=None) == (4, False) and once(held, user=None) == (4, True)


def test_one_key_is_one_job_also_when_both_arrive_together(held):
    hold = threading.Event()
    held.store.write(lambda connection: hold.wait(PATIENCE))
    context = RequestContext("admin", "r", "k", "d")
    both = [held.queue.submit_once([[op()]], context) for _ in range(2)]
    hold.set()
    assert [future.result(PATIENCE) for future in both] == [([1], False), ([1], True)]


def test_the_same_key_with_another_request_is_refused(held):
    once(held)
    with pytest.raises(errors.IdempotencyConflict):
        once(held, digest="other")


def test_a_key_holds_for_a_day_also_over_a_restart_and_whatever_the_wall_clock_says(held):
    once(held)
    held.now += 10**6
    held.uptime += 86400 - 10
    held.queue.store_service_seconds()
    held.store.write(lambda connection: None).result(PATIENCE)
    held.uptime = 0.0
    held.open()
    assert once(held) == (1, True)
    held.uptime += 11
    assert once(held) == (2, False) and once(held) == (2, True)


def test_a_replay_is_answered_though_nothing_is_accepted(held):
    once(held)
    held.queue.set_drained(True).result(PATIENCE)
    assert once(held) == (1, True)
    with pytest.raises(errors.JobQueueDrainError):
        once(held, key="new")


# -- archive --------------------------------------------------------------------------------


def test_archived_jobs_are_out_of_the_list_but_not_lost(scene):
    job_id = scene.submit(op())
    scene.wait(job_id)
    assert scene.queue.archive(job_id).result(PATIENCE) is True
    assert scene.queue.archive(job_id).result(PATIENCE) is False
    assert scene.queue.jobs() == [] and scene.queue.job(job_id).archived
    assert [job.id for job in scene.queue.jobs(archived=True)] == [job_id]


def test_auto_archive_goes_by_age(scene):
    old = scene.submit(op())
    scene.wait(old)
    scene.now += 100
    scene.uptime += 100
    young = scene.submit(op())
    scene.wait(young)
    assert scene.queue.auto_archive(50, 10) == (1, 0)
    assert [job.id for job in scene.queue.jobs()] == [young]
    assert scene.queue.auto_archive(-1, 0) == (0, 1)
    assert scene.queue.auto_archive(-1, 10) == (1, 0)


@pytest.mark.parametrize("step", [86400 * 365, -86400 * 365])
def test_a_wall_clock_that_jumps_archives_nothing_early_and_blocks_nothing(scene, step):
    first = scene.submit(op())
    scene.wait(first)
    scene.now += step
    assert scene.queue.auto_archive(50, 10) == (0, 0)
    scene.wait(scene.submit(op(depends=[[first, ["success"]]])))
    scene.uptime += 52
    assert scene.queue.auto_archive(50, 10) == (2, 0)


def test_nothing_is_archived_a_fraction_of_a_second_early(scene):
    scene.uptime += 0.8
    scene.wait(scene.submit(op()))
    scene.uptime += 59.5
    assert scene.queue.auto_archive(60, 10) == (0, 0)
    scene.uptime += 2
    assert scene.queue.auto_archive(60, 10) == (1, 0)


def test_the_age_of_a_job_goes_on_where_the_last_master_left_it(scene):
    job_id = scene.submit(op())
    scene.wait(job_id)
    scene.uptime += 40
    scene.queue.store_service_seconds()
    scene.store.write(lambda connection: None).result(PATIENCE)
    scene.uptime = 3.0  # the machine was rebooted
    scene.open()
    assert scene.queue.auto_archive(41, 10) == (0, 0)
    scene.uptime += 2
    assert scene.queue.auto_archive(41, 10) == (1, 0) and scene.queue.job(job_id).archived


def test_live_and_unknown_jobs_are_not_archived(held):
    assert held.queue.archive(held.submit(op())).result(PATIENCE) is False
    assert held.queue.archive(999).result(PATIENCE) is False
    assert held.queue.job(999) is None


# -- restarts ------------------------------------------------------------------


def test_queued_jobs_run_after_a_restart_and_ids_go_on(held):
    first = held.submit(op(), op(fail=True))
    held.open()
    held.queue.start()
    assert held.wait(first).ops[0].status == "success"
    assert held.submit(op()) == first + 1


def test_a_started_job_ends_in_error_and_says_why(scene):
    job_id = scene.submit(op(hold=True), op())
    scene.reach(job_id, "running")
    began = threading.Event()
    scene.store.write(lambda connection: began.set()).result(PATIENCE)
    scene.queue._scheduler._stopping.set()  # so that the old master writes nothing more
    reborn = QueueScene.__new__(QueueScene)
    reborn.__dict__.update(scene.__dict__)
    QueueScene.open(reborn)
    job = reborn.queue.job(job_id)
    assert job.status == "error" and "was not run again" in job.ops[0].result[1][0]
    assert job.ops[1].result == ["OpExecError", ["Preceding opcode failed"]]
    assert [opcode.comment for opcode in reborn.interrupted] == [Work(hold=True).comment]


def spoil(scene, job_id, text):
    scene.store.write(
        lambda connection: connection.execute(
            "UPDATE job_op SET op = ? WHERE job_id = ?", (text, job_id)
        )
    ).result(PATIENCE)
    seal(scene)


def seal(scene):
    """Give changed rows valid checksums, as a program that wrote them would."""
    scene.store.write(
        lambda connection: connection.execute(schema.update_sums("job_op", "1"))
    ).result(PATIENCE)


@pytest.mark.parametrize(
    "text",
    ["[]", '{"OP_ID": "OP_NOSUCH", "password": "x"}', '{"OP_ID": "OP_TEST_DELAY", "gone": 1}'],
)
def test_a_job_that_cannot_be_read_ends_in_error_and_stops_nobody(held, text):
    broken, other = held.submit(op()), held.submit(op())
    spoil(held, broken, text)
    held.open()
    held.queue.start()
    assert held.wait(other).status == "success"
    job = held.queue.job(broken)
    assert job.status == "error" and "cannot read" in job.ops[0].result[1][0]
    assert job.ops[0].view.keys() == {"OP_ID"} and held.interrupted == []


def test_a_job_whose_rerun_safety_is_unknown_ends_in_error(held, monkeypatch):
    job_id = held.submit(op(safe=True))
    held.store.write(
        lambda connection: connection.execute("UPDATE job_op SET status = 'running'")
    ).result(PATIENCE)
    seal(held)
    monkeypatch.setattr(held, "rerun_safe", lambda opcode: 1 / 0)
    held.open()
    assert held.queue.job(job_id).status == "error"


def test_unreadable_opcodes_can_be_shown(scene):
    job_id = scene.submit(op())
    scene.wait(job_id)
    spoil(scene, job_id, '{"OP_ID": "OP_TEST_DELAY", "deep": ' + "[" * 40 + "]" * 40 + "}")
    assert scene.queue.job(job_id).ops[0].view["OP_ID"] == "OP_TEST_DELAY"
    spoil(scene, job_id, "no JSON")
    (job,) = scene.queue.jobs()
    assert job.id == job_id and "record of this job is damaged" in job.ops[0].result[1][0]


def test_a_job_with_a_wrong_checksum_is_shown_as_damaged(held):
    ended, queued, whole = held.submit(), held.submit(op()), held.submit(op())
    held.store.write(
        lambda connection: [
            connection.execute(sql)
            for sql in (
                f"UPDATE job_job SET received_us = 7 WHERE id = {ended}",
                f"DELETE FROM job_op WHERE job_id = {queued}",
            )
        ]
    ).result(PATIENCE)
    held.open()
    held.queue.start()
    assert held.wait(whole).status == "success"
    for number in (ended, queued):
        job = held.queue.job(number)
        assert job.status == "error" and "is damaged" in job.ops[0].result[1][0]
    assert held.began == [whole]


@pytest.mark.parametrize("number", [-1, 2**63, 10**19])
def test_an_id_out_of_range_names_no_job(scene, number):
    assert scene.queue.job(number) is None
    assert scene.queue.archive(number).result(PATIENCE) is False
    assert scene.queue.cancel(number).result(PATIENCE)[0] is False
    assert scene.queue.change_priority(number, 0).result(PATIENCE)[0] is False
    assert scene.queue.auto_archive(1e300, 10) == (0, 0)


# -- answers are durable -----------------------------------------------------------------


def test_a_changed_priority_is_known_after_a_restart(held):
    job_id = held.submit(op(), op())
    assert held.queue.change_priority(job_id, -7).result(PATIENCE)[0]
    held.open()
    assert [item.priority for item in held.queue.job(job_id).ops] == [-7, -7]


def test_a_priority_that_the_disk_refuses_is_not_changed(held):
    job_id = held.submit(op())
    held.refuse(1)
    with pytest.raises(errors.JobQueueUnavailable):
        held.queue.change_priority(job_id, -7).result(PATIENCE)
    assert held.queue.job(job_id).priority == 0


def test_a_priority_changed_while_an_opcode_ends_holds_for_the_next(scene, monkeypatch):
    def adopt(job, draft, first):
        if not moved:
            moved.append(scene.queue._scheduler.change_priority(job.id, -7)[0])
        real(job, draft, first)

    moved, real = [], Job.publish
    monkeypatch.setattr(Job, "publish", adopt)
    job_id = scene.submit(op(), op())
    assert scene.wait(job_id).ops[1].priority == -7 and moved == [True]


def test_jobs_are_scheduled_by_the_thread_that_numbered_them(held, monkeypatch):
    def enqueue(change, done):
        finished = threading.Event()
        real(change, lambda *outcome: (done(*outcome), finished.set()))
        assert finished.wait(PATIENCE)  # so that the submitting thread is late

    names, real = [], held.store.enqueue
    monkeypatch.setattr(held.store, "enqueue", enqueue)
    monkeypatch.setattr(
        held.queue._scheduler, "add", lambda job: names.append(threading.current_thread().name)
    )
    held.submit(op())
    assert names == ["store-writer"]


def test_secrets_do_not_outlive_the_work(scene):
    from ganeti import opcodes

    job_id = scene.submit(
        opcodes.OpInstanceCreate(
            instance_name="web",
            mode="create",
            disks=[],
            nics=[],
            osparams_secret={"password": "hunter2"},
        )
    )
    scene.wait(job_id)
    with scene.store.read() as connection:
        (text,) = connection.execute("SELECT op FROM job_op WHERE job_id = ?", (job_id,)).fetchone()
    assert "hunter2" not in text and "<redacted>" in text
