"""Headers, and what a response looks like on the wire."""

import pytest

from ganeti.http.message import Headers, Request, Response, http_date, serialize


def parsed(data):
    """Return status line, header dictionary and body of an answer's bytes."""
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    return status, dict(line.split(": ", 1) for line in lines), body


def answer(response, method="GET", *, version="1.1", keep_alive=True, **more):
    request = Request(method, "/", version=version, keep_alive=keep_alive)
    return parsed(serialize(response, request, **more))


def test_headers_are_found_in_any_case():
    headers = Headers([("Content-Type", "a/b"), ("X-A", "1"), ("x-a", "2")])
    assert headers.get("content-TYPE") == "a/b"
    assert headers.get("X-A") == "1, 2" and headers.get_all("X-a") == ["1", "2"]
    assert headers.get("nothing") is None and headers.get("nothing", "x") == "x"
    assert "x-A" in headers and "y" not in headers and len(headers) == 3
    assert headers.repeated() == {"x-a"}


def test_headers_do_not_print_their_values():
    assert "secret" not in repr(Headers([("Authorization", "secret")]))
    assert "secret" not in repr(
        Request("GET", "/", headers=Headers([("A", "secret")]), body=b"secret")
    )


def test_headers_compare_by_their_items():
    assert Headers([("A", "1")]) == Headers([("A", "1")]) != Headers([("A", "2")])
    assert hash(Headers([("A", "1")])) == hash(Headers([("A", "1")]))


def test_an_answer_has_the_headers_that_http_requires():
    status, headers, body = answer(
        Response(200, b"2\n", [("Content-Type", "application/json")]),
        server="Ganeti-RAPI/1",
        date=http_date(0),
    )
    assert status == "HTTP/1.1 200 OK" and body == b"2\n"
    assert headers == {
        "Server": "Ganeti-RAPI/1",
        "Date": "Thu, 01 Jan 1970 00:00:00 GMT",
        "Content-Type": "application/json",
        "Content-Length": "2",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    }


def test_an_answer_to_head_is_that_to_get_without_the_body():
    _, headers, body = answer(Response(200, b"12345"), "HEAD")
    assert headers["Content-Length"] == "5" and body == b""


def test_a_204_has_no_content_length():
    status, headers, body = answer(Response(204, b"ignored"))
    assert status == "HTTP/1.1 204 No Content"
    assert "Content-Length" not in headers and body == b""


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({}, None),
        ({"close": True}, "close"),
        ({"keep_alive": False}, "close"),
        ({"version": "1.0"}, "keep-alive"),
        ({"version": "1.0", "keep_alive": False}, "close"),
    ],
)
def test_the_connection_header_says_whether_the_connection_is_kept(how, word):
    assert answer(Response(), **how)[1].get("Connection") == word


def test_an_answer_without_a_request_ends_the_connection():
    assert parsed(serialize(Response(400)))[1]["Connection"] == "close"


@pytest.mark.parametrize(
    "header",
    [
        ("X-A", "a\r\nX-B: 1"),
        ("X-A", "a\nb"),
        ("X-A", "\x00"),
        ("X A", "1"),
        ("X-A:", "1"),
        ("", "1"),
        ("X-A", "\u20ac"),
    ],
)
def test_a_header_cannot_split_the_answer(header):
    with pytest.raises(ValueError):
        serialize(Response(200, b"", [header]), Request("GET", "/"))


def test_an_unknown_status_has_a_reason():
    assert answer(Response(299))[0] == "HTTP/1.1 299 Unknown"


def test_a_request_without_a_connection_is_never_gone():
    assert Request("GET", "/").gone() is False
