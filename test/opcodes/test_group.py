"""Opcodes about node groups."""

import pytest

from ganeti import opcodes
from support.opcodes import assert_needs, assert_refused

NAME = {"group_name": "g"}


@pytest.mark.parametrize(
    "cls, good",
    [
        (opcodes.OpGroupAdd, NAME),
        (opcodes.OpGroupSetParams, NAME),
        (opcodes.OpGroupRemove, NAME),
        (opcodes.OpGroupRename, {**NAME, "new_name": "h"}),
        (opcodes.OpGroupVerifyDisks, NAME),
        (opcodes.OpGroupAssignNodes, {**NAME, "nodes": ["node2"]}),
        (opcodes.OpGroupEvacuate, NAME),
    ],
)
def test_each_opcode_needs_its_fields(cls, good):
    assert_needs(cls, good)
    assert_refused(cls, good, group_name="")


def test_parameters_of_a_group_are_checked():
    for cls in (opcodes.OpGroupAdd, opcodes.OpGroupSetParams):
        assert cls(**NAME, alloc_policy="last_resort").alloc_policy == "last_resort"
        assert_refused(cls, NAME, alloc_policy="never", diskparams={"drbd": 1}, ipolicy=[])
