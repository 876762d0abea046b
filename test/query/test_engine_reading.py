"""Readings: each node is asked once, and may not answer; fields and tables."""

import pytest

from ganeti.query.engine import NODATA, OFFLINE, FieldDef, once, table, unknown
from support.query import QueryScene


@pytest.fixture
def scene(tmp_path):
    made = QueryScene(tmp_path)
    yield made
    made.close()


def test_the_guests_of_a_node_are_read_once(scene):
    web = scene.add(node="node2")
    scene.start(web)
    reading, node = scene.reading(), scene.config.node("node2")
    assert list(reading.guests(node)) == [web.name]
    assert reading.guests(node) is reading.guests(node)
    assert reading.figures(node) is reading.figures(node)
    assert reading.figures(node).memory_total == 8192
    assert scene.nodes.asked == ["node2.example.com"] * 2


def test_a_node_that_does_not_answer_gives_no_data(scene):
    scene.fail("node2")
    node = scene.config.node("node2")
    assert scene.reading().guests(node) is NODATA
    assert scene.reading().figures(node) is NODATA


def test_an_offline_node_is_not_asked(scene):
    node = scene.change(scene.config.node("node3"), offline=True)
    assert scene.reading().guests(node) is OFFLINE
    assert scene.reading().figures(node) is OFFLINE
    assert scene.nodes.asked == []


def test_guests_anywhere_are_those_of_the_nodes_that_answer(scene):
    for number in (1, 2, 3):
        scene.start(scene.add(f"web{number}.example.com", node=f"node{number}"))
    scene.fail("node2")
    assert sorted(scene.reading().guests_anywhere) == ["web1.example.com", "web3.example.com"]


def test_an_unknown_field_always_has_a_title():
    assert unknown("x").title == "x" and unknown("").title


def test_a_table_finds_fields_by_name():
    one, two = (FieldDef(name, name, "text", "doc", len) for name in ("a", "b"))
    assert table([one], [two]) == {"a": one, "b": two}


def test_once_computes_a_value_once_per_object():
    class CountedRow:
        made = 0

        @once
        def number(self):
            """The number of times that it was computed."""
            self.made += 1
            return self.made

    row, other = CountedRow(), CountedRow()
    assert (row.number, row.number, other.number, row.made) == (1, 1, 1, 1)
