"""The versions that know an opcode or a field; the table names existing ones."""

import pytest

from ganeti import opcodes
from ganeti.rapi import submit
from ganeti.rapi.submit import VersionRange


def test_a_range_holds_from_since_until_before_until():
    assert [VersionRange().holds(version) for version in ((3, 0), (3, 1), (4, 0))] == [True] * 3
    assert [VersionRange((3, 1)).holds(version) for version in ((3, 0), (3, 1))] == [False, True]
    assert [VersionRange(until=(3, 1)).holds(version) for version in ((3, 0), (3, 1))] == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("since", "known"),
    [
        ("3.0", [(3, 0), (3, 1), (4, 0)]),
        ("3.1", [(3, 1), (4, 0)]),
        ("ours", []),
    ],
)
def test_versions_of_an_opcode_follow_from_its_first_one(since, known):
    versions = submit.opcode_versions(since)
    assert [one for one in ((3, 0), (3, 1), (4, 0)) if versions.holds(one)] == known


def test_the_table_names_what_there_is():
    for op_id, field in submit.FIELD_VERSIONS:
        assert field in opcodes.BY_ID[op_id].DEFAULTS
