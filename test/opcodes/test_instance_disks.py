"""Opcodes about an instance's disks."""

import pytest

from ganeti import opcodes
from support.opcodes import assert_needs, assert_refused

NAME = {"instance_name": "web"}
GROW = {**NAME, "disk": 0, "amount": 512}
REPLACE = {**NAME, "mode": "replace_auto"}


@pytest.mark.parametrize(
    "cls, good",
    [
        (opcodes.OpInstanceActivateDisks, NAME),
        (opcodes.OpInstanceDeactivateDisks, NAME),
        (opcodes.OpInstanceGrowDisk, GROW),
        (opcodes.OpInstanceRecreateDisks, NAME),
        (opcodes.OpInstanceReplaceDisks, REPLACE),
    ],
)
def test_each_opcode_needs_its_fields(cls, good):
    assert_needs(cls, good)
    assert cls(**good).summary().endswith("(web)")


def test_disks_are_named_by_their_number():
    assert_refused(opcodes.OpInstanceGrowDisk, GROW, disk=16, amount=-1)
    assert_refused(opcodes.OpInstanceReplaceDisks, REPLACE, disks=[16], mode="replace_none")


@pytest.mark.parametrize(
    "disks, good",
    [
        ([], True),
        ([0, 3], True),
        ([[0, {"size": 1}], [1, {}]], True),
        ([0, [1, {}]], False),
        ([[0]], False),
        ([-1], False),
        ([[0, 1]], False),
        (["0"], False),
    ],
)
def test_disks_to_recreate_are_numbers_or_changes(disks, good):
    if good:
        assert opcodes.OpInstanceRecreateDisks(**NAME, disks=disks).disks == disks
    else:
        assert_refused(opcodes.OpInstanceRecreateDisks, NAME, disks=disks)
