"""Tags, who has the answer already, and which conditions of a change hold."""

import pytest

from ganeti.http.errors import BadRequest
from ganeti.http.message import Headers, body_tag, state_tag
from ganeti.http.negotiation import (
    ConditionalRequest,
    has_state_tag,
    parse_date,
    read_conditions,
    tag_matches,
)

TAG = 'W/"abc"'


def test_a_body_tag_depends_on_the_body_alone():
    assert body_tag(b"x") == body_tag(b"x") != body_tag(b"y")
    assert tag_matches(body_tag(b"x"), [body_tag(b"x")])


def test_a_state_tag_is_recognized():
    tag = state_tag("instance", "name", "s1")
    assert tag == state_tag("instance", "name", "s1") != state_tag("instance", "names", "1")
    assert has_state_tag(['"x"', tag]) and tag_matches(tag, [tag])
    assert not has_state_tag([body_tag(b"state-")]) and not has_state_tag(["*"])


@pytest.mark.parametrize(
    "lines",
    [
        ["*"],
        [" * "],
        ['W/"abc"'],
        ['"abc"'],
        ['"x", W/"abc"'],
        ['"x","abc"'],
        ['"x"', '"abc"'],
        ['"", "abc"'],
        [', "abc",'],
        ['"a,b", "abc"'],
    ],
)
def test_if_none_match_matches_the_tag_ignoring_W(lines):
    assert tag_matches(TAG, lines)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [""],
        ["abc"],
        ['"abcd"'],
        ['"ABC"'],
        ['w/"abc"'],
        ['"abc'],
        ["* , *"],
        ['"x" "abc"'],
        ['"abc", junk'],
        ['"x,abc"'],
        ["'abc'"],
    ],
)
def test_if_none_match_does_not_match_other_or_malformed_tags(lines):
    assert not tag_matches(TAG, lines)


# -- preconditions ---------------------------------------------------------------------

#: 2001-01-01 00:00:00.
DATE, SECONDS = "Mon, 01 Jan 2001 00:00:00 GMT", 978307200


@pytest.mark.parametrize(
    "text, seconds",
    [
        (DATE, SECONDS),
        ("Monday, 01-Jan-01 00:00:00 GMT", SECONDS),
        ("Mon Jan  1 00:00:00 2001", SECONDS),
        ("Thu, 29 Feb 2024 23:59:60 GMT", 1709251199),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 784111777),
    ],
)
def test_the_three_forms_of_a_date_are_parsed(text, seconds):
    assert parse_date(text, this_year=2026) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "978307200",
        "yesterday",
        "2001-01-01T00:00:00Z",
        DATE.lower(),
        DATE + ", " + DATE,
        "Mon, 1 Jan 2001 00:00:00 GMT",
        "Mon, 01 Jan 2001 00:00:00 +0000",
        f" {DATE}",
        "Mon, 31 Feb 2001 00:00:00 GMT",
        "Mon, 01 Jan 2001 24:00:00 GMT",
        "Mon, 01 Jan 0000 00:00:00 GMT",
    ],
)
def test_other_text_is_not_a_date(text):
    assert parse_date(text) is None


class Target:
    """Something that is there, or not."""

    def __init__(self, exists=True, modified=SECONDS + 0.9, tag='W/"abc"'):
        self.exists = lambda: exists
        self.modified = lambda: modified
        self.tag = lambda: tag


THERE, MISSING = Target(), Target(False, None, None)
BEFORE, AFTER = "Sun, 31 Dec 2000 23:59:59 GMT", "Mon, 01 Jan 2001 00:00:01 GMT"


def problem(target, **fields):
    """Return the condition in these headers that does not hold."""
    headers = Headers([(name.replace("_", "-"), value) for name, value in fields.items()])
    return read_conditions(headers).problem(target)


@pytest.mark.parametrize(
    "target, fields",
    [
        (THERE, {}),
        (MISSING, {}),
        (THERE, {"If_Match": "*"}),
        (MISSING, {"If_None_Match": "*"}),
        (THERE, {"If_None_Match": '"x", W/"y"'}),
        (MISSING, {"If_None_Match": 'W/"abc"'}),
        (THERE, {"If_Unmodified_Since": DATE}),
        (THERE, {"If_Unmodified_Since": AFTER}),
        (MISSING, {"If_Unmodified_Since": DATE}),
        (THERE, {"If_Modified_Since": AFTER}),
        (THERE, {"If_Unmodified_Since": "2000"}),
        (THERE, {"If_Range": '"x"'}),
        # 13.2.2: a date counts only without If-Match.
        (THERE, {"If_Match": "*", "If_Unmodified_Since": BEFORE}),
    ],
)
def test_conditions_that_hold_have_no_problem(target, fields):
    assert problem(target, **fields) == ""


@pytest.mark.parametrize(
    "target, fields, words",
    [
        (THERE, {"If_Match": '"x"'}, "weak"),
        (THERE, {"If_Match": 'W/"abc"'}, "weak"),
        (THERE, {"If_Match": '"abc", "x"'}, "weak"),
        (THERE, {"If_Match": '""'}, "weak"),
        (MISSING, {"If_Match": "*"}, "If-Match: *"),
        (THERE, {"If_None_Match": "*"}, "If-None-Match: *"),
        (THERE, {"If_None_Match": '"x", W/"abc"'}, "ETag"),
        (THERE, {"If_None_Match": '"abc"'}, "ETag"),
        (THERE, {"If_Unmodified_Since": BEFORE}, "If-Unmodified-Since"),
        (THERE, {"If_Unmodified_Since": AFTER, "If_None_Match": "*"}, "If-None-Match"),
        (THERE, {"If_Match": "*", "If_None_Match": "*"}, "If-None-Match"),
    ],
)
def test_conditions_that_do_not_hold_are_named(target, fields, words):
    assert words in problem(target, **fields)


@pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
@pytest.mark.parametrize(
    "lines",
    [[""], ["abc"], ['"abc'], ["* , *"], ["*", '"x"'], ['"x" "y"'], ["'x'"], ['w/"x"'], [","]],
)
def test_a_malformed_list_of_tags_is_refused(name, lines):
    with pytest.raises(BadRequest, match=name):
        read_conditions(Headers([(name, line) for line in lines]))


def test_several_header_lines_are_one_list():
    headers = Headers([("If-None-Match", '"x"'), ("if-none-match", 'W/"abc"')])
    assert read_conditions(headers) == ConditionalRequest(none_match='"x", W/"abc"')
