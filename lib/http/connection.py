"""One client's connection: handshake, requests in, answers out, all without waiting.

Theory. A connection is in one state, and a state waits for one thing:

    HANDSHAKE   the client's part of the TLS handshake
    READING     a request, or more of one
    WORKING     the handler; what else the client sends is kept for later
    WRITING     room in the socket for the rest of an answer
    LINGERING   the client's end, after ours: closing with unread bytes would
                make the kernel throw away the answer (RFC 9112, 9.6)
    CLOSED

Every state but WORKING has a deadline, a total: bytes that trickle in do not
extend it (only progress in WRITING does). Deadlines that move into the future
on every request would cost a timer each; instead a timer that fires too early
goes to sleep again.

Everything here runs on the loop's thread, except ``gone``.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ganeti.http.errors import HttpError, RequestTimeout
from ganeti.http.message import CONTINUE, Request
from ganeti.http.reader import Phase, RequestReader
from ganeti.utils.loop import READ, WRITE, Loop, Timer

#: A TLS record has 16 KiB at most, so that one call always takes all of it.
RECEIVE_SIZE = 64 * 1024
SEND_SIZE = 64 * 1024
#: So many times in a row one connection may send or receive before the others' turn.
ROUNDS = 16
#: Bytes that a client may send ahead while its request is worked on.
MAX_AHEAD = 64 * 1024

_NOT_NOW = (BlockingIOError, InterruptedError)


@dataclass(frozen=True)
class Deadlines:
    """Seconds that a client gets for each of its parts."""

    handshake: float = 5.0
    #: For the head of a request, from its first byte (of the first one: from the connection).
    header: float = 10.0
    body: float = 60.0
    #: Between two requests. Ganeti's own client reuses connections within a few seconds.
    idle: float = 15.0
    #: Without the client taking a single byte of its answer.
    write: float = 10.0
    linger: float = 1.0


class Owner(Protocol):
    """Whoever has connections."""

    loop: Loop
    deadlines: Deadlines
    draining: bool

    def work(self, connection: Connection, request: Request) -> None:
        """Carry the request out and, on the loop's thread, call ``connection.answer``."""

    def refusal(self, connection: Connection, error: HttpError) -> bytes:
        """The bytes that answer a request which could not be read."""

    def waits(self, connection: Connection) -> None:
        """The connection waits for its client now: for a request, or to take an answer."""

    def closed(self, connection: Connection) -> None:
        """The connection has ended."""


class State(enum.Enum):
    """What a connection waits for."""

    HANDSHAKE = enum.auto()
    READING = enum.auto()
    WORKING = enum.auto()
    WRITING = enum.auto()
    LINGERING = enum.auto()
    CLOSED = enum.auto()


class Connection:
    """One accepted, non-blocking socket; an ``SSLSocket`` still has its handshake before it."""

    def __init__(self, sock: socket.socket, peer: str, owner: Owner, *, max_body: int) -> None:
        self.peer = peer
        #: Has this client ever proved who it is?
        self.authenticated = False
        self._sock = sock
        self._tls = sock if isinstance(sock, ssl.SSLSocket) else None
        self._owner = owner
        self._loop = owner.loop
        self._reader = RequestReader(max_body=max_body, peer=peer, gone=self.gone)
        self._phase = Phase.IDLE
        self._ended = False                 # the client sends nothing more
        self._last = False                  # close after the present answer
        self._out = memoryview(b"")
        self._after: Callable[[], None] = self._answered
        self._deadline: float | None = None
        self._timer: Timer | None = None
        self._events = READ
        self._state = State.READING if self._tls is None else State.HANDSHAKE
        self._loop.add(sock, READ, self._ready)
        limits = owner.deadlines
        self._expect(limits.header if self._tls is None else limits.handshake)

    @property
    def state(self) -> State:
        """What it waits for."""
        return self._state

    def gone(self) -> bool:
        """Has the client hung up? It may only have ended its side; who does that while an
        answer is due hardly wants it. From any thread."""
        return self._ended or self._state is State.CLOSED

    def drain(self) -> None:
        """End the connection unless a request is on its way."""
        if self._state is State.HANDSHAKE:
            self.close()
        elif self._state is State.READING and self._phase is Phase.IDLE:
            self._guarded(self._receive_request)    # what came in this moment is still served
            if self._state is State.READING and self._phase is Phase.IDLE:
                self._say_goodbye()
                self.close()

    def close(self) -> None:
        """Drop the connection at once."""
        if self._state is State.CLOSED:
            return
        self._state = State.CLOSED
        if self._timer is not None:
            self._timer.cancel()
        self._out = memoryview(b"")
        self._loop.remove(self._sock)
        self._sock.close()
        self._owner.closed(self)

    def answer(self, data: bytes, keep: bool, authenticated: bool) -> None:
        """Send what the handler made of the request; ``keep`` the connection afterwards."""
        if self._state is State.WORKING:
            self.authenticated = self.authenticated or authenticated
            self._last = not keep
            self._guarded(lambda: self._send(data, self._answered))

    # -- events -----------------------------------------------------------------------

    def _ready(self, _events: int) -> None:
        self._guarded(self._step)

    def _step(self) -> None:
        if self._state is State.READING:
            self._receive_request()
        elif self._state is State.WRITING:
            self._write()
        elif self._state is State.WORKING:
            self._receive_ahead()
        elif self._state is State.HANDSHAKE:
            self._shake_hands()
        elif self._state is State.LINGERING and self._receive() == b"":
            self.close()

    def _guarded(self, step: Callable[[], None]) -> None:
        """A socket that fails is closed; that concerns nobody else."""
        try:
            step()
        except OSError as err:              # ssl.SSLError is one
            logging.debug("Connection of %s ends: %s", self.peer, err)
            self.close()

    def _await(self, events: int) -> None:
        if events != self._events and self._state is not State.CLOSED:
            self._events = events
            self._loop.modify(self._sock, events)

    # -- deadlines --------------------------------------------------------------------

    def _expect(self, seconds: float | None) -> None:
        """What is waited for now must come within so many seconds."""
        if seconds is None:
            self._deadline = None
            return
        self._deadline = self._loop.clock() + seconds
        if self._timer is None or self._timer.when > self._deadline:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_later(seconds, self._look_at_clock)

    def _look_at_clock(self) -> None:
        self._timer = None
        if self._deadline is None or self._state is State.CLOSED:
            return
        left = self._deadline - self._loop.clock()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look_at_clock)
        elif self._state is State.READING and self._phase is not Phase.IDLE:
            self._guarded(lambda: self._refuse(RequestTimeout()))
        else:
            self.close()

    # -- in ---------------------------------------------------------------------------

    def _shake_hands(self) -> None:
        assert self._tls is not None
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._await(READ)
            return
        except ssl.SSLWantWriteError:
            self._await(WRITE)
            return
        self._state = State.READING
        # A client without TCP_NODELAY sends its request only once its Finished is acknowledged;
        # as we have nothing to say before (no tickets), that would take the kernel 40 ms.
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self._await(READ)
        self._expect(self._owner.deadlines.header)
        self._receive_request()             # it may have come along with the handshake's end

    def _receive(self) -> bytes | None:
        """What is there: None for nothing yet, b'' for the end."""
        try:
            data = self._sock.recv(RECEIVE_SIZE)
        except (*_NOT_NOW, ssl.SSLWantReadError):
            self._await(READ)
            return None
        except ssl.SSLWantWriteError:
            self._await(WRITE)
            return None
        self._ended = not data
        return data

    def _pending(self) -> bool:
        """Has OpenSSL bytes that the kernel, and so the loop, knows nothing of?"""
        return self._tls is not None and self._tls.pending() > 0

    def _receive_request(self) -> None:
        for _ in range(ROUNDS):
            data = self._receive()
            if data is None:
                return
            self._reader.feed(data)
            self._next_request()
            if self._state is not State.READING or not self._pending():
                return
        self._loop.call_threadsafe(lambda: self._ready(READ))

    def _receive_ahead(self) -> None:
        """Notice that the client hangs up, and keep what it sends before its turn."""
        while self._reader.buffered < MAX_AHEAD:
            data = self._receive()
            if data is None:
                return
            if not data:
                break
            self._reader.feed(data)
        self._await(0)

    def _next_request(self) -> None:
        """Take up the next request if it is complete; otherwise wait for the rest."""
        try:
            request = self._reader.next()
        except HttpError as err:
            self._refuse(err)
            return
        if request is not None:
            self._state = State.WORKING
            self._phase = Phase.IDLE
            self._deadline = None
            self._await(0 if self._ended else READ)
            self._owner.work(self, request)
        elif self._ended:
            self.close()
        else:
            self._await(READ)
            self._enter(self._reader.phase)
            if self._reader.take_continue():
                self._send(CONTINUE, self._go_on_reading)

    def _enter(self, phase: Phase) -> None:
        if phase is not self._phase:
            self._phase = phase
            limits = self._owner.deadlines
            self._expect({Phase.IDLE: limits.idle, Phase.HEAD: limits.header,
                          Phase.BODY: limits.body}[phase])

    # -- out --------------------------------------------------------------------------

    def _send(self, data: bytes, after: Callable[[], None]) -> None:
        self._state = State.WRITING
        self._out = memoryview(data)
        self._after = after
        self._expect(self._owner.deadlines.write)
        self._write()

    def _write(self) -> None:
        for _ in range(ROUNDS):
            try:
                sent = self._sock.send(self._out[:SEND_SIZE])
            except (*_NOT_NOW, ssl.SSLWantWriteError):
                break
            except ssl.SSLWantReadError:
                self._await(READ)
                return
            self._out = self._out[sent:]
            if not self._out:
                self._after()
                return
            self._expect(self._owner.deadlines.write)
        self._await(WRITE)
        self._owner.waits(self)

    def _go_on_reading(self) -> None:
        """After a 100: the body may come now."""
        self._state = State.READING
        self._expect(self._owner.deadlines.body)
        self._await(READ)

    def _answered(self) -> None:
        """The answer is out: the next request, or the end."""
        if self._last or (self._owner.draining and not self._reader.buffered):
            self._linger()
            return
        self._state = State.READING
        self._expect(self._owner.deadlines.idle)
        self._owner.waits(self)
        if self._reader.buffered or self._ended:
            self._next_request()
        else:
            self._await(READ)
        if self._state is State.READING and self._pending():
            self._receive_request()

    def _refuse(self, error: HttpError) -> None:
        """Answer a request that cannot be read, the last one of this connection."""
        self._last = True
        self._send(self._owner.refusal(self, error), self._answered)

    def _linger(self) -> None:
        """End our side, and wait a moment for the client to end its own."""
        if self._ended:
            self.close()
            return
        self._state = State.LINGERING
        self._expect(self._owner.deadlines.linger)
        self._say_goodbye()
        self._sock.shutdown(socket.SHUT_WR)
        self._await(READ)

    def _say_goodbye(self) -> None:
        """Send TLS's close_notify; from here on the socket is a plain one."""
        if self._tls is not None:
            with contextlib.suppress(OSError):
                self._tls.unwrap()          # would like to wait for the client's, too
            self._tls = None
