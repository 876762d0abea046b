"""Bodies that are made while they are sent, over real sockets."""

import itertools
import socket
import threading

import pytest

from ganeti.http.message import Response
from support.http import TIMEOUT, running


def chunks(client):
    """Return the pieces of a chunked body, or None if its end mark is missing."""
    found = []
    while True:
        line = client.file.readline()
        if not line:
            return None
        size = int(line, 16)
        data = client.file.read(size)
        assert client.file.readline() == b"\r\n"
        if not size:
            return found
        found.append(data)


def streaming(make, **options):
    return running(lambda request: Response(200, stream=make()), **options)


def test_pieces_are_chunks_and_the_connection_is_kept():
    with streaming(lambda: iter([b"ab", b"c" * 100_000])) as web:
        client = web.connect()
        for _ in range(2):
            status, headers, _ = client.ask()
            assert status == 200 and headers["transfer-encoding"] == "chunked"
            assert "content-length" not in headers
            assert chunks(client) == [b"ab", b"c" * 100_000]
            response = web.access().response
            assert response.size == 100_002 and response.whole


def test_pipelined_requests_are_answered_in_order():
    with running(lambda request: Response(200, stream=iter([request.path.encode()]))) as web:
        client = web.connect()
        client.send(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        for expected in (b"/1", b"/2"):
            client.answer()
            assert chunks(client) == [expected]


def test_an_http_10_client_reads_until_the_end():
    with streaming(lambda: iter([b"ab", b"cd"])) as web:
        client = web.connect().send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        _, headers, _ = client.answer()
        assert headers["connection"] == "close" and "transfer-encoding" not in headers
        assert client.rest() == b"abcd"


def test_no_piece_is_made_for_head():
    with streaming(lambda: iter([b"never"])) as web:
        client = web.connect()
        assert client.ask(method="HEAD")[1]["transfer-encoding"] == "chunked"
        assert client.ask(method="HEAD")[0] == 200


def test_a_body_that_fails_has_no_end_mark(caplog):
    def pieces():
        yield b"part"
        raise ZeroDivisionError

    with streaming(pieces) as web:
        client = web.connect()
        client.ask()
        assert chunks(client) is None
        response = web.access().response
        assert response.size == 4 and not response.whole
    assert "gets a part of its list: ZeroDivisionError" in caplog.text
    assert "Traceback" in caplog.text


def test_an_expected_error_is_logged_in_one_line(caplog):
    def pieces():
        yield b"part"
        raise ConnectionResetError("it is gone")

    with streaming(pieces, is_expected=lambda error: isinstance(error, OSError)) as web:
        client = web.connect()
        client.ask()
        assert chunks(client) is None
        web.access()
    assert "gets a part of its list: ConnectionResetError: it is gone" in caplog.text
    assert "Traceback" not in caplog.text


@pytest.fixture
def endless():
    """Make endless pieces of 64 KiB, and count them."""
    made = itertools.count()
    state = {"made": 0}

    def pieces():
        while True:
            state["made"] = next(made) + 1
            yield b"x" * 65536

    return pieces, state


def test_a_slow_reader_is_waited_for_and_holds_no_thread(endless):
    pieces, state = endless
    with running(
        lambda request: (
            Response(200, stream=pieces()) if request.path == "/long" else Response(200, b"short")
        ),
        workers=1,
    ) as web:
        slow = [web.connect() for _ in range(5)]
        for client in slow:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.request("/long")
        assert web.connect().ask("/short")[2] == b"short"
        seen, tick = -1, threading.Event()
        for _ in range(int(TIMEOUT / 0.2)):
            if state["made"] == seen:
                break
            seen = state["made"]
            tick.wait(0.2)
        assert state["made"] == seen < 1000  # nobody reads: nothing more is made
        web.pass_time(11)  # without a byte taken they are dropped
        assert web.clients() == 0


def test_a_client_that_leaves_is_logged_and_no_more_pieces_are_made(endless):
    pieces, state = endless
    with streaming(pieces) as web:
        client = web.connect()
        client.ask()
        assert client.file.readline() == b"10000\r\n"
        client.close()
        assert web.access().response.size > 0
        assert web.clients() == 0
        made = state["made"]
        web.wait_until_read()
        assert state["made"] <= made + 1
