"""Bodies are JSON; what is said to be anything else is refused."""

import pytest

from ganeti.http.errors import BadRequest, UnsupportedMediaType
from ganeti.http.message import Headers
from ganeti.rapi.arguments import check_body_kind, read_body


@pytest.mark.parametrize("body, value", [(b"null", None), (b"[1]", [1]), (b"\xef\xbb\xbf{}", {})])
def test_json_is_read_with_or_without_a_byte_order_mark(body, value):
    assert read_body(Headers(), body) == value


def test_what_is_no_json_is_a_bad_request():
    with pytest.raises(BadRequest, match="Unable to parse JSON data"):
        read_body(Headers(), b"{")


@pytest.mark.parametrize(
    "fields",
    [
        [("Content-Type", "text/plain")],
        [("Content-Type", "application/jsonp")],
        [("Content-Encoding", "gzip")],
        [("Content-Encoding", "identity, br")],
    ],
)
def test_other_types_and_codings_are_refused(fields):
    with pytest.raises(UnsupportedMediaType):
        check_body_kind(Headers(fields))


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [("Content-Type", "application/json")],
        [("Content-Type", "Application/JSON ; charset=utf-8")],
        [("Content-Encoding", "identity")],
    ],
)
def test_json_may_be_said_in_many_ways(fields):
    check_body_kind(Headers(fields))
