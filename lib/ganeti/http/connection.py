"""One client's connection: handshake, requests and answers, on a non-blocking socket.

Theory. A connection is in one state, and waits for one thing in each:

    HANDSHAKE   the client's part of the TLS handshake
    READING     a request, or more of one
    WORKING     the handler; bytes that the client sends meanwhile are kept
    WRITING     room in the socket for the rest of an answer
    LINGERING   the end of the client's side after ours: if we closed with unread bytes, the
                kernel would discard the answer (RFC 9112, 9.6)
    CLOSED

Every state but WORKING has a deadline for the whole of what it waits for: bytes that trickle in do
not extend it. Only in WRITING does progress extend it.

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

from ganeti.http import tls
from ganeti.http.errors import BadRequest, HttpError, RequestTimeout, ServiceUnavailable
from ganeti.http.message import CONTINUE, Request, RequestHead, Route
from ganeti.http.parser import ParserState, RequestParser
from ganeti.http.streaming import StreamedBody
from ganeti.http.tls import PlainHttp, TlsTransport
from ganeti.utils.event_loop import READ, WRITE, Loop, Timer
from ganeti.utils.limits import BodyBudget, Evictable

logger = logging.getLogger(__name__)

# -- how long a client may take --------------------------------------------------------


@dataclass(frozen=True)
class Deadlines:
    """Seconds that a client gets for each of its parts; all are totals but ``write``."""

    handshake: float = 5.0
    #: For the head of a request, from its first byte (of the first one: from the connection).
    header: float = 10.0
    body: float = 60.0
    #: Length of an interval of the body, in which ``min_rate`` must be reached on average.
    pace: float = 10.0
    #: Bytes a second.
    min_rate: int = 1024
    #: Between two requests.
    idle: float = 60.0
    #: Without the client taking a single byte of its answer.
    write: float = 10.0
    linger: float = 1.0


def do_nothing() -> None:
    """Ignore a callback after the connection has been closed."""


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
        """Set the deadline to this time from now, whatever it was before."""
        self._end = self._loop.clock() + seconds
        if self._timer is None or self._timer.when > self._end:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_later(seconds, self._on_timer)

    def pause(self) -> None:
        """Suspend the deadline until the next ``start``."""
        self._end = None

    def cancel(self) -> None:
        """End the countdown for good, and forget the callback."""
        self._end = None
        self._expired = do_nothing
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        self._timer = None
        if self._end is None:
            return
        left = self._end - self._loop.clock()
        if left > 0:
            self._timer = self._loop.call_later(left, self._on_timer)
        else:
            self._end = None
            self._expired()


class Pace:
    """Bounds a body's time in total and its rate: neither an endless trickle nor a long pause."""

    def __init__(self, countdown: Countdown, limits: Deadlines, clock: Callable[[], float]) -> None:
        self._countdown = countdown
        self._limits = limits
        self._clock = clock
        self._end = 0.0
        self._bytes = 0

    def begin(self) -> None:
        """Start the time that the body may take."""
        self._end = self._clock() + self._limits.body
        self._start_interval()

    def count(self, size: int) -> None:
        """Count received bytes of the body."""
        self._bytes += size

    def continue_body(self) -> bool:
        """Return whether the body may go on after an interval, and start the next one then.

        It may if enough bytes have come and time is left.
        """
        enough = self._bytes >= self._limits.min_rate * self._limits.pace
        if enough and self._clock() < self._end:
            self._start_interval()
            return True
        return False

    def _start_interval(self) -> None:
        self._bytes = 0
        self._countdown.start(min(self._limits.pace, self._end - self._clock()))


# -- the connection --------------------------------------------------------------------


#: More at a time would delay other connections: 16 KiB can be 2,700 chunks of one byte, which take
#: 5 ms. A TLS record, of which one call takes all, has no more data either.
RECEIVE_SIZE = 16 * 1024
SEND_SIZE = 64 * 1024
#: How many times in a row one connection may send or receive before the others' turn.
ROUNDS = 16
#: Bytes that a client may send ahead while its request is worked on.
MAX_AHEAD = 64 * 1024


class Owner:
    """The server as a connection sees it: what it needs, and the events that it reports."""

    loop: Loop
    deadlines: Deadlines
    bodies: BodyBudget
    #: Whether no connection is kept for further requests, and whether kept ones end as well.
    draining: bool
    stopping: bool

    def on_request(self, connection: Connection, request: Request) -> None:
        """Handle the request and, on the loop's thread, call ``connection.answer``."""
        raise NotImplementedError

    def early_answer(self, connection: Connection, request: Request) -> bytes | None:
        """Return the bytes that answer a request whose head alone decides, else None."""
        raise NotImplementedError

    def refusal(self, connection: Connection, error: HttpError) -> bytes:
        """Return the bytes that answer a request which could not be parsed."""
        raise NotImplementedError

    def handshake_failed(self, connection: Connection, reason: str) -> None:
        """Note that a client did not get through its handshake, and why."""
        raise NotImplementedError

    def queue_handshake(self, connection: Connection, begun: bool) -> None:
        """Call ``connection.continue_handshake`` soon: signatures are costly, and take turns."""
        raise NotImplementedError

    def on_waiting(self, connection: Connection) -> None:
        """Note that the connection waits for its client: for a request, or to take an answer."""
        raise NotImplementedError

    def on_closed(self, connection: Connection) -> None:
        """Note that the connection has been closed."""
        raise NotImplementedError


class State(enum.Enum):
    """The states of a connection; see the theory."""

    HANDSHAKE = enum.auto()
    READING = enum.auto()
    WORKING = enum.auto()
    WRITING = enum.auto()
    LINGERING = enum.auto()
    CLOSED = enum.auto()


class Connection(Evictable):
    """One accepted, non-blocking socket; with a ``context`` it begins with a TLS handshake."""

    def __init__(
        self,
        sock: socket.socket,
        peer: str,
        port: int,
        owner: Owner,
        *,
        route: Callable[[RequestHead], Route],
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.peer = peer
        self.port = port
        #: Whether authorities and CRLs have been replaced since its client's certificate, if it
        #: has one, was checked.
        self.retired = False
        self._sock = sock
        self._transport = None if context is None else TlsTransport(sock, context)
        self._owner = owner
        self._loop = owner.loop
        self._parser = RequestParser(route=route, peer=peer, gone=self.gone)
        self._parser_state = ParserState.IDLE
        self._handshake_begun = False  # the client has begun the handshake
        self._client_ended = False  # the client sends nothing more
        self._close_after_answer = False  # close after the present answer
        self._awaits_first_request = True  # no request has come yet
        self._unsent = memoryview(b"")
        self._stream: StreamedBody | None = None
        self._on_sent: Callable[[], None] = self._on_answered
        self._countdown = Countdown(self._loop, self._expired)
        self._pace = Pace(self._countdown, owner.deadlines, self._loop.clock)
        self._events = READ
        self._state = State.READING if self._transport is None else State.HANDSHAKE
        self._loop.add(sock, READ, self._on_event)
        limits = owner.deadlines
        self._countdown.start(limits.header if self._transport is None else limits.handshake)

    @property
    def client(self) -> str:
        """Return address and port for a log line."""
        return f"{self.peer} port {self.port}" if self.peer else "a local socket"

    @property
    def state(self) -> State:
        """Return the state, which tells what the connection waits for."""
        return self._state

    def gone(self) -> bool:
        """Return whether the client has hung up. It may only have ended its side, but a client
        that does so while an answer is due hardly wants it. From any thread."""
        return self._client_ended or self._state is State.CLOSED

    def drain(self) -> None:
        """End the connection unless a request is on its way."""
        if self._state is State.HANDSHAKE:
            self.close()
        elif self._state is State.READING and self._parser_state is ParserState.IDLE:
            self._run_guarded(self._receive_request)  # a request that has just arrived is served
            if self._state is State.READING and self._parser_state is ParserState.IDLE:
                self._send_close_notify()
                self.close()

    def retire(self) -> None:
        """End the connection, if its client has shown a certificate, after the next answer."""
        self.retired = True
        if self._parser.certificate:
            self.drain()

    def close(self) -> None:
        """Drop the connection at once, with what is still to be sent."""
        if self._state is State.CLOSED:
            return
        self._state = State.CLOSED
        self._countdown.cancel()
        # Drop what refers back to the connection, so that its memory is freed at once: thousands
        # of short connections would otherwise wait for the garbage collector.
        self._parser.end()
        self._on_sent = do_nothing
        if self._stream is not None:
            self._stream.end()
        self._unsent = memoryview(b"")
        self._owner.bodies.release(self)
        self._loop.remove(self._sock)
        self._sock.close()
        self._owner.on_closed(self)

    def continue_handshake(self) -> None:
        """Continue the handshake; the owner calls this for each connection in turn."""
        if self._state is State.HANDSHAKE:
            self._run_guarded(self._continue_handshake)

    def refuse_body(self) -> None:
        """Refuse the present body, as all bodies together are too large."""
        error = ServiceUnavailable("Too much is being sent at the same time", retry_after=1)
        self._run_guarded(lambda: self._refuse(error))

    def answer(
        self, data: bytes, keep: bool, authenticated: bool, stream: StreamedBody | None = None
    ) -> None:
        """Send the head and body that the handler made, and then the pieces of ``stream``;
        ``keep`` the connection afterwards."""
        if self._state is State.WORKING:
            self.authenticated = self.authenticated or authenticated
            self._close_after_answer = not keep
            self._stream = stream
            self._run_guarded(lambda: self._send(data, self._pull_piece))
        elif stream is not None:
            stream.end()

    def send_piece(self, data: bytes, last: bool) -> None:
        """Send a piece of a streamed body."""
        if last:
            self._stream = None
        if self._state is State.WORKING:
            self._run_guarded(lambda: self._send(data, self._pull_piece))

    def _pull_piece(self) -> None:
        if self._stream is None:
            self._on_answered()
            return
        self._state = State.WORKING
        self._countdown.pause()
        self._wait_for(0 if self._client_ended else READ)
        self._stream.pull()

    # -- events -----------------------------------------------------------------------

    def _on_event(self, _events: int) -> None:
        self._run_guarded(self._handle_event)

    def _handle_event(self) -> None:
        if self._state is State.READING:
            self._receive_request()
        elif self._state is State.WRITING:
            self._write()
        elif self._state is State.WORKING:
            self._receive_ahead()
        elif self._state is State.HANDSHAKE:
            self._wait_for(0)
            self._owner.queue_handshake(self, self._handshake_begun)
            self._handshake_begun = True
        elif self._state is State.LINGERING and self._receive() == b"":
            self.close()

    def _run_guarded(self, step: Callable[[], None]) -> None:
        """Run ``step``; a socket that fails in it closes this connection, and no other."""
        try:
            step()
        except OSError as err:  # ssl.SSLError is one
            logger.debug("Connection of %s ends: %s", self.peer, err)
            if self._state is State.HANDSHAKE:
                self._report_failed_handshake(tls.handshake_problem(err))
            self.close()

    def _report_failed_handshake(self, reason: str) -> None:
        """Report a failed handshake, unless the client only connected (a health check)."""
        if self._transport is not None and self._transport.received_any:
            self._owner.handshake_failed(self, reason)

    def _wait_for(self, events: int) -> None:
        if events != self._events and self._state is not State.CLOSED:
            self._events = events
            self._loop.modify(self._sock, events)

    # -- deadlines --------------------------------------------------------------------

    def _expired(self) -> None:
        if self._state is State.HANDSHAKE:
            self._report_failed_handshake(
                f"not finished after {self._owner.deadlines.handshake:g} s"
            )
        if self._state is not State.READING or self._parser_state is ParserState.IDLE:
            self.close()
        elif self._parser_state is not ParserState.BODY or not self._pace.continue_body():
            self._run_guarded(lambda: self._refuse(RequestTimeout()))

    # -- in ---------------------------------------------------------------------------

    def _continue_handshake(self) -> None:
        assert self._transport is not None
        try:
            self._transport.continue_handshake()
        except ssl.SSLWantReadError:
            self._wait_for(READ)
            return
        except ssl.SSLWantWriteError:
            self._wait_for(WRITE)
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
        # A client without TCP_NODELAY sends its request only once its Finished is acknowledged.
        # We send nothing before the answer (no tickets), so that the kernel would delay that
        # acknowledgement by 40 ms.
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self._wait_for(READ)
        self._countdown.start(self._owner.deadlines.header)
        self._receive_request()  # it may have come along with the handshake's end

    def _receive(self) -> bytes | None:
        """Return received bytes: None for nothing yet, b'' for the end."""
        try:
            data = (self._transport or self._sock).recv(RECEIVE_SIZE)
        except (*tls.NOT_NOW, ssl.SSLWantReadError):
            self._wait_for(READ)
            return None
        except ssl.SSLWantWriteError:
            self._wait_for(WRITE)
            return None
        self._client_ended = not data
        self._pace.count(len(data))
        return data

    def _pending(self) -> bool:
        """Return whether the transport holds bytes that the kernel, and so the loop, has not."""
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
        self._loop.call_soon(lambda: self._on_event(READ))

    def _receive_ahead(self) -> None:
        """Notice that the client hangs up, and keep what it sends before its answer."""
        while self._parser.buffered < MAX_AHEAD:
            data = self._receive()
            if data is None:
                return
            if not data:
                break
            self._parser.feed(data)
        self._wait_for(0)

    def _next_request(self) -> None:
        """Hand over the next request if it is complete; otherwise wait for the rest."""
        try:
            request = self._parser.next()
        except HttpError as err:
            self._refuse(err)
            return
        if request is not None:
            self._awaits_first_request = False
            self._state = State.WORKING
            self._parser_state = ParserState.IDLE
            self._owner.bodies.release(self)
            self._countdown.pause()
            self._wait_for(0 if self._client_ended else READ)
            self._owner.on_request(self, request)
        elif self._client_ended:
            self.close()
        else:
            self._wait_for(READ)
            self._enter_parser_state(self._parser.state)
            self._owner.bodies.hold(self, self._parser.held)
            if self._parser.take_continue():
                self._answer_expectation()

    def _answer_expectation(self) -> None:
        """Ask for the body that the client holds back, unless the head alone decides the answer
        (RFC 9110, 10.1.1)."""
        early = self._owner.early_answer(self, self._parser.without_body())
        if early is None:
            self._send(CONTINUE, self._continue_reading)
            return
        self._close_after_answer = True  # the body may come all the same
        self._owner.bodies.release(self)
        self._send(early, self._on_answered)

    def _enter_parser_state(self, parser_state: ParserState) -> None:
        if parser_state is self._parser_state:
            return
        self._parser_state = parser_state
        limits = self._owner.deadlines
        if parser_state is ParserState.BODY:
            self._pace.begin()
        elif parser_state is ParserState.IDLE:
            self._countdown.start(limits.idle)
        elif not self._awaits_first_request:  # the first one's time began with the connection
            self._countdown.start(limits.header)

    # -- out --------------------------------------------------------------------------

    def _send(self, data: bytes, on_sent: Callable[[], None]) -> None:
        self._state = State.WRITING
        self._unsent = memoryview(data)
        self._on_sent = on_sent
        self._countdown.start(self._owner.deadlines.write)
        self._write()

    def _write(self) -> None:
        for _ in range(ROUNDS):
            if not self._unsent:
                self._on_sent()
                return
            try:
                sent = (self._transport or self._sock).send(self._unsent[:SEND_SIZE])
            except (*tls.NOT_NOW, ssl.SSLWantWriteError):
                break
            self._unsent = self._unsent[sent:]
            self._countdown.start(self._owner.deadlines.write)
        self._wait_for(WRITE)
        self._owner.on_waiting(self)

    def _continue_reading(self) -> None:
        """Wait for the body, after a 100 has been sent."""
        self._state = State.READING
        self._pace.begin()
        self._wait_for(READ)
        if self._pending():
            self._loop.call_soon(lambda: self._on_event(READ))

    def _on_answered(self) -> None:
        """Read the next request after an answer has been sent, or end the connection."""
        is_idle_at_stop = self._owner.stopping and not self._parser.buffered
        if self._close_after_answer or is_idle_at_stop:
            self._linger()
            return
        self._state = State.READING
        self._countdown.start(self._owner.deadlines.idle)
        self._owner.on_waiting(self)
        if self._parser.buffered or self._client_ended:
            self._next_request()
        else:
            self._wait_for(READ)
        if self._state is State.READING and self._pending():
            self._receive_request()

    def _refuse(self, error: HttpError) -> None:
        """Answer a request that cannot be read, the last one of this connection."""
        self._close_after_answer = True
        self._parser.refuse(error)
        self._owner.bodies.release(self)
        self._send(self._owner.refusal(self, error), self._on_answered)

    def _linger(self) -> None:
        """End our side, and wait a moment for the client to end its own."""
        if self._client_ended:
            self.close()
            return
        self._state = State.LINGERING
        self._countdown.start(self._owner.deadlines.linger)
        self._send_close_notify()
        self._sock.shutdown(socket.SHUT_WR)
        self._wait_for(READ)

    def _send_close_notify(self) -> None:
        """Send TLS's close_notify; from here on the socket is a plain one."""
        if self._transport is not None:
            self._transport.send_close_notify()
            self._transport = None
