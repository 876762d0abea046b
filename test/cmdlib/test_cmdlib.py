"""Finding the logical unit of an opcode."""

import pytest

from ganeti import cmdlib, errors, opcodes
from ganeti.cmdlib.base import LogicalUnit


@pytest.mark.parametrize("op_id", sorted(set(opcodes.BY_ID) - cmdlib.FORWARD_ONLY))
def test_every_opcode_has_a_unit_of_its_name(op_id: str) -> None:
    unit = cmdlib.lu_for(op_id)
    assert issubclass(unit, LogicalUnit)
    assert "Op" + unit.__name__.removeprefix("LU") == opcodes.BY_ID[op_id].__name__


@pytest.mark.parametrize("op_id", ["OP_NOSUCH", "OP_NODE_ADD", "OP_COMMON", "", "../x"])
def test_an_opcode_of_others_has_no_unit(op_id: str) -> None:
    with pytest.raises(errors.OpCodeUnknown):
        cmdlib.lu_for(op_id)


def test_an_opcode_of_ours_has_a_unit() -> None:
    ours = {op_id for op_id, op in opcodes.BY_ID.items() if op.SINCE == "ours"}
    assert not ours & cmdlib.FORWARD_ONLY


def test_units_whose_work_is_not_repeatable_say_so() -> None:
    for op_id in (
        "OP_INSTANCE_CREATE",
        "OP_INSTANCE_REINSTALL",
        "OP_INSTANCE_REBOOT",
        "OP_TEST_DELAY",
    ):
        assert not cmdlib.lu_for(op_id).RERUN_SAFE
    for op_id in ("OP_TAGS_SET", "OP_TAGS_DEL", "OP_CLUSTER_VERIFY"):
        assert cmdlib.lu_for(op_id).RERUN_SAFE
