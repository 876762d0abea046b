"""QueryTags for objects of every kind."""

import pytest

from ganeti import errors
from ganeti.query import cluster
from support.query import QueryScene


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    made = QueryScene(tmp_path_factory.mktemp("cluster"))
    made.add(tags=["b", "a"])
    made.change(made.config.node("node1"), tags=["n"])
    made.change(made.config.groups()[0], tags=["g"])
    made.change(made.config.cluster, tags=["c"])
    yield made
    made.close()


@pytest.mark.parametrize(
    "kind, name, found",
    [
        ("instance", "web.example.com", ["b", "a"]),
        ("instance", "web", ["b", "a"]),
        ("instance", "instance-1", ["b", "a"]),
        ("node", "node1", ["n"]),
        ("node", "node2", []),
        ("nodegroup", "default", ["g"]),
        ("cluster", "", ["c"]),
        ("cluster", "whatever", ["c"]),
    ],
)
def test_tags_come_in_the_order_of_storage(scene, kind, name, found):
    assert cluster.tags_of(scene.sources, kind, name) == found


@pytest.mark.parametrize(
    "kind, label",
    [
        ("instance", "Instance"),
        ("node", "Node"),
        ("nodegroup", "NodeGroup"),
        ("network", "Network"),
    ],
)
def test_an_unknown_object_is_an_error(scene, kind, label):
    with pytest.raises(errors.OpPrereqError, match=f"{label} name nope not found") as error:
        cluster.tags_of(scene.sources, kind, "nope")
    assert error.value.args[1] == "unknown_entity"


def test_the_answer_is_a_copy_of_the_tags(scene):
    cluster.tags_of(scene.sources, "instance", "web").append("x")
    assert cluster.tags_of(scene.sources, "instance", "web") == ["b", "a"]
