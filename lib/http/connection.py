"""One client's connection: handshake, read, handle, write, linger.

    HANDSHAKE -> READING <-> HANDLING -> WRITING -> READING ... or LINGERING -> closed

Nothing in here blocks. Each state has a deadline for the whole of it, not for a
single read: who sends a byte every few seconds is cut off with the others.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import select
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Protocol

from ganeti import serializer
from ganeti.http.errors import HttpError
from ganeti.http.message import CONTINUE, Request, RequestReader, Response, serialize
from ganeti.utils.loop import Loop, Timer

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
RECEIVE_SIZE = 64 * 1024
#: Bytes handed to one send: a TLS record holds 16 KiB.
SEND_SIZE = 256 * 1024


@dataclass(frozen=True)
class Deadlines:
    """Seconds that each part may take in all."""

    handshake: float = 5.0
    header: float = 10.0
    body: float = 60.0
    idle: float = 15.0              # between two requests
    write: float = 10.0             # without the client taking a byte
    linger: float = 1.0             # for the client to read a refusal


class State(Enum):
    """What the connection is doing."""

    HANDSHAKE = auto()
    READING = auto()
    HANDLING = auto()
    WRITING = auto()
    LINGERING = auto()
    CLOSED = auto()


class Owner(Protocol):
    """What a connection needs of its server."""

    loop: Loop
    deadlines: Deadlines
    server_name: str
    max_body: int
    draining: bool
    clock: Callable[[], float]

    def dispatch(self, connection: Connection, request: Request) -> None:
        """Have a request handled; ``connection.respond`` is called with the answer."""

    def closed(self, connection: Connection) -> None:
        """The connection has ended."""

    def log(self, peer: str, request: Request | None, status: int, size: int,
            seconds: float) -> None:
        """One answer was given."""


class Connection:
    """A client, from accept to close; belongs to the loop's thread."""

    def __init__(self, owner: Owner, sock: socket.socket, peer: str,
                 context: ssl.SSLContext | None) -> None:
        self._owner = owner
        self.peer = peer
        self._tls = context is not None
        self._sock = sock if context is None else context.wrap_socket(
            sock, server_side=True, do_handshake_on_connect=False)
        self._reader = RequestReader(max_body=owner.max_body, peer=peer)
        self._out = memoryview(b"")
        self._request: Request | None = None
        self._begun = 0.0
        self._close_after = False
        self._timer: Timer | None = None
        self._deadline = 0.0
        self.authenticated = False
        self.state = State.HANDSHAKE if self._tls else State.READING
        self.since = owner.clock()
        owner.loop.add(self._sock, READ, self._ready)
        self._set_deadline(owner.deadlines.handshake if self._tls else owner.deadlines.header)
        if self._tls:
            self._handshake()

    @property
    def idle(self) -> bool:
        """Does it wait for a request that has not begun?"""
        return self.state is State.READING and self._reader.idle

    # -- events ------------------------------------------------------------------

    def _ready(self, events: int) -> None:
        try:
            if self.state is State.HANDSHAKE:
                self._handshake()
            elif self.state is State.READING:
                self._receive()
            elif self.state is State.WRITING:
                self._send()
            elif self.state is State.LINGERING:
                self._discard()
        except (OSError, ValueError) as err:
            logging.debug("Connection of %s broke: %s", self.peer, err)
            self.close()

    def _wait_for(self, events: int) -> None:
        if self.state is not State.CLOSED:
            self._owner.loop.modify(self._sock, events)

    def _handshake(self) -> None:
        assert isinstance(self._sock, ssl.SSLSocket)
        try:
            self._sock.do_handshake()
        except ssl.SSLWantReadError:
            self._wait_for(READ)
            return
        except ssl.SSLWantWriteError:
            self._wait_for(WRITE)
            return
        except (ssl.SSLError, OSError) as err:
            logging.debug("TLS handshake with %s failed: %s", self.peer, err)
            self.close()
            return
        self.state = State.READING
        self._set_deadline(self._owner.deadlines.header)
        self._wait_for(READ)
        self._receive()

    def _read_some(self) -> bytes | None:
        """What has arrived; None if nothing yet, empty at the end."""
        try:
            return self._sock.recv(RECEIVE_SIZE)
        except (BlockingIOError, ssl.SSLWantReadError):
            self._wait_for(READ)
            return None
        except ssl.SSLWantWriteError:
            self._wait_for(WRITE)
            return None
        except ssl.SSLEOFError:
            return b""

    def _receive(self) -> None:
        while self.state is State.READING:
            data = self._read_some()
            if data is None:
                return
            if not data:
                self.close()
                return
            was_idle, was_body = self._reader.idle, self._reader.in_body
            self._reader.feed(data)
            self._next()
            if self.state is State.READING:
                if self._reader.in_body and not was_body:
                    self._set_deadline(self._owner.deadlines.body)
                elif was_idle:
                    self._set_deadline(self._owner.deadlines.header)

    def _next(self) -> None:
        """Take the next request, if it is complete."""
        if self._reader.idle:
            return
        self._begun = self._owner.clock()
        try:
            request = self._reader.next()
        except HttpError as err:
            self._refuse(err)
            return
        if request is None:
            if self._reader.expects_continue:
                self._reader.expects_continue = False
                self._sock.send(CONTINUE)
            return
        fd = self._sock.fileno()
        self._request = request = replace(request, gone=lambda: _hung_up(fd))
        self.state = State.HANDLING
        self._cancel_deadline()
        self._wait_for(0)
        self._owner.dispatch(self, request)

    # -- answers -------------------------------------------------------------------

    def respond(self, response: Response) -> None:
        """Send the answer to the request that was dispatched."""
        if self.state is not State.HANDLING:
            return
        assert self._request is not None
        self.authenticated = self.authenticated or response.authenticated
        close = response.close or self._owner.draining or not self._request.keep_alive
        self._write(response, close)

    def _refuse(self, error: HttpError) -> None:
        """Answer what could not be read; nothing more of this stream is believed."""
        self._request = None
        self._write(Response(error.code, serializer.dump_bytes(error.as_object()),
                             [("Content-Type", "application/json"), *error.headers]), True)

    def _write(self, response: Response, close: bool) -> None:
        data = serialize(response, self._request, server=self._owner.server_name, close=close)
        self._out = memoryview(data)
        self._close_after = close
        self.state = State.WRITING
        self._owner.log(self.peer, self._request, response.status, len(response.body),
                        self._owner.clock() - self._begun)
        self._set_deadline(self._owner.deadlines.write)
        try:
            self._send()
        except OSError:
            self.close()

    def _send(self) -> None:
        while self._out:
            try:
                sent = self._sock.send(self._out[:SEND_SIZE])
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._wait_for(WRITE)
                return
            except ssl.SSLWantReadError:
                self._wait_for(READ)
                return
            self._out = self._out[sent:]
            if self._out:
                self._set_deadline(self._owner.deadlines.write)
        if self._close_after:
            self._linger()
            return
        self._request = None
        self.state = State.READING
        self.since = self._owner.clock()
        self._set_deadline(self._owner.deadlines.idle)
        self._wait_for(READ)
        # A pipelined request may be here already, or waits inside of TLS.
        self._next()
        if self._tls and self.state is State.READING:
            self._receive()

    def _linger(self) -> None:
        """Close our half, and give the client time to read: a reset would destroy the answer."""
        self.state = State.LINGERING
        with contextlib.suppress(OSError, ValueError):
            if isinstance(self._sock, ssl.SSLSocket):
                self._sock.unwrap()             # says goodbye; does not wait for the other's
        if self._request is not None and self._reader.idle:
            self.close()
            return
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()
            return
        self._set_deadline(self._owner.deadlines.linger)
        self._wait_for(READ)

    def _discard(self) -> None:
        while (data := self._read_some()) is not None:
            if not data:
                self.close()
                return

    # -- the end ---------------------------------------------------------------------

    def close(self) -> None:
        """End it now."""
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSED
        self._cancel_deadline()
        self._owner.loop.remove(self._sock)
        self._sock.close()
        self._out = memoryview(b"")
        self._owner.closed(self)

    def _set_deadline(self, seconds: float) -> None:
        """Later deadlines cost nothing: the timer looks again when it fires."""
        self._deadline = self._owner.clock() + seconds
        if self._timer is not None and self._timer.when <= self._deadline:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._owner.loop.call_later(seconds, self._on_timer)

    def _cancel_deadline(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        left = self._deadline - self._owner.clock()
        self._timer = None
        if left > 0:
            self._timer = self._owner.loop.call_later(left, self._on_timer)
            return
        logging.debug("Connection of %s timed out in %s", self.peer, self.state.name)
        self.close()


def _hung_up(fd: int) -> bool:
    """Has the other side closed? Does not read, so any thread may ask."""
    poll = select.poll()
    try:
        poll.register(fd, select.POLLRDHUP)
        return bool(poll.poll(0))
    except (OSError, ValueError):
        return True


#: For servers that are given no clock.
monotonic: Callable[[], float] = time.monotonic
