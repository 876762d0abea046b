"""Jobs: rows, filters, archived jobs, and jobs that do not exist."""

import json

import pytest

from ganeti import errors
from ganeti.locking import LockManager
from ganeti.query import engine, job
from ganeti.query.engine import Sources
from support.jqueue import QueueScene, op


class JobScene(QueueScene):
    """Jobs 1 (success), 2 (error), 3 (archived), 4 (running), 5 (waits for 4)."""

    def __init__(self, path):
        super().__init__(path)
        self.queue.start()
        for fail in (False, True, False):
            self.wait(self.submit(op(fail=fail)))
        assert self.queue.archive(3).result(30)
        self.reach(self.submit(op(hold=True)), "running")
        self.submit(op(depends=[[4, []]]), op())
        self.sources = Sources(None, None, self.queue, LockManager())

    def data(self, fields, filter_=None):
        return json.loads(json.dumps(engine.run(self.sources, "job", fields, filter_)["data"]))

    def ids(self, filter_=None, *more):
        return [row[0][1] for row in self.data(["id", *more], filter_)]


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    made = JobScene(str(tmp_path_factory.mktemp("queue") / "master.db"))
    yield made
    made.let_go.set()
    made.close()


def test_archived_jobs_are_left_out(scene):
    assert scene.ids() == [1, 2, 4, 5]


def test_archived_jobs_are_shown_when_their_field_is_asked_for(scene):
    assert scene.ids(None, "archived") == [1, 2, 3, 4, 5]
    assert scene.ids(["?", "archived"]) == []
    assert scene.ids(["?", "archived"], "archived") == [3]


def test_ids_are_looked_up_in_their_order_each_once(scene):
    ids = ["|", *(["==", "id", number] for number in (4, 3, 1, 4))]
    assert scene.ids(ids) == [4, 3, 1]


@pytest.mark.parametrize("number", [99, 2**63, 10**30, -1])
def test_a_job_that_does_not_exist_has_its_id_only(scene, number):
    row = scene.data(["id", "status", "summary", "ops", "archived"], ["==", "id", number])
    assert row == [[[0, number], [3, None], [3, None], [3, None], [3, None]]]
    assert scene.ids(["&", ["==", "id", number]]) == []


@pytest.mark.parametrize(
    "filter_",
    [
        ["==", "id", "1"],
        ["|", ["==", "id", "99"]],
        ["&", ["==", "id", "1"]],
        ["<", "received_ts", "x"],
        ["=~", "summary", "x"],
        ["?", "id"],
    ],
)
def test_a_filter_that_does_not_compare_is_an_error(scene, filter_):
    with pytest.raises(errors.ParameterError):
        scene.ids(filter_)


@pytest.mark.parametrize(
    "filter_, found",
    [
        (["==", "status", "error"], [2]),
        (["|", ["==", "status", "success"], ["==", "id", 2]], [1, 2]),
        (["=[]", "summary", "TEST_DELAY(1.0)"], [1, 2, 4, 5]),
        (["=[]", "opstatus", "queued"], [5]),
        ([">=", "received_ts", 1_000_000], [1, 2, 4, 5]),
        (["<", "received_ts", 1_000_000], []),
        (["<", "end_ts", 1], [4, 5]),
        ([">", "id", 2], [4, 5]),
    ],
)
def test_a_filter_finds_the_matching_jobs(scene, filter_, found):
    assert scene.ids(filter_) == found


def test_a_finished_job_has_results_and_times(scene):
    row = scene.data(
        [
            "status",
            "priority",
            "opstatus",
            "opresult",
            "oppriority",
            "received_ts",
            "start_ts",
            "end_ts",
            "opstart",
            "opexec",
            "opend",
        ],
        ["==", "id", 2],
    )[0]
    now = [1_000_000, 0]
    assert [value for _, value in row] == [
        "error",
        0,
        ["error"],
        [["OpExecError", ["as planned"]]],
        [0],
        now,
        now,
        now,
        [now],
        [now],
        [now],
    ]


def test_a_job_shows_its_log_and_opcodes(scene):
    ops, log = (cell[1][0] for cell in scene.data(["ops", "oplog"], ["==", "id", 1])[0])
    assert ops["OP_ID"] == "OP_TEST_DELAY" and ops["duration"] == 1.0
    assert log == [[1, [1_000_000, 0], "message", "working"]]


def test_a_job_that_has_not_begun_has_no_results_and_times(scene):
    row = scene.data(
        ["status", "opstatus", "opresult", "opstart", "start_ts", "end_ts"], ["==", "id", 5]
    )[0]
    assert row == [
        [0, "queued"],
        [0, ["queued"] * 2],
        [0, [None] * 2],
        [0, [None] * 2],
        [3, None],
        [3, None],
    ]


# -- QueryJobs and WaitForJobChange -----------------------------------------------------


def rows(scene, ids, *fields):
    return job.plain_rows(scene.sources, ids, fields)


def test_rows_of_some_jobs_come_in_the_order_of_the_ids(scene):
    assert rows(scene, [2, 3, 99, 2], "id", "status") == [[2, "error"], [3, "success"], [99, None]]


def test_rows_of_all_jobs_leave_out_archived_ones_unless_asked(scene):
    assert [row[0] for row in rows(scene, None, "id")] == [1, 2, 4, 5]
    assert [row[0] for row in rows(scene, None, "id", "archived")] == [1, 2, 3, 4, 5]


def test_rows_with_an_unknown_field_are_refused(scene):
    with pytest.raises(errors.OpPrereqError, match="fields selected: bogus") as error:
        rows(scene, [1], "id", "bogus")
    assert error.value.args[1] == "wrong_input"


def test_values_of_one_job_are_plain(scene):
    found, waiting = scene.queue.job(5), scene.queue.waiting_for
    assert job.values(found, ["id", "status", "start_ts"], waiting) == [5, "queued", None]
    assert job.values(found, ["id", "bogus"], waiting) == [None, None]
    assert job.values(found, [], waiting) == []
