"""Golden pairs: NAME.http is what a client sends, NAME.json what it must mean.

Every pair is replayed whole, byte by byte, and cut in two at every place; and through a
connection to a server, which must answer each request once, a refused one also once, and
nothing that comes after it.
"""

import json
import re
import socket

import pytest

from ganeti.http.errors import HttpError
from ganeti.http.message import Response
from ganeti.http.parser import RequestParser
from support import DATA
from support.http import running

WIRE = DATA / "http"
PAIRS = sorted(path.stem for path in WIRE.glob("*.http"))


def seen(request, fields):
    """The fields of a request, in the form that the expectations have."""
    values = {name: getattr(request, name) for name in fields}
    values["headers"] = [list(item) for item in request.headers]
    values["body"] = request.body.decode("latin-1")
    return values


def read(pieces):
    """What a stream means that arrives in these pieces, in the form of the expectations."""
    reader = RequestParser()
    requests = []
    for piece in pieces:
        reader.feed(piece)
        try:
            while (request := reader.next()) is not None:
                requests.append(request)
        except HttpError as err:
            return requests, {"refused": err.code}
    return requests, {"waits": reader.phase.name}


def check(pieces, expected):
    """Compare, field by field."""
    requests, end = read(pieces)
    wanted = expected["requests"]
    assert [seen(request, want) for request, want in zip(requests, wanted)] == wanted
    assert len(requests) == len(wanted)
    assert end == {key: expected[key] for key in ("refused", "waits") if key in expected}


def load(name):
    """Bytes and expectation of a pair."""
    return (
        (WIRE / f"{name}.http").read_bytes(),
        json.loads((WIRE / f"{name}.json").read_text(encoding="utf-8")),
    )


def test_there_are_pairs():
    assert len(PAIRS) >= 700
    assert PAIRS == sorted(path.stem for path in WIRE.glob("*.json"))


@pytest.mark.parametrize("name", PAIRS)
def test_means_what_it_must(name):
    data, expected = load(name)
    check([data], expected)


@pytest.mark.parametrize("name", PAIRS)
def test_means_the_same_wherever_it_is_cut(name):
    data, expected = load(name)
    check([data[index : index + 1] for index in range(len(data))], expected)
    for cut in range(1, len(data)):
        check([data[:cut], data[cut:]], expected)


# -- through a connection --------------------------------------------------------------


@pytest.fixture(scope="module")
def server():
    """A server that tells the target of each request that reaches it."""
    with running(lambda request: Response(200, request.target.encode("latin-1"))) as found:
        yield found


def converse(server, pieces):
    """Say this to the server and end our side: (status, body) of every answer, until it ends
    its own."""
    client = server.connect()
    try:
        for piece in pieces:
            client.send(piece)
            server.call()  # what has come is read before more comes
        client.sock.shutdown(socket.SHUT_WR)
        return answers(client.rest())
    finally:
        client.close()


def answers(data):
    """Each answer in a stream but the interim ones: (200, body), or for a refusal (status, does
    it say that the connection ends?). That of a HEAD has no body: what follows is an answer."""
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


def due(expected):
    """What must be answered, in the same form. A connection that is to end after an answer is
    not read any further."""
    found = []
    for request in expected["requests"]:
        found.append((200, "" if request["method"] == "HEAD" else request["target"]))
        if not request["keep_alive"]:
            return found
    return found + ([(expected["refused"], True)] if "refused" in expected else [])


@pytest.mark.parametrize("name", PAIRS)
def test_every_request_is_answered_once_and_nothing_after_a_refusal(server, name):
    data, expected = load(name)
    for cut in {0, len(data) // 3, len(data) // 2, len(data) - 1}:
        assert converse(server, [data[:cut], data[cut:]]) == due(expected)
