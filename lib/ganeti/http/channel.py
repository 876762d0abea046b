"""TLS over a socket that does not block, a bounded piece at a time.

Theory. ``ssl.SSLSocket`` reads until some record holds data for us. A client can send
records that hold none (RFC 8446, 4.6.3: the KeyUpdate) as fast as they are read, and a
single call then lasts as long as that client likes, while everybody else waits. So we
receive, and OpenSSL gets what we received: at most ``PIECE`` bytes for a call. A client
that has sent ``MAX_SILENT`` bytes and no data in them has nothing to say.

What a method cannot do now it says as the ``ssl`` module does: ``SSLWantReadError`` and
``SSLWantWriteError`` ask to be called again when the socket is ready for that.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

from ganeti.http import hello, tls

#: Bytes for OpenSSL at a time: some 300 KeyUpdates, which take about 5 ms.
PIECE = 8 * 1024
#: Bytes without data that a client may send in a row. A record has 16 KiB and some, and
#: nobody changes keys more than once for millions of records.
MAX_SILENT = 32 * 1024
#: Bytes that become one record, at most. It is kept twice until the socket takes it, and
#: clients that read slowly are many; smaller ones would take the processor longer.
RECORD = 8 * 1024

#: A fatal alert: no_application_protocol (RFC 7301, 3.2).
NO_PROTOCOL = b"\x15\x03\x03\x00\x02\x02\x78"
_PROTOCOLS = frozenset(name.encode("ascii") for name in tls.PROTOCOLS)

#: How requests begin, in any case; a TLS record never does. OpenSSL judges the first five bytes.
_HTTP = (
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELET",
    b"OPTIO",
    b"PATCH",
    b"CONNE",
    b"TRACE",
    b"PRI *",
)

_NOT_NOW = (BlockingIOError, InterruptedError)

T = TypeVar("T")


class PlainHttp(ssl.SSLError):
    """The client speaks HTTP without TLS; nothing has been sent to it yet."""


class Channel:
    """The server's end of a TLS connection over ``sock``, whose owner closes it."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._shaken = False
        #: Has the client sent anything at all?
        self.heard = False
        #: The client's first record, until all of it is here.
        self._first: bytes | None = b""
        self._silent = 0  # bytes since there was data
        self._left = b""  # what the socket did not take
        self._taken = 0  # bytes of data of which some may be in ``_left``

    @property
    def pending(self) -> bool:
        """Has anything been received that ``recv`` did not return, and the kernel knows
        nothing of?"""
        return self._incoming.pending > 0 or self._tls.pending() > 0

    def peer_name(self) -> str:
        """Whom the client's certificate names; '' for nobody."""
        return tls.peer_name(self._tls)

    def shake_hands(self) -> None:
        """Go on with the handshake; it is over when this returns."""
        if not self._shaken:
            self._run(self._tls.do_handshake)
            self._shaken, self._silent = True, 0
        self._push()

    def recv(self, size: int) -> bytes:
        """Data, at most a record's; b'' for the end."""
        try:
            data = self._run(lambda: self._tls.read(size))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""  # also without a goodbye: HTTP knows its own ends
        self._silent = 0
        return data

    def send(self, data: memoryview) -> int:
        """Send some of the data; how many bytes. After ``SSLWantWriteError`` the same data
        must be given again."""
        if not self._taken:
            self._push()
            self._taken = self._tls.write(data[:RECORD])
        self._push()
        taken, self._taken = self._taken, 0
        return taken

    def say_goodbye(self) -> None:
        """Send close_notify, if the socket takes it."""
        for step in (self._tls.unwrap, self._push):
            with contextlib.suppress(OSError):  # it would like to wait for the client's
                step()

    def _run(self, step: Callable[[], T]) -> T:
        """A step of OpenSSL's that reads, with a piece of what has come."""
        self._push()
        if not self.pending:
            self._fill()
        try:
            return step()
        except ssl.SSLWantReadError:
            self._push()
            raise
        except ssl.SSLError:
            with contextlib.suppress(OSError):
                self._push()  # the alert that says why
            raise

    def _fill(self) -> None:
        try:
            piece = self._sock.recv(PIECE)
        except _NOT_NOW:
            raise ssl.SSLWantReadError from None
        if not piece:
            self._incoming.write_eof()
            return
        self.heard = True
        self._silent += len(piece)
        if self._shaken and self._silent > MAX_SILENT:
            raise ssl.SSLError(f"{self._silent} bytes have come, and no data in them")
        if self._first is not None:
            self._look_at(self._first + piece)
        self._incoming.write(piece)

    def _look_at(self, first: bytes) -> None:
        """End the handshake with a client that speaks nothing that we do."""
        if first[:5].upper().startswith(_HTTP):
            raise PlainHttp("plain HTTP on a port for HTTPS")
        if not hello.is_complete(first):
            self._first = first
            return
        self._first = None
        offered = hello.offered_protocols(first)
        if offered is not None and _PROTOCOLS.isdisjoint(offered):
            self._left += NO_PROTOCOL
            with contextlib.suppress(OSError):
                self._push()
            raise ssl.SSLError("no shared protocol (ALPN); http/1.1 is offered")

    def _push(self) -> None:
        data = self._left + self._outgoing.read() if self._outgoing.pending else self._left
        while data:
            try:
                data = data[self._sock.send(data) :]
            except _NOT_NOW:
                self._left = data
                raise ssl.SSLWantWriteError from None
        self._left = b""
