"""Fields of job filters."""

import pytest

from ganeti import errors
from ganeti.qlang.job_filters import JobFilter
from ganeti.query import job_filter
from support.query import FACTS, QueryScene

FILTERS = [
    JobFilter("a", 7, 0, [["jobid", ["==", "id", 1]]], "PAUSE", [["luxid", "", 5]]),
    JobFilter("b", 8, 3, [], ["RATE_LIMIT", 2], []),
]


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    made = QueryScene(tmp_path_factory.mktemp("cluster"))
    made.sources.queue.filters = FILTERS
    yield made
    made.close()


def test_every_field_of_ganeti_has_its_value(scene):
    assert scene.data("filter", [name for name, _, _ in FACTS["filter"]])[1] == [
        [
            0,
            {
                "action": ["RATE_LIMIT", 2],
                "predicates": [],
                "priority": 3,
                "reason_trail": [],
                "uuid": "b",
                "watermark": 8,
            }[name],
        ]
        for name, _, _ in FACTS["filter"]
    ]


def test_an_unknown_filter_gives_no_row(scene):
    assert scene.data("filter", ["uuid"], ["==", "uuid", "x"]) == []
    assert scene.data("filter", ["uuid"], ["==", "priority", 3]) == [[[0, "b"]]]


def test_plain_rows_come_in_the_order_of_the_uuids(scene):
    def rows(uuids):
        return job_filter.plain_rows(scene.sources, uuids, ["uuid", "action"])

    assert rows(None) == rows([]) == [["a", "PAUSE"], ["b", ["RATE_LIMIT", 2]]]
    assert rows(["b", "x", "b"]) == [["b", ["RATE_LIMIT", 2]]]
    with pytest.raises(errors.OpPrereqError, match="bogus"):
        job_filter.plain_rows(scene.sources, None, ["bogus"])
