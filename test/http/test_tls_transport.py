"""TLS in bounded pieces over a pair of sockets, with strange records of the client."""

import contextlib
import socket
import ssl

import pytest

from ganeti.http import tls
from ganeti.http.tls import TlsTransport, make_ssl_context
from support.http import TIMEOUT, certificate


class TransportPair:
    """Our side of a connection, and a client whose bytes the test transfers."""

    def __init__(self, protocols=()):
        ours, self.wire = socket.socketpair()
        ours.setblocking(False)
        self.wire.settimeout(TIMEOUT)
        self.sock = ours
        self.server = TlsTransport(ours, make_ssl_context(certificate()))
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl._create_unverified_context()
        if protocols:
            context.set_alpn_protocols(protocols)
        self.client = context.wrap_bio(self.incoming, self.outgoing)

    def to_server(self, data=b"", size=None):
        """Transfer the client's bytes, or the first of them; return the rest."""
        if data:
            self.client.write(data)
        written = self.outgoing.read()
        self.wire.sendall(written[:size])
        return b"" if size is None else written[size:]

    def to_client(self):
        """Transfer the server's bytes."""
        self.incoming.write(self.wire.recv(1 << 20))

    def do_handshake(self):
        """Complete the handshake (of TLS 1.3) on both sides."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.client.do_handshake()
        self.to_server()
        with contextlib.suppress(ssl.SSLWantReadError):
            self.server.continue_handshake()
        self.to_client()
        self.client.do_handshake()
        self.to_server()
        self.server.continue_handshake()
        return self

    def received(self):
        """Return what each call of our side receives until it would block."""
        found = []
        with contextlib.suppress(ssl.SSLWantReadError):
            while data := self.server.recv(1 << 16):
                found.append(data)
        return found


@pytest.fixture
def pair():
    found = TransportPair()
    with found.sock, found.wire:
        yield found.do_handshake()


def test_data_goes_both_ways(pair):
    pair.to_server(b"question")
    assert pair.received() == [b"question"] and not pair.server.pending
    assert pair.server.send(memoryview(b"answer")) == 6
    pair.to_client()
    assert pair.client.read(100) == b"answer"


def test_receiving_without_data_wants_read(pair):
    with pytest.raises(ssl.SSLWantReadError):
        pair.server.recv(100)


def test_records_received_together_are_pending(pair):
    pair.client.write(b"one")
    pair.client.write(b"two")
    pair.to_server()
    assert pair.server.recv(100) == b"one" and pair.server.pending
    assert pair.server.recv(100) == b"two" and not pair.server.pending


def test_a_call_receives_one_piece(pair, monkeypatch):
    monkeypatch.setattr(tls, "RECEIVE_SIZE", 100)
    pair.to_server(bytes(1000))
    calls = 0
    with contextlib.suppress(BlockingIOError):
        while pair.sock.recv(1, socket.MSG_PEEK):
            with contextlib.suppress(ssl.SSLWantReadError):
                assert pair.server.recv(1 << 16) == bytes(1000)
            calls += 1
    assert calls == 11  # 1,000 bytes and what makes a record of them


def test_the_largest_records_are_received(pair):
    pair.wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    data = bytes(16 * 1024) * 5
    pair.to_server(data)
    found = b""
    while len(found) < len(data):
        with contextlib.suppress(ssl.SSLWantReadError):
            found += pair.server.recv(1 << 16)
    assert found == data


def test_too_many_bytes_without_data_are_an_error(pair, monkeypatch):
    monkeypatch.setattr(tls, "RECEIVE_SIZE", 100)
    monkeypatch.setattr(tls, "MAX_SILENT", 500)
    pair.to_server(bytes(1000), size=900)  # a record that does not end
    with pytest.raises(ssl.SSLError, match="600 bytes received without any data"):
        for _ in range(9):
            with contextlib.suppress(ssl.SSLWantReadError):
                pair.server.recv(100)


def test_data_resets_the_count_of_bytes_without_data(pair, monkeypatch):
    monkeypatch.setattr(tls, "MAX_SILENT", 500)
    for _ in range(5):
        pair.to_server(bytes(300))
        assert pair.received() == [bytes(300)]


def test_sending_to_a_full_socket_wants_write(pair):
    pair.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    data, sent, received = memoryview(bytes(range(256)) * 400), 0, b""
    while sent < len(data):
        try:
            sent += pair.server.send(data[sent:])
        except ssl.SSLWantWriteError:
            pair.to_client()
    pair.server.send_close_notify()
    while len(received) < len(data):
        try:
            received += pair.client.read(1 << 16)
        except ssl.SSLWantReadError:
            pair.to_client()
    assert received == data


@pytest.mark.parametrize("close_notify", [True, False])
def test_the_end_is_received_with_and_without_close_notify(pair, close_notify):
    if close_notify:
        with contextlib.suppress(ssl.SSLWantReadError):
            pair.client.unwrap()
        pair.to_server()
    pair.wire.shutdown(socket.SHUT_WR)
    assert pair.server.recv(100) == b""


def test_close_notify_is_sent(pair):
    pair.server.send_close_notify()
    pair.to_client()
    with pytest.raises((ssl.SSLZeroReturnError, ssl.SSLWantReadError)):
        pair.client.unwrap()
        pair.client.read(1)


def test_a_modified_record_is_answered_by_an_alert(pair):
    pair.client.write(b"question")
    changed = bytearray(pair.outgoing.read())
    changed[-1] ^= 1
    pair.wire.sendall(changed)
    with pytest.raises(ssl.SSLError):
        pair.server.recv(100)
    pair.to_client()
    with pytest.raises(ssl.SSLError, match="(?i)bad record mac"):
        pair.client.read(100)


def test_a_client_without_a_hello_is_refused():
    pair = TransportPair()
    with pair.sock, pair.wire:
        pair.wire.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(ssl.SSLError):
            pair.server.continue_handshake()


#: As long as the ClientHello of a browser that offers X25519MLKEM768, and longer than a piece.
LONG, LONGER = ("x" * 255,) * 6, ("x" * 255,) * 40


@pytest.mark.parametrize("step", [1, 1400, tls.RECEIVE_SIZE])
@pytest.mark.parametrize(
    ("offer", "chosen"),
    [
        ((), None),
        (("h2", "http/1.1"), "http/1.1"),
        (("http/1.0",), "http/1.0"),
        (("h2",), ""),
        ((*LONG, "http/1.1"), "http/1.1"),
        (LONG, ""),
        ((*LONGER, "http/1.1"), "http/1.1"),
        (LONGER, ""),
    ],
)
def test_the_first_common_protocol_is_chosen_or_the_handshake_ends(step, offer, chosen):
    pair = TransportPair(offer)
    with pair.sock, pair.wire:
        with contextlib.suppress(ssl.SSLWantReadError):
            pair.client.do_handshake()
        data = pair.outgoing.read()
        for place in range(0, len(data), step):
            pair.wire.sendall(data[place : place + step])
            with contextlib.suppress(ssl.SSLError):
                pair.server.continue_handshake()
        pair.to_client()
        if chosen == "":
            with pytest.raises(ssl.SSLError, match="(?i)no application protocol"):
                pair.client.do_handshake()
        else:
            pair.client.do_handshake()
            assert pair.client.selected_alpn_protocol() == chosen


@pytest.mark.skipif(ssl.OPENSSL_VERSION_INFO < (3, 5), reason="OpenSSL has no X25519MLKEM768")
def test_the_hybrid_key_exchange_is_not_too_many_bytes(monkeypatch):
    monkeypatch.setattr(tls, "MAX_SILENT", 1000)  # less than the client's hello
    pair = TransportPair()
    with pair.sock, pair.wire:
        pair.do_handshake().to_server(b"question")
        assert pair.received() == [b"question"]
