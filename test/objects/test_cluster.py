"""Cluster, groups and nodes survive their stored form; wrong references are found."""

import pytest

from ganeti import objects, serializer

NODE = objects.Node(
    uuid="p",
    name="node1",
    primary_ip="127.0.0.1",
    secondary_ip="127.0.0.1",
    group="g",
    capacity={"memory": 1},
)
GROUP = objects.Group(uuid="g", name="default")
CLUSTER = objects.Cluster(
    uuid="c",
    name="cluster",
    master_node="p",
    enabled_hypervisors=["fake"],
    enabled_disk_templates=["file"],
)
INSTANCE = objects.Instance(
    uuid="i", name="web", primary_node="p", hypervisor="fake", disk_template="file"
)


@pytest.mark.parametrize(
    "example", [NODE, GROUP, CLUSTER], ids=lambda example: type(example).__name__
)
def test_an_object_survives_its_stored_form(example):
    data = serializer.loads(serializer.dumps_object(example))
    assert type(example).from_dict(data) == example


def test_references_to_missing_objects_are_named():
    assert objects.contradictions(CLUSTER, [GROUP], [NODE], [INSTANCE]) == []
    assert objects.contradictions(CLUSTER, [], [], [INSTANCE]) == [
        "the master node is not known",
        "instance web is on no known node",
    ]
    assert objects.contradictions(CLUSTER, [], [NODE], []) == ["node node1 is in no known group"]
