"""Old archived jobs are deleted, and nothing else is."""

import functools
import logging
import random

import pytest

from ganeti import errors, luxi, opcodes
from ganeti.db import files, schema
from ganeti.jqueue import id_gaps, purge, rows
from ganeti.jqueue.job import LogEntry
from ganeti.luxi import RequestContext
from ganeti.maintenance import check
from support.jqueue import PATIENCE, QueueScene, op
from support.master import MasterScene

DAY = 86400


@pytest.fixture
def scene(tmp_path):
    made = QueueScene(str(tmp_path / "master.db"))
    made.queue.start()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def slow_machine(monkeypatch):
    """Remove the time limit of a commit, so that only its number of rows ends it."""
    monkeypatch.setattr(purge, "SECONDS", PATIENCE)


@pytest.fixture
def caplog(caplog):
    caplog.set_level(logging.INFO)
    return caplog


def run(scene, count, *, archive=True):
    """Run jobs to their end and archive them; return their ids."""
    ids = [scene.submit(op()) for _ in range(count)]
    for job_id in ids:
        scene.wait(job_id)
        if archive:
            assert scene.queue.archive(job_id).result(PATIENCE)
    return ids


def numbers(scene):
    return [job.id for job in scene.queue.jobs(archived=True)]


def look(scene, function):
    with scene.store.read() as connection:
        return function(connection)


def change(scene, statement, *values):
    scene.store.write(lambda connection: connection.execute(statement, values).rowcount).result(
        PATIENCE
    )


def doubts(scene):
    """Return the findings about jobs of a check of the database."""
    connection = files.connect(scene.path)
    try:
        return [words for words in check.full(connection) if "cluster" not in words]
    finally:
        connection.close()


def test_old_archived_jobs_are_deleted(scene, caplog):
    run(scene, 4)
    scene.uptime += 5 * DAY
    run(scene, 1)
    assert scene.queue.purge(4 * DAY, PATIENCE) == 4
    assert numbers(scene) == [5] and scene.queue.job(2) is None
    assert "Deleted archived jobs: 1-4" in caplog.text
    assert look(scene, id_gaps.gaps) == [(1, 4)] and doubts(scene) == []
    for table in ("job_op", "job_log"):
        assert look(
            scene,
            lambda connection: connection.execute(
                f"SELECT DISTINCT job_id FROM {table}"
            ).fetchall(),
        ) == [(5,)]


def test_jobs_that_are_not_archived_or_not_old_stay(scene):
    run(scene, 2)
    run(scene, 1, archive=False)
    scene.uptime += 3 * DAY
    assert (
        scene.queue.purge(3 * DAY, PATIENCE) == 0
    )  # seconds are rounded down, so this may be one too few
    scene.uptime += 1
    run(scene, 2)
    assert scene.queue.purge(3 * DAY, PATIENCE) == 2
    assert numbers(scene) == [3, 4, 5]


@pytest.mark.parametrize("step", [-(10**9), -DAY, DAY, 10**9])
def test_a_wall_clock_that_jumps_deletes_nothing(scene, step):
    run(scene, 2)
    scene.now += step
    assert scene.queue.purge(DAY, PATIENCE) == 0 and numbers(scene) == [1, 2]


def test_no_id_is_given_again_and_the_newest_job_stays(scene):
    run(scene, 3)
    scene.uptime += 3 * DAY
    assert scene.queue.purge(DAY, PATIENCE) == 2 and numbers(scene) == [3]
    assert scene.queue.purge(DAY, PATIENCE) == 0
    scene.queue.stop(PATIENCE)
    scene.open()
    scene.queue.start()
    assert run(scene, 1) == [4]


def test_a_key_holds_however_short_jobs_are_kept(scene):
    context = RequestContext("admin", None, "key", "digest")
    submit = functools.partial(scene.queue.submit_once, [[op()]], context)
    (number,) = submit().result(PATIENCE).ids
    scene.wait(number)
    scene.queue.archive(number).result(PATIENCE)
    run(scene, 1)
    scene.uptime += DAY
    assert scene.queue.purge(0, PATIENCE) == 0 and submit().result(PATIENCE) == ([number], True)
    scene.uptime += 1
    run(scene, 1)
    assert scene.queue.purge(0, PATIENCE) >= 1
    assert submit().result(PATIENCE) == ([number + 3], False)


def test_a_dependency_on_a_purged_job_is_one_on_an_unknown_job(scene):
    run(scene, 2)
    scene.uptime += 3 * DAY
    scene.queue.purge(DAY, PATIENCE)
    gone, never = [scene.wait(scene.submit(op(depends=[[number, []]]))) for number in (1, 99)]
    assert gone.status == never.status == "error"
    assert "Job 1 not found" in str(gone.ops[0].result)


def test_a_job_on_which_a_live_one_depends_stays_until_that_has_ended(scene):
    run(scene, 2)
    first = scene.submit(op(hold=True))
    last = scene.submit(op(depends=[[first, []], [1, ["success"]]]))
    scene.uptime += 3 * DAY
    assert scene.queue.purge(DAY, PATIENCE) == 1 and scene.queue.job(1) is not None
    scene.let_go.set()
    assert scene.wait(last).status == "success"
    assert scene.queue.purge(DAY, PATIENCE) == 1


@pytest.mark.parametrize(
    "column, value",
    [("end_served", -5), ("archived", 1), ("status", "error"), ("received_served", 9)],
)
def test_a_job_whose_row_is_damaged_is_not_deleted(scene, column, value):
    run(scene, 1, archive=column != "archived")
    run(scene, 1)
    scene.uptime += 3 * DAY
    change(scene, f"UPDATE job_job SET {column} = ? WHERE id = 1", value)
    assert scene.queue.purge(DAY, PATIENCE) == 0 and numbers(scene) == [1, 2]


@pytest.mark.parametrize("column", ["received_served", "end_served"])
def test_a_damaged_age_does_not_make_all_jobs_old(scene, column):
    run(scene, 2, archive=False)
    change(scene, f"UPDATE job_job SET {column} = 1 << 40 WHERE id = 2")
    assert look(scene, rows.service_seconds) < 1 << 30


def test_unreadable_gaps_end_the_purge(scene):
    run(scene, 3)
    scene.uptime += 3 * DAY
    change(scene, "INSERT INTO cluster_value VALUES ('queue.gaps', '[[7, 8]]', 1)")
    with pytest.raises(errors.JobQueueError, match="damaged"):
        scene.queue.purge(DAY, PATIENCE)
    assert numbers(scene) == [1, 2, 3]


def test_a_disk_that_refuses_deletes_nothing(scene):
    run(scene, 3)
    scene.uptime += 3 * DAY
    scene.refuse(1)
    with pytest.raises(errors.JobQueueUnavailable):
        scene.queue.purge(DAY, PATIENCE)
    assert numbers(scene) == [1, 2, 3] and doubts(scene) == []


def test_a_commit_deletes_few_rows(scene, monkeypatch):
    run(scene, 6)
    monkeypatch.setattr(
        purge, "ROWS", 5
    )  # a job has three rows: its own, its opcode's and a log line's
    monkeypatch.setattr(purge, "PAGE", 4)
    batches = []
    done = purge.purge(scene.store, 10**6, lambda took: batches.append(numbers(scene)) or True)
    assert done == [1, 2, 3, 4, 5]
    assert batches == [[3, 4, 5, 6], [5, 6], [6]]


def test_a_commit_takes_one_job_when_jobs_take_long(scene, monkeypatch):
    run(scene, 4)
    monkeypatch.setattr(purge, "SECONDS", -1)
    batches = []
    purge.purge(scene.store, 10**6, lambda took: batches.append(numbers(scene)) or True)
    assert batches == [[2, 3, 4], [3, 4], [4]]


def test_a_long_log_is_deleted_from_its_end(scene, monkeypatch):
    run(scene, 2)
    scene.store.write(
        lambda connection: [
            rows.add_log(connection, 1, 0, LogEntry(serial, (1, 0), "message", "x"))
            for serial in range(1, 26)
        ]
    ).result(PATIENCE)
    monkeypatch.setattr(purge, "ROWS", 10)
    lines = []

    def go_on(took):
        lines.append(
            [
                row[0]
                for row in look(
                    scene,
                    lambda connection: connection.execute(
                        "SELECT serial FROM job_log WHERE job_id = 1 ORDER BY serial"
                    ).fetchall(),
                )
            ]
        )
        return True

    assert purge.purge(scene.store, 10**6, go_on) == [1]
    assert lines == [list(range(1, 16)), list(range(1, 6)), []]


def test_a_purge_ends_when_go_on_says_so(scene):
    run(scene, 3)
    assert purge.purge(scene.store, 10**6, lambda took: False) == [1, 2]
    run(scene, 3)
    scene.uptime += 3 * DAY
    scene.queue.stop(0)
    assert scene.queue.purge(DAY, PATIENCE) <= 3 and doubts(scene) == []


def test_where_there_are_many_gaps_only_those_beside_one_are_deleted(scene, caplog, monkeypatch):
    monkeypatch.setattr(purge, "MAX_GAPS", 2)
    run(scene, 9)
    change(scene, "UPDATE job_job SET archived = 0 WHERE id IN (2, 4, 6)")
    change(scene, schema.update_sums("job_job", "1"))
    assert purge.purge(scene.store, 10**6, lambda took: True) == [1, 3]
    assert "not deleted" in caplog.text.lower() and "3 archived jobs" in caplog.text
    change(scene, "UPDATE job_job SET archived = 1")
    change(scene, schema.update_sums("job_job", "1"))
    assert purge.purge(scene.store, 10**6, lambda took: True) == [2, 4, 5, 6, 7, 8]
    assert look(scene, id_gaps.gaps) == [(1, 8)] and doubts(scene) == []


def test_an_empty_job_is_as_old_as_its_submission(scene):
    scene.queue.archive(scene.submit()).result(PATIENCE)
    run(scene, 1)
    scene.uptime += 3 * DAY
    assert scene.queue.purge(DAY, PATIENCE) == 1


def test_pages_that_become_free_are_used_again(scene):
    size = []
    for _ in range(6):
        run(scene, 20)
        scene.uptime += 3 * DAY
        scene.queue.purge(DAY, PATIENCE)
        change(scene, "DELETE FROM cluster_value WHERE name = 'x'")
        size.append(
            look(scene, lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
        )
    assert size[-1] <= size[0] + 2


@pytest.mark.parametrize("seed", range(5))
def test_jobs_and_gaps_add_up_whatever_is_purged_in_whatever_order(scene, seed):
    dice, archived, there = random.Random(seed), set(), set()
    for _ in range(6):
        there.update(run(scene, dice.randrange(1, 6), archive=False))
        for number in dice.sample(sorted(there), dice.randrange(len(there))):
            scene.queue.archive(number).result(PATIENCE)
            archived.add(number)
        scene.uptime += 2 * DAY
        old = archived & there - {max(there)}
        assert scene.queue.purge(DAY, PATIENCE) == len(old)
        there -= old
        assert numbers(scene) == sorted(there) and doubts(scene) == []


def test_clients_see_a_purged_job_as_one_that_never_was(tmp_path):
    scene = MasterScene(tmp_path)
    try:
        for _ in range(2):
            number = scene.submit(opcodes.OpTestDelay(duration=0.0))
            scene.wait(number)
            scene.call(luxi.ArchiveJob(number))
        purge.purge(scene.store, 10**6, lambda took: True)
        answers = []
        for job_id in (1, 99):
            with pytest.raises(errors.JobLost) as caught:
                scene.call(luxi.WaitForJobChange(job_id, ["status"], None, 0, 1))
            answers.append(
                (
                    str(caught.value).replace(str(job_id), "N"),
                    scene.call(luxi.QueryJobs([job_id], ["status"])),
                )
            )
        assert answers[0] == answers[1]
    finally:
        scene.close()


def test_submissions_are_accepted_during_a_purge(scene):
    run(scene, 5)
    purge.purge(scene.store, 10**6, lambda took: scene.submit(op()) > 0)
    assert 6 in numbers(scene) and 1 not in numbers(scene) and doubts(scene) == []
