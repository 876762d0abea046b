"""Fields of node groups."""

import pytest

from ganeti.objects import Group
from support.query import QueryScene


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Return a scene with a default group of nodes 1 and 2, and a second group of node 3."""
    made = QueryScene(tmp_path_factory.mktemp("cluster"))
    rack = made.save(
        Group(
            uuid="rack-uuid",
            name="rack",
            alloc_policy="unallocable",
            tags=["r"],
            ndparams={"ssh_port": 23},
            diskparams={"plain": {"stripes": 2}},
            ipolicy={"vcpu-ratio": 2},
        )
    )
    made.change(made.config.node("node3"), group=rack.uuid)
    made.add("web10.example.com", node="node1")
    made.add("web9.example.com", node="node2")
    made.add("far.example.com", node="node3")
    yield made
    made.close()


def row(scene, name, *fields):
    return [value for _, value in scene.data("group", fields, ["==", "name", name])[0]]


def test_a_group_lists_its_nodes_and_instances(scene):
    fields = ["node_cnt", "node_list", "pinst_cnt", "pinst_list"]
    assert row(scene, "default", *fields) == [
        2,
        ["node1.example.com", "node2.example.com"],
        2,
        ["web9.example.com", "web10.example.com"],
    ]
    assert row(scene, "rack", *fields) == [1, ["node3.example.com"], 1, ["far.example.com"]]


def test_custom_fields_show_what_was_set_for_the_group(scene):
    fields = [
        "alloc_policy",
        "tags",
        "uuid",
        "custom_ndparams",
        "custom_diskparams",
        "custom_ipolicy",
    ]
    assert row(scene, "rack", *fields) == [
        "unallocable",
        ["r"],
        "rack-uuid",
        {"ssh_port": 23},
        {"plain": {"stripes": 2}},
        {"vcpu-ratio": 2},
    ]
    assert row(scene, "default", *fields[3:]) == [{}, {}, {}]


def test_other_fields_show_what_holds_for_the_group(scene):
    ndparams, diskparams, ipolicy = row(scene, "rack", "ndparams", "diskparams", "ipolicy")
    assert (ndparams["ssh_port"], ndparams["spindle_count"]) == (23, 1)
    assert diskparams["plain"] == {"stripes": 2} and diskparams["file"] == {}
    assert ipolicy["vcpu-ratio"] == 2 and {"minmax", "std", "disk-templates"} <= set(ipolicy)


def test_instances_are_found_by_their_group(scene):
    assert scene.names("instance", ["==", "pnode.group.uuid", "rack-uuid"]) == ["far.example.com"]
    assert scene.names("node", ["==", "group", "rack"]) == ["node3.example.com"]
