"""Every opcode of Ganeti has the keys that a real luxid knows."""

import pytest

from ganeti import opcodes
from ganeti.opcodes.base import COMMON_FIELDS
from support import DATA

LINES = [
    line.split()
    for line in (DATA / "opcode_keys.txt").read_text().splitlines()
    if not line.startswith("#")
]


@pytest.mark.parametrize(
    ("op_id", "keys"), [(line[0], line[1:]) for line in LINES], ids=[line[0] for line in LINES]
)
def test_each_opcode_has_the_keys_of_ganeti(op_id, keys):
    op = opcodes.BY_ID[op_id]
    ours = set(op.CHECKS) - set(COMMON_FIELDS)
    assert ours == {key.strip("*") for key in keys}
    assert set(op.REQUIRED) == {key[1:] for key in keys if key.startswith("*")}


def test_an_opcode_that_claims_to_be_of_a_release_is_in_that_release():
    claimed = {
        release: {op.OP_ID for op in opcodes.BY_ID.values() if op.SINCE == release}
        for release in {op.SINCE for op in opcodes.BY_ID.values()}
    }
    claimed.pop("ours", None)
    assert claimed == {"3.0": {line[0] for line in LINES}, "3.1": {"OP_NETWORK_RENAME"}}
    assert len(LINES) == 75
