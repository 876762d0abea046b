"""Job filters: the jobs to which they apply, their order, and valid values."""

import pytest

from ganeti import ht
from ganeti.qlang import job_filters
from ganeti.qlang.job_filters import JobFilter

OPS = [
    {
        "OP_ID": "OP_TAGS_SET",
        "kind": "node",
        "tags": ["a"],
        "name": None,
        "reason": [["gnt:user", "maintenance pink bunny", 5]],
    },
    {
        "OP_ID": "OP_INSTANCE_CREATE",
        "beparams": {"memory": 512},
        "force": True,
        "reason": [["gnt:client", "x" * 5000, 7]],
    },
]


def job_filter(*predicates, action="REJECT", uuid="a", watermark=10, priority=0):
    return JobFilter(uuid, watermark, priority, list(predicates), action, [])


@pytest.mark.parametrize(
    "predicate, found",
    [
        (["jobid", ["==", "id", 12]], True),
        (["jobid", ["<", "id", 12]], False),
        (["jobid", [">", "id", "watermark"]], True),
        (["jobid", ["<=", "id", "watermark"]], False),
        (
            [
                "jobid",
                [
                    "&",
                    ["!", ["=", "id", "watermark"]],
                    ["|", ["<", "id", "watermark"], [">=", "id", 12]],
                ],
            ],
            True,
        ),
        (["jobid", ["==", "id", "twelve"]], False),
        (["jobid", ["!=", "id", "twelve"]], False),
        (["opcode", ["==", "OP_ID", "OP_INSTANCE_CREATE"]], True),
        (["opcode", ["&", ["==", "OP_ID", "OP_TAGS_SET"], ["==", "kind", "instance"]]], False),
        (["opcode", ["=[]", "tags", "a"]], True),
        (["opcode", ["=~", "OP_ID", "^OP_INST"]], True),
        (["opcode", [">", "beparams.memory", 500]], True),
        (["opcode", ["?", "force"]], True),
        (["opcode", ["==", "beparams.bogus", 1]], False),
        (["opcode", ["!=", "name", "x"]], False),
        (["opcode", ["==", "kind.of", "node"]], False),
        (["reason", ["=~", "reason", "pink"]], True),
        (["reason", ["==", "source", "gnt:user"]], True),
        (["reason", ["&", ["==", "source", "gnt:user"], [">", "timestamp", 6]]], False),
        (["reason", ["=~", "reason", "x$"]], True),
    ],
)
def test_a_predicate_matches_some_jobs(predicate, found):
    assert job_filter(predicate).matches(12, OPS) is found


def test_a_job_must_match_all_predicates():
    yes, no = ["jobid", [">", "id", 1]], ["jobid", ["<", "id", 1]]
    assert job_filter().matches(12, OPS) and job_filter(yes, yes).matches(12, OPS)
    assert not job_filter(yes, no).matches(12, OPS)


def test_a_value_that_cannot_be_compared_does_not_match_even_negated():
    assert not job_filter(["reason", ["!", ["?", "reason"]]]).matches(12, OPS)


def test_the_first_matching_filter_decides_unless_it_says_continue():
    miss = job_filter(["jobid", ["<", "id", 1]], uuid="miss")
    off, pause, late = (
        job_filter(uuid=word, action=word) for word in ("CONTINUE", "PAUSE", "ACCEPT")
    )
    assert job_filters.first_match([miss, off, pause, late], 12, OPS) is pause
    assert job_filters.first_match([miss, off], 12, OPS) is None


def test_job_filters_are_sorted_by_priority_then_watermark_then_uuid():
    unsorted = [
        job_filter(priority=1, watermark=1),
        job_filter(uuid="b"),
        job_filter(),
        job_filter(watermark=2),
    ]
    assert sorted(unsorted, key=lambda one: one.order) == [
        job_filter(watermark=2),
        job_filter(),
        job_filter(uuid="b"),
        job_filter(priority=1, watermark=1),
    ]


def test_only_rate_limit_has_a_limit():
    assert job_filter(action=["RATE_LIMIT", 3]).limit == 3 and job_filter().limit is None


@pytest.mark.parametrize(
    "tree, stored",
    [
        (["=", "id", 1], ["==", "id", 1]),
        (["!=", "id", 1], ["!", ["==", "id", 1]]),
        (
            ["&", ["=", "id", 1], ["!", ["=~", "id", "="]]],
            ["&", ["==", "id", 1], ["!", ["=~", "id", "="]]],
        ),
    ],
)
def test_a_filter_is_stored_in_one_spelling(tree, stored):
    assert job_filters.normalize(tree) == stored


@pytest.mark.parametrize(
    "value, fits",
    [
        (["jobid", ["==", "id", 1]], True),
        (["jobid", ["==", "name", 1]], False),
        (["reason", ["?", "source"]], True),
        (["reason", ["?", "id"]], False),
        (["opcode", ["==", "whatever", 1]], True),
        (["opcode", None], False),
        (["opcode", ["=~", "x", "(a+)+"]], False),
        (["bogus", ["==", "id", 1]], False),
        (["jobid"], False),
        (["jobid", ["==", "id", 1], 1], False),
        ([1, 2], False),
        ("jobid", False),
    ],
)
def test_predicates_are_told_from_other_values(value, fits):
    assert ht.check_for(job_filters.Predicate).fits(value) is fits


@pytest.mark.parametrize(
    "value, fits",
    [
        ("ACCEPT", True),
        ("CONTINUE", True),
        ("PAUSE", True),
        ("REJECT", True),
        ("reject", False),
        ("RATE_LIMIT", False),
        (["RATE_LIMIT", 1], True),
        (["RATE_LIMIT", 0], False),
        (["RATE_LIMIT", True], False),
        (["RATE_LIMIT"], False),
        (["PAUSE", 1], False),
        (1, False),
    ],
)
def test_actions_are_told_from_other_values(value, fits):
    assert ht.check_for(job_filters.Action).fits(value) is fits
