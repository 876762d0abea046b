"""The opcode that waits."""

import pytest

from ganeti import opcodes


def test_a_delay_has_a_duration_and_defaults():
    op = opcodes.OpTestDelay(duration=2.5)
    assert (op.on_master, op.no_locks, op.repeat) == (True, True, 0)
    assert op.summary() == "TEST_DELAY(2.5)"
    for wrong in (-1, 1e10, "1", True, None):
        with pytest.raises(opcodes.FieldError, match="duration"):
            opcodes.OpTestDelay(duration=wrong)
