"""Networks and exports: well-formed answers without rows."""

import pytest

from ganeti import errors
from support.query import FACTS, QueryScene


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    made = QueryScene(tmp_path_factory.mktemp("cluster"))
    yield made
    made.close()


def test_networks_are_an_empty_list(scene):
    fields = [name for name, _, _ in FACTS["network"]]
    assert scene.data("network", fields) == []
    assert scene.data("network", fields, ["&", ["=~", "uuid", "x"]]) == []


def test_every_node_has_one_row_without_an_export(scene):
    rows = scene.data("export", ["node", "export"])
    assert rows == [[[0, f"node{number}.example.com"], [2, None]] for number in (1, 2, 3)]


def test_exports_are_looked_up_by_node(scene):
    assert scene.data("export", ["node"], ["==", "node", "node2"]) == [[[0, "node2.example.com"]]]
    with pytest.raises(errors.OpPrereqError, match="Node name nope not found"):
        scene.data("export", ["node"], ["==", "node", "nope"])
