"""Opcodes about nodes and their storage."""

import pytest

from ganeti import opcodes
from support.opcodes import assert_needs, assert_refused

NAME = {"node_name": "node2"}
STORAGE = {**NAME, "storage_type": "lvm-vg"}


@pytest.mark.parametrize(
    "cls, good",
    [
        (opcodes.OpNodeAdd, NAME),
        (opcodes.OpNodeRemove, NAME),
        (opcodes.OpNodeSetParams, NAME),
        (opcodes.OpNodePowercycle, NAME),
        (opcodes.OpNodeEvacuate, {**NAME, "mode": "all"}),
        (opcodes.OpNodeMigrate, NAME),
        (opcodes.OpNodeModifyStorage, {**STORAGE, "changes": {}}),
        (opcodes.OpRepairNodeStorage, STORAGE),
    ],
)
def test_each_opcode_about_one_node_needs_its_name(cls, good):
    assert_needs(cls, good)
    assert cls(**good).summary().endswith("(node2)")
    assert_refused(cls, good, node_name="")


@pytest.mark.parametrize(
    "cls, good",
    [
        (opcodes.OpNodeQueryvols, {"output_fields": ["vg"]}),
        (opcodes.OpNodeQueryStorage, {"output_fields": ["name"]}),
        (opcodes.OpOobCommand, {"command": "health"}),
        (opcodes.OpRestrictedCommand, {"command": "reboot", "nodes": ["node2"]}),
    ],
)
def test_each_opcode_about_some_nodes_needs_its_fields(cls, good):
    assert_needs(cls, good)


def test_values_that_are_not_offered_are_refused():
    assert_refused(opcodes.OpNodeEvacuate, {**NAME, "mode": "all"}, mode="some")
    assert_refused(opcodes.OpNodeMigrate, NAME, mode="dead", live=1)
    assert_refused(
        opcodes.OpNodeModifyStorage, {**STORAGE, "changes": {}}, storage_type="floppy", changes=[]
    )
    assert_refused(opcodes.OpOobCommand, {"command": "health"}, command="explode", power_delay=-1.0)
    assert_refused(opcodes.OpNodeSetParams, NAME, offline="yes", ndparams=[], secondary_ip="")
