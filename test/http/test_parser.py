"""Limits and states of the parser; test_recorded_requests has the grammar."""

import random

import pytest

from ganeti.http import errors, parser
from ganeti.http.message import Route
from ganeti.http.parser import ParserState, RequestParser

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n"
CHUNKED = POST % b"Transfer-Encoding: chunked"


def outcome(data, step, **more):
    """Return the requests in a stream that arrives in steps, and a refusal's status or None."""
    found, requests = RequestParser(**more), []
    for index in range(0, len(data), step):
        found.feed(data[index : index + step])
        try:
            while (request := found.next()) is not None:
                requests.append((request.method, request.target, request.body))
        except errors.HttpError as err:
            return requests, err.code
    return requests, None


STEPS = (1 << 30, 1, 7, 1000)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"GET /" + b"a" * parser.MAX_LINE + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"a" * parser.MAX_LINE, 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * parser.MAX_HEADER + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 65 + b"\r\n", 431),
        (CHUNKED + b"1;" + b"a" * parser.MAX_CHUNK_LINE, 400),
        (CHUNKED + b"0\r\nX: " + b"a" * parser.MAX_TRAILER + b"\r\n\r\n", 400),
        (CHUNKED + b"400\r\n" + b"a" * 1024 + b"\r\n1\r\n", 413),
        (POST % b"Content-Length: 1025", 413),
    ],
)
def test_limits_do_not_depend_on_arrival(data, code, step):
    assert outcome(data, step, route=lambda head: Route(1024)) == ([], code)


@pytest.mark.parametrize("step", STEPS)
def test_requests_within_the_limits_are_parsed(step):
    fields = b"X: " + b"a" * (parser.MAX_HEADER - len(b"Host: a\r\nX: \r\n\r\n"))
    data = b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n\r\n"
    data += POST % b"Content-Length: 1024" + b"b" * 1024
    assert outcome(data, step, route=lambda head: Route(1024)) == (
        [("GET", "/", b""), ("POST", "/", b"b" * 1024)],
        None,
    )


def test_each_head_is_routed_once_and_the_same_one_only_the_first_time():
    heads = []

    def route(head):
        heads.append(head.target)
        return Route()

    reader = RequestParser(route=route)
    reader.feed(GET * 2 + GET.replace(b"/", b"/x", 1) + GET)
    routes = [reader.next().route for _ in range(4)]
    assert heads == ["/", "/x", "/"]
    assert routes[0] is routes[1] is not routes[2]


def test_the_state_follows_the_bytes():
    found = RequestParser()
    for data, state in (
        (b"", ParserState.IDLE),
        (b"\r\n", ParserState.IDLE),
        (b"P", ParserState.HEAD),
        ((POST % b"Content-Length: 2")[1:], ParserState.BODY),
        (b"{", ParserState.BODY),
    ):
        found.feed(data)
        assert found.next() is None and found.state is state
    found.feed(b"}")
    assert found.next().body == b"{}"
    assert found.state is ParserState.IDLE and found.buffered == 0


def test_a_100_is_due_once_while_the_body_is_missing():
    found = RequestParser()
    found.feed(POST % b"Content-Length: 2\r\nExpect: 100-continue")
    assert found.next() is None
    assert found.take_continue() and not found.take_continue()
    found.feed(b"{}")
    assert found.next().body == b"{}" and not found.take_continue()


@pytest.mark.parametrize(
    "fields", [b"Content-Length: 0\r\nExpect: 100-continue", b"Expect: 100-continue"]
)
def test_no_100_is_due_without_a_body(fields):
    found = RequestParser()
    found.feed(POST % fields)
    assert found.next() is not None and not found.take_continue()


def test_no_100_is_due_in_http_10():
    found = RequestParser()
    found.feed(b"POST / HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert found.next() is None and not found.take_continue()


def test_nothing_is_parsed_after_an_error():
    found = RequestParser()
    found.feed(b"bad\r\n\r\n")
    with pytest.raises(errors.BadRequest):
        found.next()
    found.feed(GET)
    with pytest.raises(errors.BadRequest):
        found.next()
    assert found.buffered == 0


def test_requests_have_peer_and_gone_of_their_client():
    found = RequestParser(peer="192.0.2.1", gone=lambda: True)
    found.feed(GET)
    request = found.next()
    assert request.peer == "192.0.2.1" and request.gone() is True


def mutations(count):
    """Yield valid streams with a few bytes changed, dropped, doubled or moved, always the same."""
    chance = random.Random(2)
    seeds = [
        GET + GET,
        POST % b"Content-Length: 5" + b"hello" + GET,
        CHUNKED + b"5;a=b\r\nhello\r\n0\r\nX-T: 1\r\n\r\n" + GET,
        b"GET http://a/x?y=%20 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ]
    pieces = [
        b"\r",
        b"\n",
        b"\r\n",
        b" ",
        b"\t",
        b":",
        b"0",
        b"\0",
        b"\xff",
        b"chunked",
        b"%",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"HTTP/1.0",
        b"5",
    ]
    for _ in range(count):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(data))
            data[at : at + chance.randint(0, 3)] = chance.choice(pieces)
        yield bytes(data)


def test_mutated_streams_parse_the_same_however_they_arrive():
    refused = 0
    for data in mutations(3000):
        whole = outcome(data, 1 << 30)
        assert outcome(data, 1) == whole == outcome(data, 5), data
        refused += whole[1] is not None
    assert refused > 1000


@pytest.mark.parametrize("step", STEPS)
def test_a_body_of_very_many_chunks_is_refused(monkeypatch, step):
    monkeypatch.setattr(parser, "MAX_CHUNKS", 3)
    data = CHUNKED + b"1\r\na\r\n" * 2 + b"0\r\n\r\n"
    assert outcome(data, step) == ([("POST", "/", b"aa")], None)
    data = CHUNKED + b"1\r\na\r\n" * 3 + b"0\r\n\r\n"
    assert outcome(data + GET, step) == ([], 400)


def test_a_repeated_head_is_parsed_the_same():
    found, heads = (
        RequestParser(),
        [GET, POST % b"Content-Length: 2" + b"{}", GET, GET.replace(b"/", b"/2", 1)],
    )
    for data in heads * 2:
        found.feed(data)
        request = found.next()
        fresh = RequestParser()
        fresh.feed(data)
        assert request == fresh.next()
    long = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * parser.MAX_REMEMBERED + b"\r\n\r\n"
    found.feed(long)
    request = found.next()
    assert request.headers.get("x").startswith("aaa") and found._remembered is None
    assert found._route is not request.route  # which may hold a long path
