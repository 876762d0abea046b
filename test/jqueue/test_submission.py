"""Submissions that arrive together share a commit, and each has its own answer."""

import logging
import threading

import pytest

from ganeti import errors
from ganeti.jqueue import rows
from ganeti.luxi import RequestContext
from support.jqueue import PATIENCE, QueueScene, op

JOB = RequestContext("admin", "r")


@pytest.fixture
def scene(tmp_path):
    made = QueueScene(str(tmp_path / "master.db"))
    yield made
    made.close()


def together(scene, *submissions):
    """Submit while the writer is busy, so that one commit has all of it; return the futures."""
    hold = threading.Event()
    scene.store.write(lambda connection: hold.wait(PATIENCE))
    futures = [scene.queue.submit_once(jobs, context) for jobs, context in submissions]
    hold.set()
    return futures


def test_numbers_rise_in_the_order_of_arrival_over_many_rows(scene):
    futures = together(scene, *[([[op()] * (number % 3), [op()]], JOB) for number in range(50)])
    ids = [number for future in futures for number in future.result(PATIENCE).ids]
    assert ids == list(range(1, 101))
    assert [len(job.ops) for job in rows.load(scene.store, ids[:6], archived=True)] == [
        0,
        1,
        1,
        1,
        2,
        1,
    ]


def test_a_refused_submission_takes_no_id_and_no_other_with_it(scene):
    first, wrong, last = together(
        scene, ([[op()]], JOB), ([[op()], [op(depends=[[-9, []]])]], JOB), ([[op()]], JOB)
    )
    assert (first.result(PATIENCE).ids, last.result(PATIENCE).ids) == ([1], [2])
    with pytest.raises(errors.GenericError, match="leads to no job"):
        wrong.result(PATIENCE)


def test_one_key_twice_in_one_commit_is_one_job(scene):
    keyed, other = (RequestContext("admin", "r", "k", digest) for digest in ("d", "e"))
    futures = together(scene, ([[op()]], keyed), ([[op()]], keyed), ([[op()]], other))
    assert futures[0].result(PATIENCE) == ([1], False)
    assert futures[1].result(PATIENCE) == ([1], True)
    with pytest.raises(errors.IdempotencyConflict):
        futures[2].result(PATIENCE)


@pytest.mark.parametrize("refusals", [1, 2])
def test_a_disk_that_refuses_acknowledges_none_and_takes_the_next(scene, refusals):
    scene.refuse(refusals)
    for _ in range(refusals):
        with pytest.raises(errors.JobQueueUnavailable):
            scene.queue.submit_once([[op()]], JOB).result(PATIENCE)
    assert scene.queue.submit_once([[op()]], JOB).result(PATIENCE).ids == [1]


def test_a_commit_that_fails_acknowledges_none_of_it(scene, monkeypatch):
    def fail(connection, jobs):
        raise OSError("no space")

    with monkeypatch.context() as patch:
        patch.setattr("ganeti.jqueue.rows.insert_all", fail)
        for future in together(scene, ([[op()]], JOB), ([[op()]], JOB)):
            with pytest.raises(errors.JobQueueUnavailable, match="no space"):
                future.result(PATIENCE)
    assert scene.queue.submit_once([[op()]], JOB).result(PATIENCE).ids == [1]


def test_the_log_names_accepted_jobs_and_their_users(scene, caplog):
    caplog.set_level(logging.INFO)
    for future in together(scene, ([[op()]], JOB), ([[op()]], RequestContext())):
        future.result(PATIENCE)
    scene.store.write(lambda connection: None).result(PATIENCE)
    assert (
        "Job 1 of admin (request r) accepted: TEST_DELAY(1.0); Job 2 accepted: TEST_DELAY(1.0)"
    ) in caplog.text


def test_a_key_whose_first_submission_was_refused_names_the_next_one(scene):
    wrong, right = (RequestContext("admin", "r", "k", digest) for digest in ("wrong", "right"))
    futures = together(
        scene, ([[op(depends=[[-9, []]])]], wrong), ([[op()]], right), ([[op()]], right)
    )
    with pytest.raises(errors.GenericError):
        futures[0].result(PATIENCE)
    assert [future.result(PATIENCE) for future in futures[1:]] == [([1], False), ([1], True)]
