"""The server: one thread that owns all sockets, a few that answer requests.

Theory. The loop's thread accepts, shakes hands, reads, writes and watches the
clock; it never waits for one client. A complete request goes to the pool, and
what comes back is sent by the loop. So neither slow clients nor silent ones
hold a thread, and a slow handler holds up only those that need one as well.

A handler may return a future instead of a response: then nothing at all is
held until it is resolved.

Connections are limited. At the limit the connection that has waited longest,
for a request or for its client to take an answer, without ever having
authenticated makes room for a new one; when there is none, nobody is accepted
until somebody leaves (the kernel keeps a queue).
"""

from __future__ import annotations

import functools
import logging
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from ganeti import serializer
from ganeti.http.connection import Connection, Deadlines
from ganeti.http.errors import HttpError, InternalServerError
from ganeti.http.message import Request, Response, http_date, serialize
from ganeti.http.pool import Pool
from ganeti.http.reader import MAX_BODY
from ganeti.utils.loop import READ, Loop

__all__ = ["Access", "Deadlines", "Handler", "Server", "error_response"]

Handler = Callable[[Request], "Response | Future[Response]"]

#: New connections that are taken at once, before the others' turn.
ACCEPT_BATCH = 64
#: Seconds until the next try when the process or the machine is out of descriptors.
ACCEPT_AGAIN = 1.0


@dataclass(frozen=True, slots=True)
class Access:
    """One line of an access log. ``request`` is None when it could not be read."""

    peer: str
    request: Request | None
    status: int
    #: Bytes of the body.
    size: int
    seconds: float


def error_response(error: HttpError) -> Response:
    """The JSON answer that a refusal is."""
    return Response(error.code, serializer.dump_bytes(error.as_object()),
                    [("Content-Type", "application/json"), *error.headers])


class Server:
    """Serves ``listeners``, plain or (with ``ssl_context``) TLS, until ``stop``.

    ``handler`` runs on one of ``workers`` threads. Its ``HttpError`` is the answer, any other
    exception is logged and answered with 500. ``access_log`` is called after each answer, from
    any of the threads. ``max_body`` is in bytes. The listeners are closed in the end.
    """

    def __init__(self, listeners: Sequence[socket.socket], handler: Handler, *,
                 ssl_context: ssl.SSLContext | None = None, max_clients: int = 2000,
                 workers: int = 16, deadlines: Deadlines = Deadlines(),
                 server_name: str = "Ganeti-RAPI", loop: Loop | None = None,
                 access_log: Callable[[Access], object] | None = None,
                 max_body: int = MAX_BODY,
                 wall_clock: Callable[[], float] = time.time) -> None:
        self.loop = loop or Loop()
        self.deadlines = deadlines
        self.draining = False
        self._listeners = list(listeners)
        self._handler = handler
        self._ssl_context = ssl_context
        self._max_clients = max_clients
        self._server_name = server_name
        self._access_log = access_log
        self._max_body = max_body
        self._wall_clock = wall_clock
        self._pool = Pool(workers, "http")
        self._connections: set[Connection] = set()
        #: Those that may have to make room, the one that has waited longest first.
        self._expendable: dict[Connection, None] = {}
        self._accepting = True
        for listener in self._listeners:
            listener.setblocking(False)
            self.loop.add(listener, READ, functools.partial(self._accept, listener))

    @property
    def clients(self) -> int:
        """Connections at this moment."""
        return len(self._connections)

    def serve_forever(self) -> None:
        """Work until ``stop``, on the calling thread."""
        try:
            self.loop.run()
        finally:
            for connection in list(self._connections):
                connection.close()
            self._close_listeners()
            self._pool.close()

    def stop(self, grace: float = 5.0) -> None:
        """End ``serve_forever``: accept nobody, answer the requests that have come, for at
        most ``grace`` seconds. From any thread, and from signal handlers."""
        self.loop.call_threadsafe(functools.partial(self._drain, grace))

    def set_ssl_context(self, context: ssl.SSLContext) -> None:
        """Show another certificate to those who come from now on. From any thread."""
        self._ssl_context = context

    # -- coming and going -------------------------------------------------------------

    def _accept(self, listener: socket.socket, _events: int = READ) -> None:
        for _ in range(ACCEPT_BATCH):
            if len(self._connections) >= self._max_clients and not self._expendable:
                self._pause()
                return
            try:
                sock, address = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                continue                    # it has left already
            except OSError as err:
                self._out_of_sockets(err)
                return
            if len(self._connections) >= self._max_clients:
                self._evict()
            try:
                self._welcome(sock, address[0] if isinstance(address, tuple) else "")
            except OSError as err:
                logging.debug("A connection was lost at once: %s", err)
                sock.close()

    def _welcome(self, sock: socket.socket, peer: str) -> None:
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            # Before the handshake: its last part would wait 40 ms for an acknowledgement.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._ssl_context is not None:
            sock = self._ssl_context.wrap_socket(sock, server_side=True,
                                                 do_handshake_on_connect=False)
        connection = Connection(sock, peer.removeprefix("::ffff:"), self,
                                max_body=self._max_body)
        self._connections.add(connection)
        self._expendable[connection] = None

    def _evict(self) -> None:
        """The connection that has waited longest makes room."""
        next(iter(self._expendable)).close()

    def _out_of_sockets(self, error: OSError) -> None:
        """No descriptor is left. Were we to go on, the loop would spin."""
        if self._expendable:
            self._evict()
            return
        logging.warning("Cannot accept a connection: %s", error)
        self._pause()
        self.loop.call_later(ACCEPT_AGAIN, self._resume)

    def _pause(self) -> None:
        self._accepting = False
        for listener in self._listeners:
            self.loop.modify(listener, 0)

    def _resume(self) -> None:
        if not self._accepting:
            self._accepting = True
            for listener in self._listeners:
                self.loop.modify(listener, READ)

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            self.loop.remove(listener)
            listener.close()
        self._listeners.clear()

    def _drain(self, grace: float) -> None:
        self.draining = True
        if self._accepting:
            for listener in self._listeners:
                self._accept(listener)      # they have connected: they are served
        self._close_listeners()
        for connection in list(self._connections):
            connection.drain()
        if self._connections:
            self.loop.call_later(grace, self.loop.stop)
        else:
            self.loop.stop()

    # -- what a connection asks of its owner ------------------------------------------

    def waits(self, connection: Connection) -> None:
        """Unless it authenticated, it can make room for somebody."""
        if not connection.authenticated:
            self._expendable[connection] = None
            self._resume()

    def closed(self, connection: Connection) -> None:
        """There is room again."""
        self._connections.discard(connection)
        self._expendable.pop(connection, None)
        self._resume()
        if self.draining and not self._connections:
            self.loop.stop()

    def refusal(self, connection: Connection, error: HttpError) -> bytes:
        """An answer to what is no request."""
        self._expendable.pop(connection, None)
        response = error_response(error)
        self._log(Access(connection.peer, None, error.code, len(response.body), 0.0))
        return self._bytes(response, None, close=True)

    def work(self, connection: Connection, request: Request) -> None:
        """Hand a request to the pool."""
        self._expendable.pop(connection, None)
        self._pool.submit(functools.partial(self._work, connection, request,
                                            self.loop.clock()))

    # -- on a thread of the pool ------------------------------------------------------

    def _work(self, connection: Connection, request: Request, began: float) -> None:
        result: Response | Future[Response]
        try:
            result = self._handler(request)
            if isinstance(result, Future):
                result.add_done_callback(
                    lambda future: self._finish(connection, request, began, future.result))
                return
        except Exception as err:
            result = _failure(request, err)
        response = result
        self._finish(connection, request, began, lambda: response)

    def _finish(self, connection: Connection, request: Request, began: float,
                result: Callable[[], Response]) -> None:
        """Whatever happens, the connection gets its answer."""
        keep = request.keep_alive and not self.draining
        try:
            response = result()
            data = self._bytes(response, request, close=not keep)
        except Exception as err:
            response = _failure(request, err)
            data = self._bytes(response, request, close=not keep)
        self.loop.call_threadsafe(functools.partial(connection.answer, data, keep,
                                                    response.authenticated))
        self._log(Access(request.peer, request, response.status, len(response.body),
                         self.loop.clock() - began))

    def _bytes(self, response: Response, request: Request | None, *, close: bool) -> bytes:
        return serialize(response, request, server=self._server_name,
                         date=http_date(int(self._wall_clock())), close=close)

    def _log(self, access: Access) -> None:
        if self._access_log is not None:
            try:
                self._access_log(access)
            except Exception:
                logging.exception("The access log failed")


def _failure(request: Request, error: BaseException) -> Response:
    """The answer to a handler's exception."""
    if isinstance(error, HttpError):
        try:
            return error_response(error)
        except (TypeError, ValueError):
            pass                            # its detail is no JSON: our failure
    logging.error("%s %s failed", request.method, request.path, exc_info=error)
    return error_response(InternalServerError())
