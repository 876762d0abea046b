"""Reading stored jobs, whole and damaged ones."""

import pytest

from ganeti.constants import JOB_FINAL, JobStatus
from ganeti.db import schema
from ganeti.jqueue import rows
from ganeti.jqueue.job import Moment
from ganeti.luxi import RequestContext
from support.jqueue import PATIENCE, QueueScene, op


@pytest.fixture
def scene(tmp_path):
    made = QueueScene(str(tmp_path / "master.db"))
    yield made
    made.close()


def change(scene, sql):
    scene.store.write(lambda connection: connection.execute(sql)).result(PATIENCE)


def test_a_line_of_a_log_that_is_damaged_says_so(scene):
    scene.queue.start()
    job_id = scene.submit(op())
    scene.wait(job_id)
    change(scene, "UPDATE job_log SET text = '\"something else\"'")
    (job,) = rows.load(scene.store, [job_id], archived=True)
    assert job.status == "success"
    assert job.ops[0].log == [(1, (0, 0), "message", "(this line of the log is damaged)")]


def test_a_damaged_switch_has_its_default(scene):
    scene.queue.set_drained(True).result(PATIENCE)
    change(scene, "UPDATE cluster_value SET value = 'frue' WHERE name = 'queue.drained'")
    with scene.store.read() as connection:
        assert rows.value(connection, "drained", False) is False


def test_an_unknown_status_counts_as_error(scene):
    job_id = scene.submit(op())
    change(scene, "UPDATE job_job SET status = 'quuued'")
    with scene.store.read() as connection:
        assert rows.status(connection, job_id) == "error"
    assert rows.load_live(scene.store)[0].damaged


def test_the_newest_job_of_a_key_counts_if_it_is_not_too_old(scene):
    context = RequestContext("admin", None, "key", "digest")
    for served in (10, 20):
        scene.store.write(
            lambda connection, served=served: rows.insert(
                connection, [op()], context, Moment(0.0, served)
            )
        ).result(PATIENCE)
    with scene.store.read() as connection:
        assert rows.find_key(connection, context, 15) == (2, "digest")
        assert rows.find_key(connection, context, 21) is None
        assert rows.find_key(connection, RequestContext("x", None, "key"), 0) is None


def test_service_seconds_are_those_of_the_last_stored_moment(scene):
    with scene.store.read() as connection:
        assert rows.service_seconds(connection) == 0
        scene.store.write(
            lambda writer: rows.insert(writer, [op()], RequestContext(), Moment(0.0, 40))
        ).result(PATIENCE)
        assert rows.service_seconds(connection) == 40
        scene.store.write(lambda writer: rows.set_value(writer, "served", 50)).result(PATIENCE)
        assert rows.service_seconds(connection) == 50


@pytest.mark.parametrize(
    "table, row",
    [("job_job", rows.StoredJob), ("job_op", rows.StoredOp), ("job_log", rows.StoredLine)],
)
def test_rows_have_the_columns_of_their_table(table, row):
    assert row._fields == (*schema.COLUMNS[table], "sum")


@pytest.mark.parametrize(
    "condition, index",
    [
        (rows.IS_UNFINISHED, "job_job_live"),
        (f"archived = 0 AND {rows.IS_FINAL} AND end_served > 0", "job_job_ended"),
    ],
)
def test_conditions_of_statuses_use_their_index(scene, condition, index):
    with scene.store.read() as connection:
        plan = connection.execute(
            f"EXPLAIN QUERY PLAN SELECT id FROM job_job WHERE {condition}"
        ).fetchall()
    assert index in plan[0][3]


def test_conditions_of_statuses_know_all_statuses(scene):
    with scene.store.read() as connection:
        for status in JobStatus:
            (found,) = connection.execute(
                f"SELECT {rows.IS_FINAL}, {rows.IS_UNFINISHED} FROM (SELECT ? AS status)", (status,)
            ).fetchall()
            assert found == (status in JOB_FINAL, status not in JOB_FINAL)
