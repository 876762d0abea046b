"""First bytes of TLS connections: correct, broken, and forbidden ones."""

import random
import socket
import ssl
import struct
import warnings

#: Types of records and of handshake messages, and codes of alerts (RFC 8446, sections 5.1, 4, 6).
ALERT, HANDSHAKE, APPLICATION = 21, 22, 23
CLIENT_HELLO, SERVER_HELLO = 1, 2
ALERTS = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    22: "record_overflow",
    40: "handshake_failure",
    42: "bad_certificate",
    43: "unsupported_certificate",
    45: "certificate_expired",
    47: "illegal_parameter",
    48: "unknown_ca",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    80: "internal_error",
    100: "no_renegotiation",
    109: "missing_extension",
    110: "unsupported_extension",
    112: "unrecognized_name",
    120: "no_application_protocol",
}


class ClientHandshake:
    """The client side of a handshake, without a socket."""

    def __init__(self, least=None, most=None, alpn=()):
        context = ssl._create_unverified_context()
        if alpn:
            context.set_alpn_protocols(list(alpn))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Old versions are what is tested.
            if most is not None:
                context.set_ciphers("ALL:@SECLEVEL=0")
                context.minimum_version = least or most
                context.maximum_version = most
        self.theirs, self.ours = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.theirs, self.ours, server_hostname="localhost")

    def hello(self):
        """Return the first flight."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self.ours.read()

    def shake(self, sock):
        """Complete the handshake over a socket."""
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(self.ours.read())
                self.theirs.write(sock.recv(1 << 16))
        sock.sendall(self.ours.read())

    def record(self, data):
        """Return data as it goes over the wire."""
        self.tls.write(data)
        return self.ours.read()


def record(kind, data, version=0x0301, length=None):
    """Return a record; ``length`` may be wrong."""
    return struct.pack("!BHH", kind, version, len(data) if length is None else length) + data


def handshake(kind, data, length=None):
    """Return a handshake message; ``length`` may be wrong."""
    return bytes([kind]) + (len(data) if length is None else length).to_bytes(3, "big") + data


def with_extension(hello, number, data):
    """Insert an extension at the beginning of a ClientHello's (some must be last)."""
    body = hello[9:]
    place = 34
    place += 1 + body[place]  # session id
    place += 2 + int.from_bytes(body[place : place + 2], "big")  # cipher suites
    place += 1 + body[place]  # compression
    extensions = struct.pack("!HH", number, len(data)) + data + body[place + 2 :]
    body = body[:place] + struct.pack("!H", len(extensions)) + extensions
    return record(HANDSHAKE, handshake(CLIENT_HELLO, body))


def mutated(seed):
    """Yield hellos endlessly: truncated, with bits flipped, with bytes added, lost or repeated."""
    chance = random.Random(seed)
    kinds = [
        ClientHandshake().hello(),
        ClientHandshake(most=ssl.TLSVersion.TLSv1_2).hello(),
        ClientHandshake(alpn=["h2", "http/1.1"]).hello(),
    ]
    while True:
        data = bytearray(chance.choice(kinds))
        for _ in range(chance.choice((0, 1, 1, 2, 8))):
            place = chance.randrange(len(data))
            what = chance.randrange(4)
            if what == 0:
                data[place] ^= 1 << chance.randrange(8)
            elif what == 1:
                data[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
            elif what == 2:
                data[place:place] = chance.randbytes(chance.randrange(1, 40))
            else:
                del data[place : place + chance.randrange(1, 40)]
        if chance.randrange(3) == 0:
            del data[chance.randrange(len(data)) :]
        yield bytes(data)


def odd():
    """Return, by name, first bytes that make no connection, and the expected answers."""
    hello = ClientHandshake().hello()
    inner = hello[5:]
    nothing = {"nothing"}
    old = {"protocol_version", "handshake_failure"}
    refused = nothing | {
        "unexpected_message",
        "decode_error",
        "illegal_parameter",
        "record_overflow",
        "protocol_version",
        "handshake_failure",
    }
    return {
        "a TLS 1.0 hello": (ClientHandshake(most=ssl.TLSVersion.TLSv1).hello(), old),
        "a TLS 1.1 hello": (ClientHandshake(most=ssl.TLSVersion.TLSv1_1).hello(), old),
        "an SSL 3.0 hello": (
            record(
                HANDSHAKE,
                handshake(CLIENT_HELLO, b"\x03\x00" + bytes(32) + b"\0\0\x02\x00\x0a\x01\0"),
                0x0300,
            ),
            refused,
        ),
        "an SSL 2.0 hello": (
            b"\x80\x1c\x01\x00\x02\x00\x03\x00\x00\x00\x10\x07\x00\xc0" + bytes(16),
            refused,
        ),
        "HTTP in clear text": (b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n", nothing),
        "SSH": (b"SSH-2.0-OpenSSH_9.2\r\n", refused),
        "nothing": (b"", refused),
        "64 KiB of zeros": (bytes(1 << 16), refused),
        "a record of 65,535 bytes": (record(HANDSHAKE, bytes(1 << 16), length=0xFFFF), refused),
        "a record of 16,641 bytes": (record(HANDSHAKE, inner + bytes(16641 - len(inner))), refused),
        "1,000 empty records": (record(HANDSHAKE, b"") * 1000, refused),
        "a hello that says 16 MiB": (
            record(HANDSHAKE, handshake(CLIENT_HELLO, bytes(8000), 0xFFFFFF)),
            refused,
        ),
        "1,000 warnings": (record(ALERT, b"\x01\x5a") * 1000, refused),
        "1,000 changes of the cipher": (record(20, b"\x01") * 1000, refused),
        "data before the handshake": (record(APPLICATION, bytes(1000)), refused),
        "a heartbeat": (record(24, b"\x01\x40\x00"), refused),
        "a server's hello": (record(HANDSHAKE, handshake(SERVER_HELLO, inner[4:])), refused),
        "two hellos in a row": (hello + hello, refused | {"hello"}),
        "a hello and early data that were never agreed on": (
            with_extension(hello, 42, b"") + record(APPLICATION, bytes(16000), 0x0303) * 2,
            refused | {"hello"},
        ),  # What follows a hello is encrypted.
        "a hello with 60,000 bytes more": (with_extension(hello, 21, bytes(60_000)), refused),
    }


def fragments():
    """Return a hello in records of one byte each, which RFC 8446 (section 5.1) allows."""
    return b"".join(record(HANDSHAKE, bytes([byte])) for byte in ClientHandshake().hello()[5:])


# -- what comes back --------------------------------------------------------------------


def ask(port, data, timeout):
    """Send bytes and close; return what the server sends; raise ``TimeoutError``."""
    with socket.create_connection(("127.0.0.1", port), timeout) as sock:
        answer = b""
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while piece := sock.recv(1 << 16):
                answer += piece
        except TimeoutError:
            raise
        except OSError:
            pass  # The server ended first.
        return told(answer)


def told(answer):
    """Describe an answer: the hello and the alerts that are readable."""
    words = []
    while len(answer) >= 5:
        kind, _, length = struct.unpack("!BHH", answer[:5])
        data, answer = answer[5 : 5 + length], answer[5 + length :]
        if kind == ALERT and length == 2:
            words.append(ALERTS.get(data[1], f"alert {data[1]}"))
        elif kind == HANDSHAKE and data[:1] == bytes([SERVER_HELLO]):
            words.append("hello")
    return ", ".join(words) or "nothing"
