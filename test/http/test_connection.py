"""One client against the server: what it may do to itself, and how long it may take."""

import gc
import socket
import struct
import threading

import pytest

from ganeti.http.connection import MAX_AHEAD, Connection, Deadlines
from ganeti.http.message import Response
from ganeti.utils.limits import BodyBudget
from support.http import TIMEOUT, running

GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
LIMITS = Deadlines()


@pytest.fixture
def web():
    with running() as found:
        yield found


# -- requests and answers -----------------------------------------------------------


def test_a_connection_serves_one_request_after_the_other(web):
    client = web.connect()
    for number in range(5):
        status, headers, body = client.ask(f"/{number}")
        assert (status, body) == (200, b'["GET", "/%d", ""]' % number)
    assert "connection" not in headers and headers["server"] == "Ganeti-RAPI/test"
    assert headers["date"] == "Thu, 01 Jan 1970 00:00:00 GMT"


def test_pipelined_requests_are_answered_in_order(web):
    client = web.connect().send(b"".join(GET % number for number in range(20)))
    assert [client.answer()[2] for _ in range(20)] == [
        b'["GET", "/%d", ""]' % number for number in range(20)
    ]


def test_a_request_may_come_byte_by_byte(web):
    client = web.connect()
    for byte in b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}":
        client.send(bytes([byte]))
    assert client.answer()[2] == b'["PUT", "/x", "{}"]'


def test_head_has_no_body_and_disturbs_nothing(web):
    client = web.connect()
    status, headers, body = client.ask(method="HEAD")
    assert (status, headers["content-length"], body) == (200, "17", b"")
    assert client.ask()[2] == b'["GET", "/", ""]'


WAITING = b"PUT %b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"


def test_a_body_that_does_not_matter_is_not_asked_for():
    def answer_from_head(request):
        assert (request.method, request.body, request.keep_alive) == ("PUT", b"", False)
        return {"/bad": Response(404, b"{}"), "/broken": 1}.get(request.path)

    with running(routing={"answer_from_head": answer_from_head}) as web:
        client = web.connect().send(WAITING % b"/bad")
        status, headers, body = client.answer()
        assert (status, body, headers["connection"]) == (404, b"{}", "close")
        access = web.access()
        assert (access.request.path, access.response.status) == ("/bad", 404)
        client.send(b"{}")  # all the same
        assert client.ended()
        client = web.connect().send(WAITING % b"/good")
        assert client.answer()[0] == 100
        assert client.send(b"{}").answer()[2] == b'["PUT", "/good", "{}"]'


def test_a_failure_to_answer_from_the_head_is_answered():
    def answer_from_head(request):
        raise ZeroDivisionError

    with running(routing={"answer_from_head": answer_from_head}) as web:
        assert web.connect().send(WAITING % b"/").answer()[0] == 500
        assert web.connect().ask()[0] == 200


def test_a_head_in_small_letters_ends_its_connection(web):
    # A proxy that does not know the word waits for a body, and must not take another answer.
    client = web.connect().send(b"head / HTTP/1.1\r\nHost: a\r\n\r\n" + GET % 1)
    assert client.rest().endswith(b"Connection: close\r\n\r\n")


@pytest.mark.parametrize(
    "request_bytes",
    [b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"],
)
def test_the_connection_ends_when_the_client_wants(web, request_bytes):
    client = web.connect().send(request_bytes)
    assert client.answer()[1]["connection"] == "close" and client.ended()


def test_http_10_keeps_its_connection_on_request(web):
    client = web.connect()
    for _ in range(2):
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert client.answer()[1]["connection"] == "keep-alive"


def test_large_bodies_pass_in_both_directions():
    with running(lambda request: Response(200, request.body * 8)) as web:
        body = bytes(range(256)) * 4000
        for client in (web.connect(), web.connect()):
            assert client.ask(method="POST", body=body)[2] == body * 8


def test_100_continue_is_sent_before_the_body(web):
    client = web.connect().send(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    )
    assert client.answer()[0] == 100
    assert client.send(b"{}").answer()[2] == b'["POST", "/", "{}"]'


def test_a_client_that_ended_its_side_still_gets_its_answer(web):
    client = web.connect().send(GET % 1 + GET % 2)
    client.sock.shutdown(socket.SHUT_WR)
    assert client.answer()[2] == b'["GET", "/1", ""]'
    assert client.answer()[2] == b'["GET", "/2", ""]'
    assert client.ended()


# -- refusals -------------------------------------------------------------------------


def test_a_malformed_request_gets_json_and_the_end(web):
    client = web.connect().send(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n" + GET % 2)
    status, headers, body = client.answer()
    assert status == 400 and headers["content-type"] == "application/json"
    assert b'"code":400' in body and headers["connection"] == "close"
    assert client.ended()
    assert web.access().response.status == 400


def test_bodies_that_are_held_back_are_refused(web):
    web.server.bodies = BodyBudget(100_000)
    stuck = [
        web.connect().send(b"POST / HTTP/1.1\r\nHost: a\r\n" + kind + b"\r\n\r\n" + begin)
        for kind, begin in (
            (b"Content-Length: 50000", b"x" * 49999),
            (b"Transfer-Encoding: chunked", b"C350\r\n" + b"x" * 50000),
        )
    ]
    for _ in range(2):  # some rounds, of 16 KiB each
        web.wait_until_read()
    assert web.server.bodies.total > 99_000
    body = b"y" * 40_000
    assert web.connect().ask(method="POST", body=body)[0] == 200
    status, headers, _ = stuck[0].answer()
    assert status == 503 and headers["retry-after"] == "1" and stuck[0].ended()
    assert stuck[1].send(b"\r\n0\r\n\r\n").answer()[0] == 200
    assert web.server.bodies.total == 0


def test_a_client_that_leaves_releases_its_body(web):
    client = web.connect().send(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n" + b"x" * 49999
    )
    web.wait_until_read()
    assert web.server.bodies.total > 0
    client.close()
    web.wait_until_read()
    assert web.server.bodies.total == 0


def test_an_answer_arrives_although_the_rest_is_never_read():
    with running(routing={"max_body": 10}) as web:
        client = web.connect()
        with pytest.raises(OSError):  # it goes on sending until we have closed
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n")
            assert client.answer()[0] == 413
            web.pass_time(LIMITS.linger)
            while True:
                client.send(b"x" * 100000)


def test_a_client_that_only_sends_is_dropped_in_the_end(web):
    client = web.connect().send(b"bad\r\n\r\n" + b"x" * 200000)
    assert client.answer()[0] == 400 and web.clients() == 1
    web.pass_time(LIMITS.linger)
    assert web.clients() == 0


def test_a_reset_is_not_logged_and_affects_nobody(web, caplog):
    for data in (b"", b"GET", GET % 1):
        client = web.connect().send(data)
        web.wait_until_read()
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    assert web.clients() == 0
    assert web.connect().status() == 200
    assert not caplog.records


# -- deadlines ------------------------------------------------------------------------


def test_a_silent_client_is_dropped_after_the_header_time(web):
    client = web.connect()
    web.pass_time(LIMITS.header - 1)
    assert web.clients() == 1
    web.pass_time(1)
    assert client.ended() and web.clients() == 0


def test_the_first_header_has_its_time_from_the_connection(web):
    client = web.connect()
    web.wait_until_read()
    web.pass_time(LIMITS.header - 1)
    client.send(b"GET / HTTP/1.1\r\nHost:")
    web.wait_until_read()
    web.pass_time(1)
    assert client.answer()[0] == 408 and client.ended()


@pytest.mark.parametrize(
    ("begun", "seconds"),
    [
        (b"GET / HTTP/1.1\r\nHost:", LIMITS.header),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{", LIMITS.pace),
    ],
)
def test_trickling_bytes_do_not_extend_a_deadline(web, begun, seconds):
    client = web.connect().send(begun)
    for _ in range(4):
        web.pass_time(seconds / 5)
        client.send(b"a")
    web.pass_time(seconds / 5 + 0.1)
    assert client.answer()[0] == 408 and client.ended()


def test_a_body_that_keeps_its_pace_has_the_whole_time(web):
    client = web.connect().send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n")
    enough = b"x" * int(LIMITS.min_rate * LIMITS.pace)
    for _ in range(int(LIMITS.body / LIMITS.pace) - 1):
        web.wait_until_read()
        client.send(enough)
        web.pass_time(LIMITS.pace)
    assert web.clients() == 1
    client.send(enough)
    web.pass_time(LIMITS.pace)
    assert client.answer()[0] == 408 and client.ended()


def test_a_used_connection_may_be_idle_until_its_deadline(web):
    client = web.connect()
    for _ in range(3):
        assert client.status() == 200
        web.pass_time(LIMITS.idle - 1)
    assert client.status() == 200
    web.pass_time(LIMITS.idle)
    assert client.ended()


def test_a_slow_handler_has_no_deadline():
    release = threading.Event()
    with running(lambda _: (release.wait(TIMEOUT), Response(200, b"late"))[1]) as web:
        client = web.connect().request()
        web.pass_time(3600)
        release.set()
        assert client.answer()[2] == b"late"


def test_a_client_that_takes_nothing_is_dropped():
    with running(lambda _: Response(200, b"x" * 30_000_000)) as web:
        client = web.connect().request()
        assert client.sock.recv(1) == b"H"  # the answer has begun
        web.pass_time(LIMITS.write - 1)
        assert web.clients() == 1
        web.pass_time(LIMITS.write)
        assert web.clients() == 0


# -- while the handler works -------------------------------------------------------------


class BlockingHandler:
    """A handler that waits until it is told, and notes whether the client is gone."""

    def __init__(self):
        self.began, self.release = threading.Semaphore(0), threading.Event()
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        self.began.release()
        self.release.wait(TIMEOUT)
        return Response(200, request.path.encode())


@pytest.fixture
def slow():
    handler = BlockingHandler()
    yield handler
    handler.release.set()


def test_a_handler_learns_that_its_client_has_left(slow):
    with running(slow) as web:
        client = web.connect().request()
        assert slow.began.acquire(timeout=TIMEOUT)
        (request,) = slow.requests
        web.wait_until_read()
        assert not request.gone()
        client.close()
        web.wait_until_read()
        assert request.gone()
        slow.release.set()


def test_bytes_sent_ahead_are_limited(slow):
    with running(slow) as web:
        client = web.connect().request("/first")
        assert slow.began.acquire(timeout=TIMEOUT)
        padded = b"GET /%d HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1000 + b"\r\n\r\n"
        count = 4 * MAX_AHEAD // len(padded)
        sender = threading.Thread(
            target=client.send,
            daemon=True,
            args=(b"".join(padded % number for number in range(count)),),
        )
        sender.start()
        (connection,) = web.call(lambda: list(web.server._table.connections))
        for _ in range(20):
            web.wait_until_read()
            assert connection._parser.buffered <= 2 * MAX_AHEAD
        slow.release.set()
        assert client.answer()[2] == b"/first"
        bodies = [client.answer()[2] for _ in range(count)]
        assert bodies == [b"/%d" % number for number in range(count)]
        sender.join(TIMEOUT)


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", GET % 1, b"\r\r\n", b"GET"]
)
def test_closed_connections_leave_no_reference_cycles(web, data):
    def count():
        return sum(isinstance(thing, Connection) for thing in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = count()
        for _ in range(5):
            client = web.connect().send(data)
            client.sock.shutdown(socket.SHUT_WR)
            if client.rest():
                web.access()  # a line of the log knows its request
            client.close()
        web.wait_until_read()
        assert count() <= before + 1  # the loop may still remember the last one
    finally:
        gc.enable()
