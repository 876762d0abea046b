"""Heads of requests, beyond the recorded ones."""

import pytest

from ganeti.http import errors, parser

HOST = b"Host: node1\r\n"


def parse(*lines):
    return parser.parse_head(b"\r\n".join(lines))


@pytest.mark.parametrize("size", [parser.MAX_TARGET, parser.MAX_TARGET + 1])
def test_a_target_is_limited_in_length(size):
    line = b"GET /" + b"a" * (size - 1) + b" HTTP/1.1"
    if size <= parser.MAX_TARGET:
        assert len(parse(line, b"Host: a").path) == size
    else:
        with pytest.raises(errors.UriTooLong):
            parse(line, b"Host: a")


@pytest.mark.parametrize("count", [parser.MAX_FIELDS, parser.MAX_FIELDS + 1])
def test_header_lines_are_limited_in_number(count):
    lines = [b"Host: a", *[b"X-A: 1"] * (count - 1)]
    if count <= parser.MAX_FIELDS:
        assert len(parse(b"GET / HTTP/1.1", *lines).headers) == count
    else:
        with pytest.raises(errors.HeaderFieldsTooLarge):
            parse(b"GET / HTTP/1.1", *lines)


@pytest.mark.parametrize("path", ["/%2e%2e/x", "/..%2fx", "/%252e", "/a%00b", "/%e2%82%ac"])
def test_a_path_is_decoded_once(path):
    assert (
        parse(b"GET " + path.encode() + b" HTTP/1.1", b"Host: a").path
        == {
            "/%2e%2e/x": "/../x",
            "/..%2fx": "/..%2Fx",
            "/%252e": "/%2e",
            "/a%00b": "/a\0b",
            "/%e2%82%ac": "/\u20ac",
        }[path]
    )


def test_a_cr_at_the_end_is_not_yet_a_bare_one():
    assert not parser.has_bare_line_end(b"GET / HTTP/1.1\r")
    with pytest.raises(errors.BadRequest):
        parser.parse_head(b"GET / HTTP/1.1\r\n" + HOST[:-1])
