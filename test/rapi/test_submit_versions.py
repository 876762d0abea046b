"""Which version knows what, and that the table names what there is."""

import pytest

from ganeti import opcodes
from ganeti.rapi import submit
from ganeti.rapi.submit import VersionRange


@pytest.mark.parametrize(
    "text, version",
    [
        ("3.0.2", (3, 0)),
        ("3.1", (3, 1)),
        ("3.1.0~rc2", (3, 1)),
        ("12.34.5-1", (12, 34)),
        ("2.16.2", None),
        ("0.1.0", None),
        ("3", None),
        ("3.x", None),
        ("3.1x", None),
        (3.0, None),
        (None, None),
    ],
)
def test_a_version_is_its_first_two_numbers(text, version):
    assert submit.parse_version(text) == version


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
    for (op_id, field), before in submit.DEFAULTS_BEFORE_3_1.items():
        assert opcodes.BY_ID[op_id].DEFAULTS[field] != before
