"""The state of a kind: it stays the same until something changes."""

import pytest

from ganeti.query import engine
from support.query import QueryScene


@pytest.fixture
def scene(tmp_path):
    made = QueryScene(tmp_path)
    for name in ("web", "db"):
        made.add(f"{name}.example.com")
    yield made
    made.close()


def test_the_state_stays_while_nothing_changes(scene):
    assert engine.state_of(scene.sources, "instance") == engine.state_of(scene.sources, "instance")


def test_the_state_differs_after_each_change(scene):
    seen = [engine.state_of(scene.sources, "instance")]

    def changed():
        seen.append(engine.state_of(scene.sources, "instance"))

    scene.add("new.example.com")
    changed()
    scene.change(scene.config.cluster, tags=["x"])
    changed()
    scene.start(scene.config.instance("web.example.com"))
    changed()
    scene.fail("node2")
    changed()
    assert len(set(seen)) == 5


def test_another_process_has_another_state(scene, tmp_path):
    other = QueryScene(tmp_path / "other")
    try:
        assert engine.state_of(other.sources, "instance") != engine.state_of(
            scene.sources, "instance"
        )
    finally:
        other.close()


def test_kinds_that_depend_on_more_have_no_state(scene):
    assert [engine.state_of(scene.sources, what) for what in ("node", "job", "lock")] == [None] * 3
