"""The server: one thread for every socket, a bounded pool for the work.

Theory. The loop's thread accepts, shakes hands, reads, writes and watches the
clock for all connections; none of that blocks, so a slow or silent client costs
memory and no thread. Only a request that is complete and well-formed goes to
the pool, whose threads do nothing but ``handler(request)``. A thousand waiting
clients hold no thread; sixteen long requests hold sixteen.

At the limit of connections the one that has been idle longest and never proved
who it is makes room; if there is none, the kernel's queue holds the rest until
somebody leaves.
"""

from __future__ import annotations

import logging
import selectors
import socket
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from ganeti import serializer
from ganeti.http.connection import Connection, Deadlines, monotonic
from ganeti.http.errors import HttpError, InternalServerError
from ganeti.http.message import MAX_BODY, Request, Response
from ganeti.utils.loop import Loop

#: Threads that handle requests: they wait for the master, so more than cores.
WORKERS = 16
MAX_CLIENTS = 2000
#: Seconds without accepting after the system ran out of descriptors.
ACCEPT_PAUSE = 0.5

Handler = Callable[[Request], Response]
AccessLog = Callable[[str, Request | None, int, int, float], None]


class Server:
    """Serves listening sockets until ``stop``."""

    def __init__(self, listeners: Sequence[socket.socket], handler: Handler, *,
                 ssl_context: ssl.SSLContext | None = None, max_clients: int = MAX_CLIENTS,
                 workers: int = WORKERS, deadlines: Deadlines = Deadlines(),
                 max_body: int = MAX_BODY, server_name: str = "Ganeti-RAPI",
                 loop: Loop | None = None, access_log: AccessLog | None = None,
                 clock: Callable[[], float] = monotonic) -> None:
        self._listeners = list(listeners)
        self._handler = handler
        self._context = ssl_context
        self._max_clients = max_clients
        self._access_log = access_log
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="http")
        self._connections: set[Connection] = set()
        self._accepting = True
        self.loop = loop or Loop(clock)
        self.deadlines = deadlines
        self.max_body = max_body
        self.server_name = server_name
        self.draining = False
        self.clock = clock
        for listener in self._listeners:
            listener.setblocking(False)
            self.loop.add(listener, selectors.EVENT_READ, self._accept_from(listener))

    def serve_forever(self) -> None:
        """Run the loop until ``stop``, then close what is left."""
        try:
            self.loop.run()
        finally:
            for connection in list(self._connections):
                connection.close()
            self._close_listeners()
            self._pool.shutdown(wait=False, cancel_futures=True)

    def stop(self, grace: float = 10.0) -> None:
        """Finish what is in flight, at most for ``grace`` seconds; from any thread."""
        self.loop.call_threadsafe(lambda: self._drain(grace))

    def set_ssl_context(self, context: ssl.SSLContext) -> None:
        """New connections get another certificate; the old ones keep theirs."""
        self._context = context

    # -- accepting ----------------------------------------------------------------

    def _accept_from(self, listener: socket.socket) -> Callable[[int], None]:
        return lambda _: self._accept(listener)

    def _accept(self, listener: socket.socket) -> None:
        while self._accepting:
            if len(self._connections) >= self._max_clients and not self._make_room():
                self._listen(False)
                return
            try:
                sock, address = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as err:
                logging.warning("Cannot accept connections: %s", err)
                self._listen(False)
                self.loop.call_later(ACCEPT_PAUSE, lambda: self._listen(True))
                return
            self._take(sock, address)

    def _take(self, sock: socket.socket, address: object) -> None:
        peer = str(address[0]) if isinstance(address, tuple) else "local"
        try:
            sock.setblocking(False)
            # Without it a TLS handshake waits 40 ms for a delayed acknowledgement.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(self, sock, peer, self._context)
        except (OSError, ValueError) as err:
            logging.debug("Connection of %s ended at once: %s", peer, err)
            sock.close()
            return
        if connection.state is not connection.state.CLOSED:
            self._connections.add(connection)

    def _make_room(self) -> bool:
        """Close the connection that is idle longest among those of nobody in particular."""
        idle = [one for one in self._connections if one.idle and not one.authenticated]
        if not idle:
            return False
        min(idle, key=lambda one: one.since).close()
        return True

    def _listen(self, flag: bool) -> None:
        if self.draining or flag == self._accepting:
            return
        self._accepting = flag
        for listener in self._listeners:
            self.loop.modify(listener, selectors.EVENT_READ if flag else 0)

    # -- for connections --------------------------------------------------------------

    def dispatch(self, connection: Connection, request: Request) -> None:
        """Handle a request on a thread of the pool."""
        self._pool.submit(self._handle, connection, request)

    def closed(self, connection: Connection) -> None:
        """A connection has ended; somebody else may come."""
        self._connections.discard(connection)
        if self.draining and not self._connections:
            self.loop.stop()
        elif not self._accepting and len(self._connections) < self._max_clients:
            self._listen(True)

    def log(self, peer: str, request: Request | None, status: int, size: int,
            seconds: float) -> None:
        """Hand an answer to the access log."""
        if self._access_log is not None:
            self._access_log(peer, request, status, size, seconds)

    def _handle(self, connection: Connection, request: Request) -> None:
        try:
            response = self._handler(request)
        except HttpError as err:
            response = error_response(err)
        except Exception:
            logging.exception("%s %s failed", request.method, request.target)
            response = error_response(InternalServerError())
        self.loop.call_threadsafe(lambda: connection.respond(response))

    # -- the end ------------------------------------------------------------------------

    def _drain(self, grace: float) -> None:
        if self.draining:
            return
        self._close_listeners()
        self.draining = True
        for connection in list(self._connections):
            if connection.idle or connection.state is connection.state.HANDSHAKE:
                connection.close()
        if not self._connections:
            self.loop.stop()
        self.loop.call_later(grace, self.loop.stop)

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            if listener.fileno() >= 0:
                self.loop.remove(listener)
                listener.close()


def error_response(error: HttpError, *, authenticated: bool = False) -> Response:
    """A refusal as a response."""
    return Response(error.code, serializer.dump_bytes(error.as_object()),
                    [("Content-Type", "application/json"), *error.headers], authenticated)
