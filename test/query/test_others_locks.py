"""Fields of locks."""

import pytest

from ganeti.locking import Level, exclusive, shared
from support.query import QueryScene

FIELDS = ["name", "mode", "owner", "pending"]


@pytest.fixture
def scene(tmp_path):
    made = QueryScene(tmp_path)
    yield made
    made.close()


def test_a_lock_that_nobody_wants_does_not_exist(scene):
    assert scene.data("lock", FIELDS) == []
    assert scene.data("lock", FIELDS, ["==", "name", "instance/web"]) == []


def test_a_lock_shows_its_holders_and_waiters(scene):
    def ask(job, want):
        return scene.locks.request(f"job/{job}", [want], 0, lambda: None)

    assert ask(7, shared(Level.NODE, "node1")) and ask(8, shared(Level.NODE, "node1"))
    assert not ask(9, exclusive(Level.NODE, "node1"))
    assert ask(10, exclusive(Level.INSTANCE, "web"))
    assert scene.data("lock", FIELDS) == [
        [[0, "instance/web"], [0, "exclusive"], [0, ["10"]], [0, []]],
        [[0, "node/node1"], [0, "shared"], [0, ["7", "8"]], [0, [["exclusive", ["9"]]]]],
    ]
    assert scene.names("lock", ["|", ["==", "name", "node/node1"], ["==", "name", "x"]]) == [
        "node/node1"
    ]
    assert scene.names("lock", ["=[]", "owner", "10"]) == ["instance/web"]
