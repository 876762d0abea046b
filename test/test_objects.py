"""Objects come back from their stored form as they were."""

import pytest

from ganeti import objects

PARTS = {
    "disks": [objects.Disk(uuid="d", dev_type="file", size=10, logical_id=["loop", "/x"])],
    "nics": [objects.Nic(uuid="n", mac="aa:00:00:00:00:01", nicparams={"link": "br1"})],
}
EXAMPLES = [
    objects.Instance(
        uuid="i",
        name="web",
        primary_node="p",
        hypervisor="fake",
        disk_template="file",
        tags=["a"],
        **PARTS,
    ),
    objects.Node(
        uuid="p",
        name="node1",
        primary_ip="127.0.0.1",
        secondary_ip="127.0.0.1",
        group="g",
        capacity={"memory": 1},
    ),
    objects.Group(uuid="g", name="default"),
    objects.Cluster(
        uuid="c",
        name="cluster",
        master_node="p",
        enabled_hypervisors=["fake"],
        enabled_disk_templates=["file"],
    ),
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_round_trip(example):
    data = example.to_dict()
    assert type(example).from_dict(data) == example
    assert all(not isinstance(value, objects.Part) for value in data.values())


def test_a_copy_shares_nothing():
    twin = objects.copy_of(EXAMPLES[0])
    twin.tags.append("b")
    twin.disks[0].size = 20
    assert EXAMPLES[0].tags == ["a"] and EXAMPLES[0].disks[0].size == 10


def test_a_key_of_a_newer_version_is_an_error():
    with pytest.raises(TypeError):
        objects.Group.from_dict({**EXAMPLES[2].to_dict(), "newer": 1})


def test_what_refers_to_something_is_there():
    instance, node, group, cluster = EXAMPLES
    assert objects.contradictions(cluster, [group], [node], [instance]) == []
    assert objects.contradictions(cluster, [], [], [instance]) == [
        "the master node is not known",
        "instance web is on no known node",
    ]
    assert objects.contradictions(cluster, [], [node], []) == ["node node1 is in no known group"]
