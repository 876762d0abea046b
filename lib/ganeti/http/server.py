"""The server: one thread that owns all sockets, a few that answer requests.

Theory. The loop's thread accepts, does handshakes, reads, writes and watches the deadlines; it
never waits for one client. A complete request goes to a worker pool, and the loop sends the
response. So neither slow nor silent clients hold a thread, and a slow handler delays only requests
that need a thread as well.

A request is routed once, when its head has been read (``message.Route``). A handler that waits, for
a job or for a password's hash, is a generator: it yields each future that it waits for, and
returns the response. No thread is held until the future is done; then the generator goes to its
pool again. It is closed when its future is dropped.

Requests that need no I/O are answered on the loop's thread. Urgent requests have threads of their
own, as they must get through while others wait for something slow. Long lists have threads of
their own, too, but few: they keep the processor busy, and other requests must get their turn.

The number of connections is limited. At the limit another connection is evicted
(``limits.ConnectionTable``); if there is none to evict, accepting pauses until one closes, and the
kernel queues clients.
"""

from __future__ import annotations

import functools
import logging
import secrets
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ganeti import serializer
from ganeti.http.connection import Connection, Deadlines, Owner, State
from ganeti.http.errors import HttpError, InternalServerError
from ganeti.http.message import (
    Priority,
    Request,
    RequestHead,
    Response,
    Route,
    Steps,
    http_date,
    serialize,
)
from ganeti.http.streaming import StreamedBody
from ganeti.utils import log
from ganeti.utils.acceptor import Acceptor
from ganeti.utils.event_loop import Loop
from ganeti.utils.limits import BodyBudget, ConnectionTable, LogBudget
from ganeti.utils.workers import WorkerPool

logger = logging.getLogger(__name__)

#: Handshakes that are continued in one round of the loop. Each takes about a millisecond of
#: computing, and a thousand clients may come at once.
HANDSHAKE_BATCH = 8
#: Unsent bytes of an answer that the kernel buffers. Its default is megabytes, which a client
#: could occupy at no cost by not reading.
UNSENT = 128 * 1024
#: Threads for urgent requests only.
URGENT_WORKERS = 2
#: Threads for long lists, which keep the processor busy.
LONG_WORKERS = 2


#: Seconds that requests have to end when the server stops. A master that does not answer is given
#: up sooner.
STOP_GRACE = 10.0
_BUSY = (State.WORKING, State.WRITING)


# -- the access log --------------------------------------------------------------------


#: Characters of a target that are written. A stranger can send 8 KiB of them thousands of times
#: a second; those of the API, lists of tags and jobs aside, are far shorter.
MAX_LOGGED_TARGET = 512


def shorten_target(target: str) -> str:
    """Return a target for the log: the end of a long one is ``...[+N]``, for N characters."""
    more = len(target) - MAX_LOGGED_TARGET
    return target if more <= 0 else f"{target[:MAX_LOGGED_TARGET]}...[+{more}]"


@dataclass(frozen=True, slots=True)
class AccessLogEntry:
    """An answer for the access log. ``request`` is None when it could not be read.

    Whatever a client sent, ``utils.log`` makes one line of it.
    """

    peer: str
    port: int
    request: Request | None
    response: Response
    seconds: float

    def log_as_text(self) -> None:
        """Log the answer as a line of text."""
        log.access(self.line())

    def log_as_json(self) -> None:
        """Log the answer as a JSON object."""
        log.access("", self.fields())

    def line(self) -> str:
        """Return ``CLIENT:PORT METHOD TARGET HTTP/VERSION STATUS``, the line of Ganeti's daemon.

        A dash is for an unreadable request; a list that broke off is marked.
        """
        request = self.request
        if request is None:
            asked = "-"
        else:
            asked = f"{request.method} {shorten_target(request.target)} HTTP/{request.version}"
        part = "" if self.response.whole else " (a part)"
        return f"{self.peer}:{self.port} {asked} {self.response.status}{part}"

    def fields(self) -> dict[str, object]:
        """Return all that is known, null for the rest.

        ``bytes``: of the body, ``whole`` unless a list broke off; ``seconds`` from the request's
        last byte to its answer; ``id`` is unique, while ``request_id`` is the client's, if it sent
        one, and may come again.
        """
        request, response = self.request, self.response
        return {
            "client": self.peer,
            "port": self.port,
            "user": response.user or None,
            "method": None if request is None else request.method,
            "target": None if request is None else shorten_target(request.target),
            "status": response.status,
            "bytes": 0 if request is not None and request.method == "HEAD" else response.size,
            "whole": response.whole,
            "seconds": round(self.seconds, 6),
            "job": response.job_id,
            "request_id": response.request_id or None,
            "id": response.log_id or response.request_id or None,
        }


# -- the server ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _RequestInProgress:
    """A request between its arrival and its answer."""

    connection: Connection
    request: Request
    pool: WorkerPool
    began: float


def error_response(error: HttpError, request_id: str) -> Response:
    """Return the JSON response for an ``HttpError``."""
    return Response(
        error.code,
        serializer.dump_bytes(error.as_object()),
        [("Content-Type", "application/json"), *error.headers, ("X-Request-Id", request_id)],
        request_id=request_id,
    )


class Server(Owner):
    """Serves ``listeners``, plain or (with ``ssl_context``) TLS, until ``stop``.

    ``route`` is called on the loop's thread once a head has been read. The handler of the route
    runs on one of ``workers`` threads, or on one of few others, as its priority says. Its
    ``HttpError`` is the answer, any other exception is logged and answered with 500; these
    answers have an id of ``make_id``. ``access_log`` is called after each answer, from any of the
    threads. ``is_expected`` returns whether an exception that ends a streamed body is logged as a
    warning, without a traceback. The listeners are closed in the end.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        route: Callable[[RequestHead], Route],
        *,
        ssl_context: ssl.SSLContext | None = None,
        max_clients: int = 2000,
        workers: int = 16,
        deadlines: Deadlines = Deadlines(),
        server_name: str = "Ganeti-RAPI",
        loop: Loop | None = None,
        access_log: Callable[[AccessLogEntry], object] | None = None,
        is_expected: Callable[[Exception], bool] = lambda error: False,
        make_id: Callable[[], str] = lambda: secrets.token_hex(8),
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.loop = loop or Loop()
        self.deadlines = deadlines
        self.draining = False
        self.stopping = False
        self._route = route
        self._ssl_context = ssl_context
        self._server_name = server_name
        self._access_log = access_log
        self.bodies = BodyBudget()
        self._wall_clock = wall_clock
        self._is_expected = is_expected
        self._make_id = make_id
        # Limited, as any client that connects can cause these lines.
        self._handshake_lines = self._log_budget("failed handshakes")
        self._refusal_lines = self._log_budget("refused requests")
        self._pools = {
            Priority.ORDINARY: WorkerPool(workers, "http"),
            Priority.URGENT: WorkerPool(URGENT_WORKERS, "urgent"),
            Priority.LONG: WorkerPool(LONG_WORKERS, "long"),
        }
        self._table: ConnectionTable[Connection] = ConnectionTable(max_clients)
        self._handshakes: deque[Connection] = deque()
        self._acceptor = Acceptor(
            self.loop,
            listeners,
            self._on_connection,
            has_room=lambda: not self._table.full,
            free_descriptor=self._table.evict,
        )

    def _log_budget(self, subject: str) -> LogBudget:
        return LogBudget(subject, clock=self.loop.clock, call_later=self.loop.call_later)

    @property
    def clients(self) -> int:
        """Return the number of connections at this moment."""
        return len(self._table)

    def serve_forever(self) -> None:
        """Serve clients until ``stop``, on the calling thread."""
        try:
            self.loop.run()
        finally:
            cut = sum(connection.state in _BUSY for connection in self._table.connections)
            if cut:
                logger.warning("%d requests were cut off: their time was over", cut)
            for connection in list(self._table.connections):
                connection.close()
            self._acceptor.close()
            for pool in self._pools.values():
                pool.close()

    def stop(self, grace: float = STOP_GRACE) -> None:
        """End ``serve_forever``: accept nobody, answer the requests that have come, for at
        most ``grace`` seconds. From any thread, and from signal handlers."""
        self.loop.call_threadsafe(functools.partial(self._drain, grace))

    def hand_over(self, grace: float = 5.0, busy_grace: float = 60.0) -> None:
        """End ``serve_forever`` unnoticed, as a successor accepts from our listeners now.

        For ``grace`` seconds requests on kept connections are still answered, with
        ``Connection: close``; requests in progress then have ``busy_grace`` seconds more. On the
        loop's thread.
        """
        self.draining = True
        self._acceptor.close()
        self.loop.call_later(
            grace if self._table.connections else 0.0, functools.partial(self._drain, busy_grace)
        )

    def set_ssl_context(self, context: ssl.SSLContext) -> None:
        """Show another certificate to clients that come from now on. Clients that have shown one
        must show it again, as it may be revoked. From any thread."""
        self._ssl_context = context
        self.loop.call_threadsafe(self._retire)

    def _retire(self) -> None:
        for connection in list(self._table.connections):
            connection.retire()

    # -- accepting and closing --------------------------------------------------------

    def _on_connection(self, sock: socket.socket, address: object) -> None:
        self._table.evict_if_full()
        # The address of a client on a local socket is not a tuple.
        peer, port = address[:2] if isinstance(address, tuple) else ("", 0)
        try:
            self._add_connection(sock, peer, port)
        except OSError as err:
            logger.debug("A connection was lost at once: %s", err)
            sock.close()

    def _add_connection(self, sock: socket.socket, peer: str, port: int) -> None:
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            # Before the handshake: its last part would wait 40 ms for an acknowledgement.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
        connection = Connection(
            sock,
            peer.removeprefix("::ffff:"),
            port,
            self,
            route=self._route,
            context=self._ssl_context,
        )
        self._table.add(connection)

    def _drain(self, grace: float) -> None:
        self.draining = self.stopping = True
        self._acceptor.accept_queued()  # clients that have connected are served
        self._acceptor.close()
        for connection in list(self._table.connections):
            connection.drain()
        if self._table.connections:
            self.loop.call_later(grace, self.loop.stop)
        else:
            self.loop.stop()

    def _run_handshakes(self) -> None:
        """Continue a batch of handshakes; other events are handled between two batches."""
        batch = [
            self._handshakes.popleft() for _ in range(min(HANDSHAKE_BATCH, len(self._handshakes)))
        ]
        if self._handshakes:
            self.loop.call_soon(self._run_handshakes)
        for connection in batch:
            connection.continue_handshake()

    # -- callbacks of connections (``connection.Owner``) ------------------------------

    def queue_handshake(self, connection: Connection, begun: bool) -> None:
        """Queue a handshake; one that has begun goes first, as finishing it costs little."""
        if not self._handshakes:
            self.loop.call_soon(self._run_handshakes)
        if begun:
            self._handshakes.appendleft(connection)
        else:
            self._handshakes.append(connection)

    def on_waiting(self, connection: Connection) -> None:
        """Resume accepting if the connection can be evicted now."""
        if self._table.mark_waiting(connection, connection.state is State.READING):
            self._acceptor.resume()

    def on_closed(self, connection: Connection) -> None:
        """Forget a closed connection, and resume accepting."""
        self._table.remove(connection)
        self._acceptor.resume()
        if self.draining and not self._table.connections:
            self.loop.stop()

    def refusal(self, connection: Connection, error: HttpError) -> bytes:
        """Return the answer to a malformed request, and log it."""
        self._table.mark_busy(connection)
        response = error_response(error, self._make_id())
        self._log_limited(
            self._refusal_lines,
            connection,
            f"Refused a request from {connection.client}: {error.code} {error.message}",
        )
        self._log_access(AccessLogEntry(connection.peer, connection.port, None, response, 0.0))
        return self._serialize(response, None, close=True)

    def early_answer(self, connection: Connection, request: Request) -> bytes | None:
        """Return the answer that the head alone decides, or None."""
        try:
            response = request.route.answer_from_head(request)
        except Exception as err:
            response = self._error_response(request, err)
        if response is None:
            return None
        self._table.mark_busy(connection)
        self._log_access(AccessLogEntry(connection.peer, connection.port, request, response, 0.0))
        return self._serialize(response, request, close=True)

    def handshake_failed(self, connection: Connection, reason: str) -> None:
        """Log why a handshake failed, within the limits of a client's log lines."""
        self._log_limited(
            self._handshake_lines,
            connection,
            f"TLS handshake with {connection.client} failed: {reason}",
        )

    @staticmethod
    def _log_limited(budget: LogBudget, connection: Connection, text: str) -> None:
        budget.log(
            logging.INFO,
            connection.peer,
            text,
            {"client": connection.peer, "port": connection.port},
        )

    def on_request(self, connection: Connection, request: Request) -> None:
        """Hand a request to its pool, or answer it at once."""
        self._table.mark_busy(connection)
        priority = request.route.priority
        pool = self._pools.get(priority, self._pools[Priority.ORDINARY])
        progress = _RequestInProgress(connection, request, pool, self.loop.clock())
        if priority is Priority.INSTANT:
            self._begin(progress)
        else:
            pool.submit(functools.partial(self._begin, progress))

    # -- on a worker's thread, or the loop's ---------------------------------------------

    def _begin(self, progress: _RequestInProgress) -> None:
        """Call the handler, and respond unless it waits."""
        try:
            answer = progress.request.route.handle(progress.request)
        except Exception as err:
            answer = self._error_response(progress.request, err)
        if isinstance(answer, Response):
            self._respond(progress, answer)
        else:
            self._resume(progress, answer)

    def _resume(self, progress: _RequestInProgress, steps: Steps) -> None:
        """Run a handler until it waits again, or respond with what it returns."""
        try:
            future = next(steps)
            future.add_done_callback(
                lambda _: progress.pool.submit(lambda: self._resume(progress, steps))
            )
            return
        except StopIteration as end:
            response = end.value
        except Exception as err:
            response = self._error_response(progress.request, err)
        self._respond(progress, response)

    def _respond(self, progress: _RequestInProgress, response: Response) -> None:
        """Send the response, or a 500 if it cannot be serialized: the client gets an answer."""
        request, connection = progress.request, progress.connection
        must_reauthenticate = connection.retired and request.certificate
        keep = request.keep_alive and not self.draining and not must_reauthenticate
        try:
            if response.stream is not None and request.version == "1.0":
                keep = False  # only the connection's end ends the body
            data = self._serialize(response, request, close=not keep)
        except Exception as err:
            response = self._error_response(request, err)
            data = self._serialize(response, request, close=not keep)
        if response.stream is not None and request.method != "HEAD":
            self._start_stream(progress, response, response.stream, data, keep)
            return
        self.loop.call_threadsafe(
            functools.partial(connection.answer, data, keep, response.authenticated)
        )
        self._log_answer(progress, response)

    def _log_answer(self, progress: _RequestInProgress, response: Response) -> None:
        connection, seconds = progress.connection, self.loop.clock() - progress.began
        self._log_access(
            AccessLogEntry(connection.peer, connection.port, progress.request, response, seconds)
        )

    def _start_stream(
        self,
        progress: _RequestInProgress,
        response: Response,
        pieces: Iterator[bytes],
        head: bytes,
        keep: bool,
    ) -> None:
        """Send the head, and then each piece of the body when it is made."""
        connection, request = progress.connection, progress.request
        stream = StreamedBody(
            response,
            pieces,
            self.loop,
            self._pools[Priority.LONG],
            chunked=request.version == "1.1",
            send=connection.send_piece,
            abort=connection.close,
            done=functools.partial(self._log_answer, progress, response),
            is_expected=self._is_expected,
        )
        self.loop.call_threadsafe(
            functools.partial(connection.answer, head, keep, response.authenticated, stream)
        )

    def _serialize(self, response: Response, request: Request | None, *, close: bool) -> bytes:
        return serialize(
            response,
            request,
            server=self._server_name,
            date=http_date(int(self._wall_clock())),
            close=close,
        )

    def _log_access(self, access: AccessLogEntry) -> None:
        if self._access_log is not None:
            try:
                self._access_log(access)
            except Exception:
                logger.exception("The access log failed")

    def _error_response(self, request: Request, error: BaseException) -> Response:
        """Return the response to a handler's exception; log it unless it is an ``HttpError``."""
        request_id = self._make_id()
        if isinstance(error, HttpError):
            try:
                return error_response(error, request_id)
            except (TypeError, ValueError):
                pass  # its detail cannot be JSON: a bug of ours
        logger.error(
            "Request %s: %s %s failed", request_id, request.method, request.path, exc_info=error
        )
        return error_response(InternalServerError(), request_id)
