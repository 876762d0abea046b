"""The filter language, on rows that are dicts; a missing key is a cell without a value."""

import pytest

from ganeti.constants import ResultStatus
from ganeti.errors import ParameterError
from ganeti.qlang import filters
from ganeti.qlang.filters import Comparison, FieldAccess

ROW = {
    "name": "web1.example.com",
    "size": 512,
    "load": 1.5,
    "up": True,
    "down": False,
    "tags": ["a", "b"],
    "sizes": [1, 2],
    "ips": [None, "10.0.0.1"],
    "none": None,
    "start": (100, 999_999),
    "other": {"a": 1},
}
KINDS = {"name": Comparison.HOST_NAME, "start": Comparison.SECONDS}


def access(name):
    if name == "bogus":
        raise ParameterError("no field bogus")
    return FieldAccess(
        lambda row: row.get(name, ResultStatus.UNAVAIL), KINDS.get(name, Comparison.PLAIN)
    )


def passes(data, row=ROW):
    tree = filters.parse(data)
    return tree is None or filters.make_test(tree, access)(row)


TRUE = ["==", "size", 512]
FALSE = ["!", TRUE]


@pytest.mark.parametrize(
    "data",
    [
        None,
        TRUE,
        ["=", "size", 512],
        ["!=", "size", 3],
        ["<", "size", 513],
        ["<=", "size", 512],
        [">", "load", 1],
        [">=", "load", 1],
        ["==", "size", 512.0],
        ["<", "size", 10**30],
        ["&"],
        ["&", TRUE, TRUE],
        ["|", FALSE, TRUE],
        ["!", ["|"]],
        ["!", FALSE],
        ["&", None],
        ["?", "up"],
        ["!", ["?", "down"]],
        ["=~", "name", "^web"],
        ["=~", "name", "example"],
        ["=~", "name", ""],
        ["=[]", "tags", "b"],
        ["=[]", "sizes", 2],
        ["=[]", "ips", "10.0.0.1"],
        ["==", "name", "web1"],
        ["==", "name", "web1.example"],
        ["==", "name", "web1.example.com"],
        ["<", "name", "web2"],
        ["==", "start", 100],
        [">=", "start", 100],
        ["<", "start", 101],
    ],
)
def test_a_row_that_fits_a_filter_passes(data):
    assert passes(data)


@pytest.mark.parametrize(
    "data",
    [
        FALSE,
        ["!=", "size", 512],
        ["<", "size", 512],
        [">", "load", 2],
        ["|"],
        ["&", TRUE, FALSE],
        ["|", FALSE, FALSE],
        ["!", None],
        ["?", "down"],
        ["=~", "name", "^example"],
        ["=~", "name", "WEB"],
        ["=[]", "tags", "c"],
        ["=[]", "tags", 1],
        ["=[]", "sizes", "1"],
        ["==", "name", "web"],
        ["==", "name", "WEB1"],
        ["!=", "name", "web1"],
        ["<=", "name", "web1"],
        ["==", "start", 101],
        [">", "start", 100],
    ],
)
def test_a_row_that_does_not_fit_a_filter_does_not_pass(data):
    assert not passes(data)


@pytest.mark.parametrize(
    "data",
    [["==", "gone", "x"], ["<", "gone", 3], ["=~", "gone", "x"], ["=[]", "gone", 1], ["?", "gone"]],
)
def test_a_cell_without_value_passes_every_comparison(data):
    assert passes(data)


def test_a_cell_without_value_does_not_pass_unequal():
    assert not passes(["!=", "gone", "x"])


@pytest.mark.parametrize(
    "data",
    [
        ["==", "size", "512"],
        ["<", "name", 3],
        ["!=", "name", 3],
        ["==", "up", "true"],
        ["==", "up", 1],
        ["==", "tags", "a"],
        ["==", "other", "a"],
        ["==", "none", "x"],
        ["==", "start", "x"],
        ["=~", "size", "5"],
        ["=~", "tags", "a"],
        ["=[]", "name", "w"],
        ["=[]", "other", "a"],
        ["?", "size"],
        ["?", "name"],
        ["?", "tags"],
    ],
)
def test_a_value_that_does_not_fit_its_operator_is_an_error(data):
    with pytest.raises(ParameterError, match=f"Field '{data[1]}'"):
        passes(data)


def test_and_and_or_stop_before_an_operand_that_would_fail():
    wrong = ["<", "name", 3]
    assert passes(["|", TRUE, wrong])
    assert not passes(["&", FALSE, wrong])


@pytest.mark.parametrize(
    "data",
    [
        [],
        {},
        "name",
        3,
        True,
        [1, 2],
        ["&", "x"],
        ["!"],
        ["!", TRUE, TRUE],
        ["?"],
        ["?", "a", "b"],
        ["?", 3],
        ["==", "name"],
        ["==", "name", "x", "y"],
        ["==", 1, "x"],
        ["==", "name", None],
        ["==", "up", True],
        ["==", "size", 1.5],
        ["==", "size", [1]],
        ["==>", "name", "x"],
        ["=~", "name"],
        ["=~", "name", 3],
        ["=~", "name", "("],
        ["=~", "name", "a" * 257],
        ["=~", "name", "(a+)+"],
        ["=[]", "tags", None],
    ],
)
def test_an_invalid_filter_is_refused(data):
    with pytest.raises(ParameterError):
        filters.parse(data)


def test_a_filter_nested_too_deeply_is_refused():
    data = TRUE
    for _ in range(filters.DEPTH_MAX):
        data = ["!", data]
    with pytest.raises(ParameterError, match="nested"):
        filters.parse(data)


def test_an_unknown_field_is_an_error_even_without_rows():
    with pytest.raises(ParameterError, match="bogus"):
        filters.make_test(filters.parse(["&", TRUE, ["?", "bogus"]]), access)


def test_fields_returns_every_field_that_a_filter_mentions():
    data = ["&", ["|", ["?", "a"], ["!", ["=~", "b", "x"]]], ["=[]", "c", 1], ["!=", "d", 2]]
    assert filters.fields(filters.parse(data)) == {"a", "b", "c", "d"}
    assert filters.fields(None) == set()


@pytest.mark.parametrize(
    "data, expected",
    [
        (["==", "name", "a"], ["a"]),
        (["|", ["=", "name", "b"], ["==", "name", "a"], ["==", "name", "b"]], ["b", "a", "b"]),
        (["|", ["|", ["==", "name", "a"]], ["==", "name", 3]], ["a", 3]),
        (None, None),
        (["|"], None),
        (["&", ["==", "name", "a"]], None),
        (["!=", "name", "a"], None),
        (["<", "name", "a"], None),
        (["==", "uuid", "a"], None),
        (["|", ["==", "name", "a"], ["==", "uuid", "a"]], None),
    ],
)
def test_keys_are_returned_only_for_filters_that_name_things(data, expected):
    assert filters.keys(filters.parse(data), "name") == expected
