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
extend it (only progress in WRITING does).

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

from ganeti.http import tls
from ganeti.http.errors import BadRequest, HttpError, RequestTimeout, ServiceUnavailable
from ganeti.http.limits import BodyBudget
from ganeti.http.message import CONTINUE, Request
from ganeti.http.parser import BodyLimit, ParserState, RequestParser
from ganeti.http.streaming import StreamedBody
from ganeti.http.tls import PlainHttp, TlsTransport
from ganeti.utils.event_loop import READ, WRITE, Loop, Timer

# -- how long a client may take --------------------------------------------------------


@dataclass(frozen=True)
class Deadlines:
    """Seconds that a client gets for each of its parts; all are totals but ``write``."""

    handshake: float = 5.0
    #: For the head of a request, from its first byte (of the first one: from the connection).
    header: float = 10.0
    body: float = 60.0
    #: Within the body's time: in every so many seconds must come as many times ``min_rate``.
    pace: float = 10.0
    #: Bytes a second.
    min_rate: int = 1024
    #: Between two requests.
    idle: float = 60.0
    #: Without the client taking a single byte of its answer.
    write: float = 10.0
    linger: float = 1.0


def do_nothing() -> None:
    """What there is to do when all is over."""


class Countdown:
    """Calls ``expired`` once the seconds of the last ``start`` are over.

    A deadline that moves into the future on every request would cost a timer each;
    instead a timer that fires too early goes to sleep again.
    """

    def __init__(self, loop: Loop, expired: Callable[[], None]) -> None:
        self._loop = loop
        self._expired = expired
        self._end: float | None = None
        self._timer: Timer | None = None

    def start(self, seconds: float) -> None:
        """From now on so many seconds are left."""
        self._end = self._loop.clock() + seconds
        if self._timer is None or self._timer.when > self._end:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_later(seconds, self._look)

    def pause(self) -> None:
        """No deadline until the next ``start``."""
        self._end = None

    def cancel(self) -> None:
        """Never again; whoever waited is forgotten."""
        self._end = None
        self._expired = do_nothing
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._end is None:
            return
        left = self._end - self._loop.clock()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._end = None
            self._expired()


class Pace:
    """A body is a total and a rate: neither an endless trickle nor a long silence."""

    def __init__(self, countdown: Countdown, limits: Deadlines, clock: Callable[[], float]) -> None:
        self._countdown = countdown
        self._limits = limits
        self._clock = clock
        self._end = 0.0
        self._bytes = 0

    def begin(self) -> None:
        """The body begins."""
        self._end = self._clock() + self._limits.body
        self._again()

    def count(self, size: int) -> None:
        """Bytes have come."""
        self._bytes += size

    def go_on(self) -> bool:
        """At the end of the countdown: was it enough, and is there time for the rest?"""
        enough = self._bytes >= self._limits.min_rate * self._limits.pace
        if enough and self._clock() < self._end:
            self._again()
            return True
        return False

    def _again(self) -> None:
        self._bytes = 0
        self._countdown.start(min(self._limits.pace, self._end - self._clock()))


# -- the connection --------------------------------------------------------------------


#: More at a time would make the others wait: 16 KiB can be 2,700 chunks of one byte, which take
#: 5 ms. A TLS record, of which one call takes all, has no more data either.
RECEIVE_SIZE = 16 * 1024
SEND_SIZE = 64 * 1024
#: So many times in a row one connection may send or receive before the others' turn.
ROUNDS = 16
#: Bytes that a client may send ahead while its request is worked on.
MAX_AHEAD = 64 * 1024

_NOT_NOW = (BlockingIOError, InterruptedError)


class Owner(Protocol):
    """Whoever has connections."""

    loop: Loop
    deadlines: Deadlines
    bodies: BodyBudget
    #: Are no connections kept for further requests? And do kept ones end after their answer?
    draining: bool
    stopping: bool

    def work(self, connection: Connection, request: Request) -> None:
        """Carry the request out and, on the loop's thread, call ``connection.answer``."""

    def early_answer(self, connection: Connection, request: Request) -> bytes | None:
        """The bytes that answer a request, if its body does not matter to that."""

    def refusal(self, connection: Connection, error: HttpError) -> bytes:
        """The bytes that answer a request which could not be read."""

    def handshake_failed(self, connection: Connection, reason: str) -> None:
        """Note that a client did not get through its handshake, and why."""

    def queue_handshake(self, connection: Connection, begun: bool) -> None:
        """Call ``connection.shake_hands`` soon: it is work (a signature), which takes turns."""

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
    """One accepted, non-blocking socket; with a ``context`` it still has its handshake before
    it."""

    def __init__(
        self,
        sock: socket.socket,
        peer: str,
        port: int,
        owner: Owner,
        *,
        max_body: BodyLimit,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.peer = peer
        self.port = port
        #: Has this client ever proved who it is?
        self.authenticated = False
        #: Was its client's certificate, if it has one, checked against authorities and CRLs that
        #: have been replaced since?
        self.retired = False
        self._sock = sock
        self._transport = None if context is None else TlsTransport(sock, context)
        self._owner = owner
        self._loop = owner.loop
        self._parser = RequestParser(max_body=max_body, peer=peer, gone=self.gone)
        self._phase = ParserState.IDLE
        self._greeted = False  # the client has begun the handshake
        self._ended = False  # the client sends nothing more
        self._last = False  # close after the present answer
        self._fresh = True  # no request has come yet
        self._out = memoryview(b"")
        self._flow: StreamedBody | None = None
        self._after: Callable[[], None] = self._answered
        self._countdown = Countdown(self._loop, self._expired)
        self._pace = Pace(self._countdown, owner.deadlines, self._loop.clock)
        self._events = READ
        self._state = State.READING if self._transport is None else State.HANDSHAKE
        self._loop.add(sock, READ, self._ready)
        limits = owner.deadlines
        self._countdown.start(limits.header if self._transport is None else limits.handshake)

    @property
    def client(self) -> str:
        """Address and port, for a log line."""
        return f"{self.peer} port {self.port}" if self.peer else "a local socket"

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
        elif self._state is State.READING and self._phase is ParserState.IDLE:
            self._guarded(self._receive_request)  # what came in this moment is still served
            if self._state is State.READING and self._phase is ParserState.IDLE:
                self._say_goodbye()
                self.close()

    def retire(self) -> None:
        """End the connection, if its client has shown a certificate, after the next answer."""
        self.retired = True
        if self._parser.certificate:
            self.drain()

    def close(self) -> None:
        """Drop the connection at once."""
        if self._state is State.CLOSED:
            return
        self._state = State.CLOSED
        self._countdown.cancel()
        # What refers back to the connection is dropped, so that it goes at once: thousands
        # that came and went would otherwise wait for the garbage collector.
        self._parser.end()
        self._after = do_nothing
        if self._flow is not None:
            self._flow.end()
        self._out = memoryview(b"")
        self._owner.bodies.leave(self)
        self._loop.remove(self._sock)
        self._sock.close()
        self._owner.closed(self)

    def shake_hands(self) -> None:
        """Go on with the handshake, whose turn it is now."""
        if self._state is State.HANDSHAKE:
            self._guarded(self._shake_hands)

    def give_way(self) -> None:
        """Too much of bodies is here: refuse this one."""
        self._guarded(
            lambda: self._refuse(
                ServiceUnavailable("Too much is being sent at the same time", retry_after=1)
            )
        )

    def answer(
        self, data: bytes, keep: bool, authenticated: bool, flow: StreamedBody | None = None
    ) -> None:
        """Send what the handler made of the request, and what ``flow`` has more; ``keep`` the
        connection afterwards."""
        if self._state is State.WORKING:
            self.authenticated = self.authenticated or authenticated
            self._last = not keep
            self._flow = flow
            self._guarded(lambda: self._send(data, self._next_piece))
        elif flow is not None:
            flow.end()

    def go_on(self, data: bytes, last: bool) -> None:
        """Send a piece of the body."""
        if last:
            self._flow = None
        if self._state is State.WORKING:
            self._guarded(lambda: self._send(data, self._next_piece))

    def _next_piece(self) -> None:
        if self._flow is None:
            self._answered()
            return
        self._state = State.WORKING
        self._countdown.pause()
        self._await(0 if self._ended else READ)
        self._flow.pull()

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
            self._await(0)
            self._owner.queue_handshake(self, self._greeted)
            self._greeted = True
        elif self._state is State.LINGERING and self._receive() == b"":
            self.close()

    def _guarded(self, step: Callable[[], None]) -> None:
        """A socket that fails is closed; that concerns nobody else."""
        try:
            step()
        except OSError as err:  # ssl.SSLError is one
            logging.debug("Connection of %s ends: %s", self.peer, err)
            if self._state is State.HANDSHAKE:
                self._tell_failure(tls.handshake_problem(err))
            self.close()

    def _tell_failure(self, reason: str) -> None:
        """Report a failed handshake, unless the client only connected (a health check)."""
        if self._transport is not None and self._transport.heard:
            self._owner.handshake_failed(self, reason)

    def _await(self, events: int) -> None:
        if events != self._events and self._state is not State.CLOSED:
            self._events = events
            self._loop.modify(self._sock, events)

    # -- deadlines --------------------------------------------------------------------

    def _expired(self) -> None:
        if self._state is State.HANDSHAKE:
            self._tell_failure(f"not finished after {self._owner.deadlines.handshake:g} s")
        if self._state is not State.READING or self._phase is ParserState.IDLE:
            self.close()
        elif self._phase is not ParserState.BODY or not self._pace.go_on():
            self._guarded(lambda: self._refuse(RequestTimeout()))

    # -- in ---------------------------------------------------------------------------

    def _shake_hands(self) -> None:
        assert self._transport is not None
        try:
            self._transport.shake_hands()
        except ssl.SSLWantReadError:
            self._await(READ)
            return
        except ssl.SSLWantWriteError:
            self._await(WRITE)
            return
        except PlainHttp:
            self._transport = None
            self._refuse(
                BadRequest(
                    "This port is for HTTPS, and this is plain HTTP; use a URL "
                    "that begins with https://"
                )
            )
            return
        self._parser.certificate = self._transport.peer_name()
        self._state = State.READING
        # A client without TCP_NODELAY sends its request only once its Finished is acknowledged;
        # as we have nothing to say before (no tickets), that would take the kernel 40 ms.
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self._await(READ)
        self._countdown.start(self._owner.deadlines.header)
        self._receive_request()  # it may have come along with the handshake's end

    def _receive(self) -> bytes | None:
        """What is there: None for nothing yet, b'' for the end."""
        try:
            data = (self._transport or self._sock).recv(RECEIVE_SIZE)
        except (*_NOT_NOW, ssl.SSLWantReadError):
            self._await(READ)
            return None
        except ssl.SSLWantWriteError:
            self._await(WRITE)
            return None
        self._ended = not data
        self._pace.count(len(data))
        return data

    def _pending(self) -> bool:
        """Are there bytes that the kernel, and so the loop, knows nothing of?"""
        return self._transport is not None and self._transport.pending

    def _receive_request(self) -> None:
        for _ in range(ROUNDS):
            data = self._receive()
            if data is None:
                return
            self._parser.feed(data)
            self._next_request()
            if self._state is not State.READING or not self._pending():
                return
        self._loop.call_soon(lambda: self._ready(READ))

    def _receive_ahead(self) -> None:
        """Notice that the client hangs up, and keep what it sends before its turn."""
        while self._parser.buffered < MAX_AHEAD:
            data = self._receive()
            if data is None:
                return
            if not data:
                break
            self._parser.feed(data)
        self._await(0)

    def _next_request(self) -> None:
        """Take up the next request if it is complete; otherwise wait for the rest."""
        try:
            request = self._parser.next()
        except HttpError as err:
            self._refuse(err)
            return
        if request is not None:
            self._fresh = False
            self._state = State.WORKING
            self._phase = ParserState.IDLE
            self._owner.bodies.leave(self)
            self._countdown.pause()
            self._await(0 if self._ended else READ)
            self._owner.work(self, request)
        elif self._ended:
            self.close()
        else:
            self._await(READ)
            self._enter(self._parser.phase)
            self._owner.bodies.hold(self, self._parser.held)
            if self._parser.take_continue():
                self._answer_expectation()

    def _answer_expectation(self) -> None:
        """The client waits with its body: ask for it, unless it would be in vain (RFC 9110,
        10.1.1)."""
        early = self._owner.early_answer(self, self._parser.without_body())
        if early is None:
            self._send(CONTINUE, self._go_on_reading)
            return
        self._last = True  # the body may come all the same
        self._owner.bodies.leave(self)
        self._send(early, self._answered)

    def _enter(self, phase: ParserState) -> None:
        if phase is not self._phase:
            self._phase = phase
            limits = self._owner.deadlines
            if phase is ParserState.BODY:
                self._pace.begin()
            elif not (self._fresh and phase is ParserState.HEAD):  # that began with the connection
                self._countdown.start(limits.idle if phase is ParserState.IDLE else limits.header)

    # -- out --------------------------------------------------------------------------

    def _send(self, data: bytes, after: Callable[[], None]) -> None:
        self._state = State.WRITING
        self._out = memoryview(data)
        self._after = after
        self._countdown.start(self._owner.deadlines.write)
        self._write()

    def _write(self) -> None:
        for _ in range(ROUNDS):
            if not self._out:
                self._after()
                return
            try:
                sent = (self._transport or self._sock).send(self._out[:SEND_SIZE])
            except (*_NOT_NOW, ssl.SSLWantWriteError):
                break
            self._out = self._out[sent:]
            self._countdown.start(self._owner.deadlines.write)
        self._await(WRITE)
        self._owner.waits(self)

    def _go_on_reading(self) -> None:
        """After a 100: the body may come now."""
        self._state = State.READING
        self._pace.begin()
        self._await(READ)
        if self._pending():
            self._loop.call_soon(lambda: self._ready(READ))

    def _answered(self) -> None:
        """The answer is out: the next request, or the end."""
        if self._last or (self._owner.stopping and not self._parser.buffered):
            self._linger()
            return
        self._state = State.READING
        self._countdown.start(self._owner.deadlines.idle)
        self._owner.waits(self)
        if self._parser.buffered or self._ended:
            self._next_request()
        else:
            self._await(READ)
        if self._state is State.READING and self._pending():
            self._receive_request()

    def _refuse(self, error: HttpError) -> None:
        """Answer a request that cannot be read, the last one of this connection."""
        self._last = True
        self._parser.refuse(error)
        self._owner.bodies.leave(self)
        self._send(self._owner.refusal(self, error), self._answered)

    def _linger(self) -> None:
        """End our side, and wait a moment for the client to end its own."""
        if self._ended:
            self.close()
            return
        self._state = State.LINGERING
        self._countdown.start(self._owner.deadlines.linger)
        self._say_goodbye()
        self._sock.shutdown(socket.SHUT_WR)
        self._await(READ)

    def _say_goodbye(self) -> None:
        """Send TLS's close_notify; from here on the socket is a plain one."""
        if self._transport is not None:
            self._transport.say_goodbye()
            self._transport = None
