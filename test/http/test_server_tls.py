"""The server over TLS: handshakes, certificates, clients that stall."""

import logging
import socket
import ssl
import struct
import threading

import pytest

from ganeti.http.connection import Deadlines
from ganeti.http.message import Response
from ganeti.http.server import HANDSHAKE_BATCH
from ganeti.http.tls import make_ssl_context
from ganeti.utils import limits
from support.http import TIMEOUT, certificate, running

LIMITS = Deadlines()


@pytest.fixture
def web():
    with running() as found:
        yield found


@pytest.fixture
def secure():
    with running(ssl_context=make_ssl_context(certificate())) as found:
        yield found


def test_the_server_speaks_tls(secure):
    client = secure.connect_tls(alpn=["h2", "http/1.1"])
    assert client.sock.selected_alpn_protocol() == "http/1.1"
    for number in range(3):
        assert client.ask(f"/{number}")[2] == b'["GET", "/%d", ""]' % number


def test_large_bodies_pass_through_tls():
    with running(
        lambda request: Response(200, request.body * 5), ssl_context=make_ssl_context(certificate())
    ) as web:
        body = bytes(range(256)) * 4000
        assert web.connect_tls().ask(method="POST", body=body)[2] == body * 5


def test_pipelined_requests_are_answered_over_tls(secure):
    client = secure.connect_tls()
    client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(2000)))
    assert [client.answer()[2] for _ in range(2000)] == [
        b'["GET", "/%d", ""]' % number for number in range(2000)
    ]


def test_tls_ends_with_close_notify(secure):
    client = secure.connect_tls()
    client.sock.suppress_ragged_eofs = False
    assert client.ask(fields="Connection: close\r\n")[0] == 200
    assert client.ended()  # without close_notify this would raise


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("step", [1, 1000])
def test_plain_http_on_a_tls_port_is_answered_with_400(secure, caplog, method, step):
    caplog.set_level(logging.INFO)
    data = f"{method} / HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    plain = secure.connect()
    for start in range(0, len(data), step):
        plain.send(data[start : start + step])
    status, _, body = plain.answer()
    assert status == 400 and b"https://" in body and plain.ended()
    (line,) = refusals(caplog, "Refused a request")
    assert line.startswith("Refused a request from 127.0.0.1 port ") and "plain HTTP" in line


def refusals(caplog, beginning):
    """Return the lines of the log that begin with a text."""
    return [
        text for record in caplog.records if (text := record.getMessage()).startswith(beginning)
    ]


def test_other_noise_on_a_tls_port_gets_no_answer(secure, caplog):
    caplog.set_level(logging.INFO)
    noise = secure.connect().send(b"SSH-2.0-OpenSSH_9.2p1\r\n")
    assert noise.rest()[:4] != b"HTTP"
    client = secure.connect_tls()
    assert client.status() == 200 and secure.clients() == 1
    (line,) = refusals(caplog, "TLS handshake with 127.0.0.1 port ")
    assert line.endswith(" failed: unknown protocol (not TLS)")


def shake(web, **options):
    """Fail a handshake with these settings; return once the server has forgotten the client."""
    context = ssl.create_default_context(cafile=options.pop("cafile", certificate()))
    context.check_hostname = False
    for name, value in options.items():
        if callable(getattr(context, name)):
            getattr(context, name)(value)
        else:
            setattr(context, name, value)
    with (
        socket.create_connection(web.address, timeout=TIMEOUT) as sock,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(sock)
    assert web.clients() == 0


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"cafile": None}, "the client rejected our certificate: unknown authority"),
        (
            {"maximum_version": ssl.TLSVersion.TLSv1_2, "set_ciphers": "AES128-GCM-SHA256"},
            "no shared cipher",
        ),
        ({"set_alpn_protocols": ["h2"]}, "no shared protocol (ALPN); http/1.1 is offered"),
        (
            {
                "maximum_version": ssl.TLSVersion.TLSv1_1,
                "set_ciphers": "DEFAULT:@SECLEVEL=0",
                "minimum_version": ssl.TLSVersion.TLSv1,
            },
            "no shared TLS version (1.2 and 1.3 are offered)",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.*TLSv1:DeprecationWarning")
def test_a_failed_handshake_is_logged_with_its_reason(secure, caplog, options, reason):
    caplog.set_level(logging.INFO)
    shake(secure, **options)
    (line,) = refusals(caplog, "TLS handshake")
    assert line.startswith("TLS handshake with 127.0.0.1 port ")
    assert line.endswith(f" failed: {reason}")


def test_a_client_that_leaves_in_the_handshake_is_logged(secure, caplog):
    caplog.set_level(logging.INFO)
    secure.connect().send(b"\x16\x03\x01\x00\xc8\x01").close()
    assert secure.clients() == 0
    (line,) = refusals(caplog, "TLS handshake")
    assert line.endswith(" failed: closed during the handshake")


@pytest.mark.parametrize("end", [b"", struct.pack("ii", 1, 0)])
def test_a_health_check_that_only_connects_is_not_logged(secure, caplog, end):
    caplog.set_level(logging.INFO)
    client = secure.connect()
    if end:  # a reset instead of an orderly end
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, end)
    client.close()
    assert secure.clients() == 0
    assert not caplog.records


def test_failed_handshakes_cannot_fill_the_log(secure, caplog):
    caplog.set_level(logging.INFO)
    for _ in range(30):
        secure.connect().send(b"noise, no TLS").rest()
    assert secure.clients() == 0
    assert len(refusals(caplog, "TLS handshake")) == limits.PER_ADDRESS
    secure.pass_time(limits.PERIOD)
    assert refusals(caplog, "20 more lines about failed handshakes suppressed")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"x\r\n\r\n", "400 "),
        (b"GET / HTTP/1.1\r\n\r\n", "400 "),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", "414 "),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", "413 "),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20000 + b"\r\n\r\n", "431 "),
        (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", "505 "),
    ],
)
def test_a_request_that_cannot_be_read_is_logged_with_its_reason(web, caplog, data, words):
    caplog.set_level(logging.INFO)
    client = web.connect().send(data)
    client.answer()
    (line,) = refusals(caplog, "Refused a request from 127.0.0.1 port ")
    assert f": {words}" in line and len(line) < 200


def test_an_unfinished_request_is_logged_after_its_deadline(web, caplog):
    caplog.set_level(logging.INFO)
    client = web.connect().send(b"GET / HT")
    web.pass_time(LIMITS.header)
    assert client.answer()[0] == 408
    assert refusals(caplog, "Refused a request from 127.0.0.1 port ")[0].endswith(
        ": 408 Request Timeout"
    )


def test_a_handshake_has_a_deadline(secure, caplog):
    caplog.set_level(logging.INFO)
    secure.connect()
    client = secure.connect().send(b"\x16\x03\x01\x00\xc8\x01")
    secure.pass_time(LIMITS.handshake)
    assert client.ended() and secure.clients() == 0
    (line,) = refusals(caplog, "TLS handshake")  # of the one that had begun
    assert line.endswith(" failed: not finished after 5 s")


def test_the_deadline_starts_anew_after_the_handshake(secure):
    client = secure.connect_tls()
    secure.pass_time(LIMITS.header - 1)
    assert client.status() == 200


class QueuedHandshake:
    """Handshake that is queued; records when its turn came."""

    def __init__(self, name, turns):
        self.name, self.turns = name, turns

    def continue_handshake(self):
        self.turns.append(self.name)


def test_other_events_are_handled_between_handshakes(web):
    turns, done = [], threading.Event()

    def somebody_else():
        turns.append("else")
        if turns.count("new") + turns.count("begun") < 2 * HANDSHAKE_BATCH + 1:
            web.server.loop.call_soon(somebody_else)
        else:
            done.set()

    def begin():
        for _ in range(2 * HANDSHAKE_BATCH):
            web.server.queue_handshake(QueuedHandshake("new", turns), False)
        web.server.queue_handshake(QueuedHandshake("begun", turns), True)
        somebody_else()

    web.call(begin)
    assert done.wait(TIMEOUT)
    rounds = "".join(turn[0] for turn in turns).split("e")
    assert [word for word in rounds if word] == [
        "b" + "n" * (HANDSHAKE_BATCH - 1),
        "n" * HANDSHAKE_BATCH,
        "n",
    ]


def test_a_certificate_is_swapped_without_dropping_anybody(secure):
    old = secure.connect_tls()
    assert old.status() == 200
    secure.server.set_ssl_context(make_ssl_context(certificate("other")))
    assert secure.connect_tls(certificate("other")).status() == 200
    assert old.status() == 200
