"""Which protocols a TLS client offers to speak, from its first bytes (ALPN, RFC 7301).

A server that knows none of them must end the handshake and say why (3.2). Else whoever
can redirect connections has a client of one protocol talk to a server of another, which
is not what either was made for (the ALPACA attack, 2021). OpenSSL would do so; Python's
``ssl`` has it go on without a protocol instead, and does not tell what was offered.
"""

from __future__ import annotations

_HANDSHAKE, _CLIENT_HELLO, _ALPN = 22, 1, 16
#: Type, version and length of a record.
HEADER = 5


class _Bytes:
    """Fields of a message, one after the other; ``ValueError`` where one ends too early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def __bool__(self) -> bool:
        return self._place < len(self._data)

    def take(self, count: int) -> bytes:
        """So many bytes."""
        end = self._place + count
        if end > len(self._data):
            raise ValueError("the message ends too early")
        found, self._place = self._data[self._place : end], end
        return found

    def number(self, size: int) -> int:
        """A number of so many bytes."""
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """What a length of so many bytes stands before."""
        return self.take(self.number(size))


def is_complete(data: bytes) -> bool:
    """Is the first record here?"""
    return len(data) >= HEADER and len(data) >= HEADER + int.from_bytes(data[3:HEADER], "big")


def offered_protocols(data: bytes) -> list[bytes] | None:
    """The protocols of a ClientHello (RFC 8446, 4.1.2) that stands in one record.

    None where it names none, and where the bytes are something else: what that is worth
    OpenSSL knows.
    """
    try:
        record = _Bytes(data)
        if record.number(1) != _HANDSHAKE:
            return None
        record.take(2)
        message = _Bytes(record.vector(2))
        if message.number(1) != _CLIENT_HELLO:
            return None
        hello = _Bytes(message.vector(3))
        hello.take(2 + 32)  # version, random
        for size in (1, 2, 1):  # session, suites, compression
            hello.vector(size)
        extensions = _Bytes(hello.vector(2))
        while extensions:
            kind, body = extensions.number(2), extensions.vector(2)
            if kind == _ALPN:
                return _names(_Bytes(_Bytes(body).vector(2)))
    except ValueError:
        pass
    return None


def _names(names: _Bytes) -> list[bytes]:
    found = []
    while names:
        found.append(names.vector(1))
    return found
