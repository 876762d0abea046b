"""The recorded requests of test/data/http, read as their expectations say.

Each is parsed whole, byte by byte, and cut in two at every place. Then it is sent over a
connection: the server must answer each request once, a refused one included, and nothing that
follows a refusal.
"""

import re
import socket

import pytest

from ganeti.http.errors import HttpError
from ganeti.http.message import Response
from ganeti.http.parser import RequestParser
from support import recorded_requests
from support.http import running

NAMES = recorded_requests.names("http")


def as_recorded(request, fields):
    """Return the fields of a request in the form that the expectations have."""
    values = {name: getattr(request, name) for name in fields}
    values["headers"] = [list(item) for item in request.headers]
    values["body"] = request.body.decode("latin-1")
    return values


def parse(pieces):
    """Return the requests in a stream that arrives in these pieces, and how it ends."""
    reader = RequestParser()
    requests = []
    for piece in pieces:
        reader.feed(piece)
        try:
            while (request := reader.next()) is not None:
                requests.append(request)
        except HttpError as err:
            return requests, {"refused": err.code}
    return requests, {"waits": reader.state.name}


def assert_parsed(pieces, expected):
    """Compare the requests field by field, then how the stream ends."""
    requests, end = parse(pieces)
    wanted = expected["requests"]
    assert [as_recorded(request, want) for request, want in zip(requests, wanted)] == wanted
    assert len(requests) == len(wanted)
    assert end == {key: expected[key] for key in ("refused", "waits") if key in expected}


def test_every_request_has_a_subject_and_an_expectation():
    assert len(NAMES) >= 710
    assert all(name.count("/") == 1 for name in NAMES)
    assert not recorded_requests.unpaired("http")


@pytest.mark.parametrize("name", NAMES)
def test_request_in_one_piece_is_parsed_as_expected(name):
    data, expected = recorded_requests.read("http", name)
    assert_parsed([data], expected)


@pytest.mark.parametrize("name", NAMES)
def test_request_cut_anywhere_is_parsed_as_expected(name):
    data, expected = recorded_requests.read("http", name)
    assert_parsed([data[index : index + 1] for index in range(len(data))], expected)
    for cut in range(1, len(data)):
        assert_parsed([data[:cut], data[cut:]], expected)


# -- through a connection --------------------------------------------------------------


@pytest.fixture(scope="module")
def server():
    """Yield a server that answers each request with its target."""
    with running(lambda request: Response(200, request.target.encode("latin-1"))) as found:
        yield found


def answers_to(server, pieces):
    """Send the pieces, end our side, and return the answers that come until the server closes."""
    client = server.connect()
    try:
        for piece in pieces:
            client.send(piece)
            server.call()  # what has come is read before more comes
        client.sock.shutdown(socket.SHUT_WR)
        return parse_answers(client.rest())
    finally:
        client.close()


def parse_answers(data):
    """Return (200, body) for each answer, (status, whether it says Connection: close) for refusals.

    Interim answers are left out. The answer to a HEAD has a length and no body, so that the next
    answer follows at once.
    """
    found = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        status = re.match(rb"HTTP/1.1 (\d{3}) ", head)
        assert status, f"not an answer: {head!r}"
        length = re.search(rb"\r\nContent-Length: (\d+)", head)
        size = int(length[1]) if length and not data.startswith(b"HTTP/1.1 ") else 0
        if status[1] != b"100":
            found.append(
                (200, data[:size].decode("latin-1"))
                if status[1] == b"200"
                else (int(status[1]), b"\r\nConnection: close" in head)
            )
        data = data[size:]
    return found


def expected_answers(expected):
    """Return what parse_answers must find: nothing after an answer that ends the connection."""
    found = []
    for request in expected["requests"]:
        found.append((200, "" if request["method"] == "HEAD" else request["target"]))
        if not request["keep_alive"]:
            return found
    return found + ([(expected["refused"], True)] if "refused" in expected else [])


@pytest.mark.parametrize("name", NAMES)
def test_connection_answers_each_request_once_and_nothing_after_a_refusal(server, name):
    data, expected = recorded_requests.read("http", name)
    for cut in {0, len(data) // 3, len(data) // 2, len(data) - 1}:
        assert answers_to(server, [data[:cut], data[cut:]]) == expected_answers(expected)
