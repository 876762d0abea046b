"""Query of jobs with paging: the order of pages, and filters within them."""

import pytest

from ganeti import errors
from ganeti.locking import LockManager
from ganeti.query import job
from ganeti.query.engine import Sources
from support.jqueue import QueueScene, op


@pytest.fixture
def scene(tmp_path):
    made = QueueScene(str(tmp_path / "master.db"))
    made.queue.start()
    for fail in (False, True, False):
        made.wait(made.submit(op(fail=fail)))
    yield made
    made.close()


def ask(scene, fields, filter_=None, **paging):
    sources = Sources(None, None, scene.queue, LockManager())
    reply = job.run_page(sources, fields, filter_, paging)
    return [[cell[1] for cell in row] for row in reply.result["data"]], reply.notes["total"]


def test_a_page_comes_in_its_order(scene):
    assert ask(scene, ["id"], limit=2, descending=True) == ([[3], [2]], 3)
    assert ask(scene, ["id", "status"], status=["error"]) == ([[2, "error"]], 1)


def test_a_page_has_the_fields_that_were_asked_for(scene):
    rows, _ = ask(scene, ["id", "summary"], after=2, limit=1, descending=None)
    assert rows == [[3, ["TEST_DELAY(1.0)"]]]


def test_the_filter_holds_within_the_page(scene):
    assert ask(scene, ["id"], ["==", "status", "success"], limit=2) == ([[1]], 3)


@pytest.mark.parametrize(
    "paging, words",
    [
        ({"limit": 0}, "limit must be"),
        ({"status": ["done"]}, "no status 'done'"),
        ({"since": "now"}, "since must be"),
        ({"colour": 1}, "has no colour"),
    ],
)
def test_bad_paging_is_refused_by_name(scene, paging, words):
    with pytest.raises(errors.OpPrereqError, match=words):
        ask(scene, ["id"], **paging)
