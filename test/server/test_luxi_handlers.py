"""Every LUXI call, through the master's socket."""

import logging
import time

import pytest

from ganeti import errors, luxi, opcodes
from ganeti.luxi import RequestContext
from ganeti.server import luxi_handlers, luxi_server
from support.master import MasterScene

DELAY = opcodes.OpTestDelay(duration=0.001).to_wire()


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    made = MasterScene(tmp_path_factory.mktemp("calls"))
    yield made
    made.close()


def test_every_call_has_an_answer():
    carried_out = [*luxi_handlers.READS, *luxi_server.CHANGES, luxi.WaitForJobChange]
    assert sorted(carried_out, key=str) == sorted(luxi.CALLS.values(), key=str)


def test_many_jobs_get_following_ids(scene):
    (first, one), (second, two) = scene.call(luxi.SubmitManyJobs([[DELAY], [DELAY]]))
    assert first is second is True and two == one + 1
    assert scene.call(luxi.SubmitManyJobs([])) == []


@pytest.mark.parametrize(
    "op, code",
    [
        ({**DELAY, "bogus": 1}, "wrong_input"),
        ({**DELAY, "duration": "x"}, "wrong_input"),
        ({"OP_ID": "OP_TEST_DELAY"}, "wrong_input"),
        ({"OP_ID": "OP_INSTANCE_MIGRATE", "instance_name": "x"}, "environment_error"),
    ],
)
def test_a_wrong_opcode_rejects_the_whole_submission(scene, op, code):
    before = len(scene.queue.jobs())
    for call in (luxi.SubmitJob([op]), luxi.SubmitManyJobs([[DELAY], [op]])):
        with pytest.raises(errors.OpPrereqError) as caught:
            scene.call(call)
        assert caught.value.code == code
    assert len(scene.queue.jobs()) == before


@pytest.mark.parametrize("op_id", ["OP_NOSUCH", ["OP_NOSUCH"], {"OP_NOSUCH": 1}, 3, None])
def test_an_unknown_opcode_is_refused(scene, op_id):
    with pytest.raises(errors.OpCodeUnknown, match="unknown opcode"):
        scene.call(luxi.SubmitJob([{"OP_ID": op_id}]))


def test_a_job_id_with_blanks_is_that_job(scene):
    job = scene.call(luxi.SubmitJob([DELAY]))
    scene.wait(job)
    assert scene.call(luxi.QueryJobs([f" {job}"], ["id"])) == [[job]]
    assert scene.call(luxi.CancelJob(f"\t{job} ")) == [False, f"Job {job} not found in queue"]
    assert scene.call(luxi.ArchiveJob(f"{job}\n")) is True


def test_a_kill_is_a_cancellation(scene, caplog):
    caplog.set_level(logging.INFO)
    waiting = {**DELAY, "duration": 600.0}
    job = scene.call(luxi.SubmitJob([waiting]))
    done, text = scene.call(luxi.CancelJob(f" {job}", True))
    assert done and "cancel" in text
    assert scene.queue.job(job).status in ("canceling", "canceled")
    assert f"kill job {job}" in caplog.text


def test_the_log_shows_the_beginning_of_what_a_client_sent(scene, caplog):
    caplog.set_level(logging.INFO)
    with pytest.raises(errors.GenericError):
        scene.call(luxi.DeleteFilter("x" * 2_000_000))
    scene.call(luxi.ArchiveJob(" " * 2_000_000 + "1"))
    assert "archive job 1" in caplog.text and len(caplog.text) < 2000


def test_a_drained_queue_refuses_jobs_but_those_for_it(scene):
    assert scene.call(luxi.SetDrainFlag(True)) is True
    assert scene.call(luxi.QueryConfigValues(["drain_flag"])) == [True]
    with pytest.raises(errors.JobQueueDrainError):
        scene.call(luxi.SubmitJob([DELAY]))
    scene.wait(scene.call(luxi.SubmitJobToDrainedQueue([DELAY])))
    for _ in range(2):
        assert scene.call(luxi.SetDrainFlag(False)) is True
    scene.wait(scene.call(luxi.SubmitJob([DELAY])))


def test_the_log_says_who_asked_for_what_no_job_does(scene, caplog):
    caplog.set_level("INFO")
    who = RequestContext("jane", "r7")
    job = scene.call(luxi.SubmitJob([DELAY]))
    scene.wait(job)
    luxi_server.CHANGES[luxi.CancelJob](scene.queue, luxi.CancelJob(job), who)
    assert f"Call of jane (request r7): cancel job {job}" in caplog.text


def test_job_filters_are_put_read_and_deleted(scene):
    tree = ["==", "OP_ID", "OP_X"]
    uuid = scene.call(luxi.ReplaceFilter(None, 3, [["opcode", tree]], "REJECT", []))
    (row,) = scene.call(luxi.QueryFilters([uuid], ["uuid", "priority", "predicates", "action"]))
    assert row == [uuid, 3, [["opcode", tree]], "REJECT"]
    assert scene.call(luxi.QueryFilters(["x"], ["uuid"])) == []
    assert scene.call(luxi.DeleteFilter(uuid)) is None
    assert scene.call(luxi.QueryFilters(None, ["uuid"])) == []


def test_the_watcher_pause_is_set_and_removed(scene):
    until = float(int(time.time()) + 3600)
    assert scene.call(luxi.SetWatcherPause(until)) == until
    assert scene.call(luxi.QueryConfigValues(["watcher_pause"])) == [int(until)]
    assert scene.call(luxi.SetWatcherPause(None)) is None
    assert scene.call(luxi.QueryConfigValues(["watcher_pause"])) == [None]


def test_jobs_are_read_canceled_and_archived(scene):
    job_id = scene.submit(opcodes.OpTestDelay(duration=0.001))
    scene.wait(job_id)
    assert scene.call(luxi.QueryJobs([job_id, 999999], ["id", "status"])) == [
        [job_id, "success"],
        [999999, None],
    ]
    assert [job_id, "success"] in scene.call(luxi.QueryJobs(None, ["id", "status"]))
    assert scene.call(luxi.CancelJob(str(job_id)))[0] is False
    assert scene.call(luxi.ChangeJobPriority(job_id, -10))[0] is False
    assert scene.call(luxi.ArchiveJob(job_id)) is True
    assert scene.call(luxi.ArchiveJob(job_id)) is False
    assert scene.call(luxi.AutoArchiveJobs(-1, 60))[1] == 0
    with pytest.raises(errors.GenericError):
        scene.call(luxi.PickupJob(job_id))


def test_queries_answer_with_the_configuration(scene):
    rows = scene.call(luxi.Query("node", ["name"], None))["data"]
    assert [[[0, f"node{number}.example.com"]] for number in (1, 2, 3)] == rows
    assert scene.call(luxi.QueryFields("lock", None))["fields"][0]["name"]
    assert scene.call(luxi.QueryNodes([], ["name"], False))[0] == ["node1.example.com"]
    assert scene.call(luxi.QueryGroups(["default"], ["node_cnt"], False)) == [[3]]
    assert scene.call(luxi.QueryInstances(["nosuch"], ["name"], False)) == []
    assert scene.call(luxi.QueryNetworks([], ["name"], False)) == []
    assert scene.call(luxi.QueryFilters(None, ["uuid"])) == []
    assert scene.call(luxi.QueryExports([], False)) == [
        [f"node{number}.example.com", None] for number in (1, 2, 3)
    ]
    assert scene.call(luxi.QueryClusterInfo())["name"] == "cluster.example.com"
    assert scene.call(luxi.QueryTags("cluster", "")) == []


@pytest.mark.parametrize(
    "call",
    [
        luxi.QueryNodes([], ["name"], True),
        luxi.QueryExports([], True),
        luxi.QueryExports(["nosuch"], False),
        luxi.QueryFilters(["x"], ["bogus"]),
        luxi.DeleteFilter("x"),
        luxi.ReplaceFilter("x", 0, [], "PAUSE", []),
        luxi.QueryTags("node", "nosuch"),
        luxi.QueryNodes([], ["nosuch"], False),
        luxi.ChangeJobPriority(1, 100),
    ],
)
def test_invalid_calls_are_refused(scene, call):
    with pytest.raises(errors.GenericError):
        scene.call(call)
