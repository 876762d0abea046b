"""Pages of jobs: their content, their order, and the number of jobs on all of them."""

import pytest

from ganeti.jqueue.listing import JobPage
from support.jqueue import PATIENCE, QueueScene, op


@pytest.fixture
def scene(tmp_path):
    """Yield a queue with jobs 1 success (archived), 2 error, 3 success, 4 and 5 queued.

    They were received a second apart.
    """
    made = QueueScene(str(tmp_path / "master.db"))
    made.queue.start()
    for fail in (False, True, False):
        made.wait(made.submit(op(fail=fail)))
        made.now += 1
    made.queue.archive(1).result(PATIENCE)
    made.queue.stop(PATIENCE)
    made.open()
    for _ in range(2):
        made.submit(op())
        made.now += 1
    yield made
    made.close()


def ask(scene, **words):
    heads, total = scene.queue.heads(JobPage(**words))
    return [head.id for head in heads], total


@pytest.mark.parametrize(
    "words, ids, total",
    [
        ({}, [2, 3, 4, 5], 4),
        ({"archived": True}, [1, 2, 3, 4, 5], 5),
        ({"descending": True, "limit": 2}, [5, 4], 4),
        ({"after": 3}, [4, 5], 4),
        ({"after": 4, "descending": True, "limit": 1}, [3], 4),
        ({"status": frozenset(["success"]), "archived": True}, [1, 3], 2),
        ({"status": frozenset(["queued", "error"]), "limit": 2}, [2, 4], 3),
        ({"since_us": 1_000_002_000_000, "archived": True}, [3, 4, 5], 3),
        ({"status": frozenset(["canceled"]), "limit": 9}, [], 0),
    ],
)
def test_a_page_has_the_matching_jobs_in_its_order(scene, words, ids, total):
    assert ask(scene, **words) == (ids, total)


def test_a_head_agrees_with_its_job(scene):
    heads, _ = scene.queue.heads(JobPage())
    for head in heads:
        job = scene.queue.job(head.id)
        for name in ("status", "received_ts", "start_ts", "end_ts", "archived"):
            assert getattr(head, name) == getattr(job, name), (head.id, name)
        assert head.context.user == job.context.user == "admin"
