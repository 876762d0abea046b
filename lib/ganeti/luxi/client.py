"""Connections to a master: a ``Client`` has one, a ``ConnectionPool`` shares several.

Threads share a pool; each call has a connection to itself. A request of a user talks to the master
through a ``BoundClient``, which says with each call who asks.

Theory of the health monitor. A call may take long, and a master that was stopped takes calls as
well: its kernel accepts and buffers for it. From the silence on one connection the two cannot be
told apart. So a caller that waits while nobody at all has been answered for ``timeout`` seconds
probes the master: a call that every master answers at once is sent on a connection of its own. If
that has no answer as many seconds later, the master is silent: all waiting callers give up, new
ones are refused at once, and one thread waits for the answer to come after all. With it everybody
is served again.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, NoReturn

from ganeti import constants, errors, pathutils
from ganeti.luxi.messages import (
    RECEIVE_SIZE,
    Call,
    Query,
    QueryClusterInfo,
    QueryConfigValues,
    QueryFields,
    QueryJobs,
    QueryTags,
    Reply,
    RequestContext,
    Splitter,
    WaitForJobChange,
    parse_reply,
    request,
)
from ganeti.utils import io
from ganeti.utils.text import describe_os_error

logger = logging.getLogger(__name__)

# -- connecting --------------------------------------------------------------------------


#: Seconds to connect and to wait for an answer, as Ganeti 3.0's own clients do.
CONNECT_TIMEOUT = 30.0
CALL_TIMEOUT = 180.0
#: The least number of seconds to wait before the master's health is checked again.
MIN_WAIT = 0.01


def connect(path: str, timeout: float) -> socket.socket:
    """Return a connected stream socket; raises the ``ProtocolError`` that says what is wrong.

    At most five connections wait for a real luxid to accept them. Beyond that ``connect`` itself
    blocks, but only on a blocking socket: on others it fails with EAGAIN at once.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _limit_sending(sock, timeout)
        with io.short_socket_path(path) as short:
            sock.connect(short)
        _limit_sending(sock, 0.0)
        sock.settimeout(timeout)
        return sock
    except PermissionError:
        sock.close()
        raise errors.NoPermission(f"no permission to connect to the master at {path}") from None
    except (FileNotFoundError, ConnectionRefusedError):
        sock.close()
        raise errors.NoMaster(f"cannot connect to the master at {path}") from None
    except (TimeoutError, BlockingIOError):
        sock.close()
        raise errors.Timeout("connecting to the master took too long") from None
    except OSError as err:
        sock.close()
        raise errors.NoMaster(
            f"cannot connect to the master at {path}: {err.strerror or err}"
        ) from None


def _limit_sending(sock: socket.socket, seconds: float) -> None:
    """Set how long the kernel waits to connect or to send on a blocking socket; 0 is for ever."""
    whole = int(seconds)
    sock.setsockopt(
        socket.SOL_SOCKET,
        socket.SO_SNDTIMEO,
        struct.pack("@ll", whole, int((seconds - whole) * 1_000_000)),
    )


# -- the health of the master ------------------------------------------------------------


#: Seconds of silence before a probe is sent, and seconds that a master gets to answer it.
HEALTH_TIMEOUT = 4.0
#: Seconds between tries to ask a master that cannot be reached.
RETRY_INTERVAL = 0.25

_PROBE = request(QueryConfigValues(["cluster_name"]))

Connect = Callable[[float], socket.socket]


class HealthMonitor:
    """Tracks whether one master answers, for all connections to it; from any thread.

    ``connect(timeout)`` opens a connection, or raises ``errors.ProtocolError``.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        timeout: float = HEALTH_TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timeout = timeout
        self._connect = connect
        self._clock = clock
        self._probing = threading.Lock()
        self._last_answer = 0.0
        self._silent = False

    def record_answer(self) -> None:
        """Note that the master has answered somebody now."""
        self._last_answer = self._clock()

    def answered_since(self, since: float) -> bool:
        """Return whether anybody was answered after that moment."""
        return self._last_answer > since

    def seconds_left(self, since: float) -> float:
        """Return the seconds until a silence ``since`` then is worth a probe."""
        return max(self._last_answer, since) + self.timeout - self._clock()

    def fail_if_silent(self) -> None:
        """Raise ``errors.Timeout`` if the master is known to be silent."""
        if self._silent:
            self._raise_timeout()

    def probe(self, since: float) -> None:
        """Raise ``errors.Timeout`` unless the master, silent ``since`` then, answers a probe."""
        with self._probing:
            self.fail_if_silent()
            if self.answered_since(since):
                return
            sock = self._send_probe()
            if sock is None or self._is_answered(sock, self.timeout):
                self.record_answer()  # its own call tells a caller that cannot connect
                return
            self._silent = True
            logger.warning("The master does not answer")
            threading.Thread(
                target=self._await_recovery, args=(sock,), name="luxi-pulse", daemon=True
            ).start()
        self._raise_timeout()

    @staticmethod
    def _raise_timeout() -> NoReturn:
        raise errors.Timeout("the master does not answer")

    def _send_probe(self) -> socket.socket | None:
        """Send the probe on a new connection; None if nobody listens there."""
        try:
            sock = self._connect(self.timeout)
        except errors.Timeout:
            return socket.socket(socket.AF_UNIX)  # its queue is full: nobody answers
        except errors.ProtocolError:
            return None
        try:
            sock.sendall(_PROBE)
        except OSError:
            pass  # reading will fail as well
        return sock

    @staticmethod
    def _is_answered(sock: socket.socket, timeout: float | None) -> bool:
        """Return True once the first byte of an answer comes, False if none does in time.

        Only a running master can have sent it; the rest may take longer, like any answer. A stopped
        master does not close connections either: a closed one counts as an answer.
        """
        sock.settimeout(timeout)
        try:
            sock.recv(4096)
        except ConnectionError:
            return True
        except OSError:  # nothing came in time, or its accept queue was full
            return False
        return True

    def _await_recovery(self, sock: socket.socket) -> None:
        """Wait until the master answers, or is gone, and end the alarm."""
        pause = threading.Event()
        # A master that went on may have lost this one: then another is asked.
        while not self._is_answered(sock, self.timeout):
            sock.close()
            pause.wait(RETRY_INTERVAL)
            another = self._send_probe()
            if another is None:
                break
            sock = another
        sock.close()
        self.record_answer()
        self._silent = False
        logger.info("The master answers again")


# -- one connection ----------------------------------------------------------------------


class Client:
    """One connection to a master; not to be shared between threads.

    A call that found its connection closed is sent again once, on a new one, if
    it may be: a submission is not, since the first may have been accepted. With
    ``health``, a master that answers nobody is given up long before ``call_timeout``.
    """

    def __init__(
        self,
        path: str | None = None,
        *,
        connect_timeout: float = CONNECT_TIMEOUT,
        call_timeout: float = CALL_TIMEOUT,
        health: HealthMonitor | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path or pathutils.Paths.from_environment().query_socket
        self._connect_timeout = connect_timeout
        self._call_timeout = call_timeout
        self._health = health
        self._clock = clock
        self._sock: socket.socket | None = None
        self._last_use = 0.0

    def call(self, call: Call, context: RequestContext | None = None) -> Any:
        """Return the result of a call; raises what the master answered, or ``ProtocolError``."""
        return self.ask(call, context).result

    def ask(self, call: Call, context: RequestContext | None = None) -> Reply:
        """Return the result of a call with the master's notes; raises as ``call`` does."""
        try:
            return parse_reply(self.begin(call, context)())
        except errors.ProtocolError:
            # A form-2 failure is followed by the end of the connection.
            self.close()
            raise

    def begin(self, call: Call, context: RequestContext | None = None) -> Callable[[], bytes]:
        """Send a call. What is returned waits for the answer, for ``parse_reply``.

        It is to be called once, before anything else is asked here.
        """
        data = request(call, context)
        if self._health is not None:
            self._health.fail_if_silent()
        sock, is_new = self._ensure_connected()
        may_repeat = call.SAFE_TO_REPEAT and not is_new
        try:
            self._send(sock, data)
        except errors.ConnectionClosed:
            if not may_repeat:
                raise
            return lambda: self._send_and_read(data)

        def finish() -> bytes:
            try:
                return self._read(sock)
            except errors.ConnectionClosed:
                if not may_repeat:
                    raise
            return self._send_and_read(data)

        return finish

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _ensure_connected(self) -> tuple[socket.socket, bool]:
        """Return a usable connection, and whether it had to be opened.

        The master closes connections that have been idle for long.
        """
        now = self._clock()
        idle = now - self._last_use
        self._last_use = now
        if self._sock is not None:
            if idle <= constants.LUXI_IDLE_TIMEOUT / 2 and not _is_readable(self._sock):
                return self._sock, False
            self.close()
        self._sock = connect(self._path, self._connect_timeout)
        return self._sock, True

    def _send_and_read(self, data: bytes) -> bytes:
        sock, _ = self._ensure_connected()
        self._send(sock, data)
        return self._read(sock)

    def _send(self, sock: socket.socket, data: bytes) -> None:
        with self._close_on_error():
            self._set_timeout(sock, self._call_timeout)
            sock.sendall(data)

    def _read(self, sock: socket.socket) -> bytes:
        deadline = self._clock() + self._call_timeout
        splitter = Splitter()
        with self._close_on_error():
            while True:
                chunk = self._receive(sock, deadline)
                if not chunk:
                    raise errors.ConnectionClosed("the master closed the connection unanswered")
                for message in splitter.feed(chunk):
                    if self._health is not None:
                        self._health.record_answer()
                    self._check_nothing_follows(sock, splitter)
                    return message

    @staticmethod
    def _check_nothing_follows(sock: socket.socket, splitter: Splitter) -> None:
        """Raise ``ConnectionClosed`` if anything follows an answer.

        Answers carry no number: they belong to calls by their order alone. If there are more of
        them than calls, the one that was just read may be that of an earlier call.
        """
        more = splitter.pending
        if not more and _is_readable(sock):
            more = bool(sock.recv(1, socket.MSG_PEEK))  # b"": only the end of the stream
        if more:
            raise errors.ConnectionClosed("the master sent more answers than it was asked for")

    @contextlib.contextmanager
    def _close_on_error(self) -> Iterator[None]:
        """Close the connection on any error in the block, raised as a ``ProtocolError``."""
        try:
            yield
        except TimeoutError:
            self.close()
            raise errors.Timeout("the master did not answer in time") from None
        except OSError as err:
            self.close()
            raise errors.ConnectionClosed(
                f"the connection to the master broke: {describe_os_error(err)}"
            ) from None
        except errors.ProtocolError:
            self.close()
            raise

    def _set_timeout(self, sock: socket.socket, seconds: float) -> None:
        """Set how long the socket may be silent; raises ``TimeoutError`` if that is over."""
        if seconds <= 0:
            raise TimeoutError
        if self._health is not None:
            seconds = min(seconds, self._health.timeout)
        if sock.gettimeout() != seconds:  # setting it takes a system call
            sock.settimeout(seconds)

    def _receive(self, sock: socket.socket, deadline: float) -> bytes:
        """Return some bytes of the answer, if they come in time.

        Give up earlier if the master answers nobody.
        """
        since = self._clock()
        seconds = deadline - since
        while True:
            self._set_timeout(sock, seconds)
            try:
                return sock.recv(RECEIVE_SIZE)
            except TimeoutError:
                seconds = deadline - self._clock()
                if self._health is not None:
                    if self._health.seconds_left(since) <= 0:
                        self._health.probe(self._clock() - self._health.timeout)
                    seconds = min(seconds, max(self._health.seconds_left(since), MIN_WAIT))


def _is_readable(sock: socket.socket) -> bool:
    """Return whether a read would not block.

    Between two calls that means that the master has closed the connection, or has sent something
    unasked: the connection cannot be used any more.
    """
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


# -- a pool of connections ---------------------------------------------------------------


#: Returns whether the client that waits for the answer has hung up.
Gone = Callable[[], bool]
#: ``luxi.JobWatcher.wait``.
WaitForJob = Callable[[WaitForJobChange, Gone], Future[bytes | None]]


class ConnectionPool:
    """Opens as many connections as there are calls at the same time, and keeps them.

    The last one used is the first to be used again, so that those of a busy hour become idle; a
    client replaces a connection that was idle for too long. ``wait_for_job`` is for bound clients.
    """

    def __init__(
        self,
        make_client: Callable[[], Client] = Client,
        *,
        keep: int = 16,
        wait_for_job: WaitForJob | None = None,
    ) -> None:
        self._make_client = make_client
        self._keep = keep
        self.wait_for_job = wait_for_job
        self._idle: list[Client] = []
        self._lock = threading.Lock()

    def bound(
        self, context: RequestContext, before_change: Callable[[], None] | None = None
    ) -> BoundClient:
        """Return the master as one request talks to it."""
        return BoundClient(self, context, before_change)

    def call(self, call: Call, context: RequestContext | None = None) -> Any:
        """Return the result of a call, as ``Client.call`` does; from any thread."""
        return self.ask(call, context).result

    def ask(self, call: Call, context: RequestContext | None = None) -> Reply:
        """Return the result of a call with the master's notes, as ``Client.ask`` does."""
        client = self._acquire()
        try:
            return client.ask(call, context)
        finally:
            self._release(client)

    def begin(self, call: Call, context: RequestContext | None = None) -> Callable[[], bytes]:
        """Send a call, as ``Client.begin`` does; other threads may call meanwhile."""
        client = self._acquire()
        try:
            finish = client.begin(call, context)
        except BaseException:
            self._release(client)
            raise

        def finish_and_return() -> bytes:
            try:
                return finish()
            finally:
                self._release(client)

        return finish_and_return

    def _acquire(self) -> Client:
        with self._lock:
            client = self._idle.pop() if self._idle else None
        return client or self._make_client()

    def _release(self, client: Client) -> None:
        with self._lock:
            if len(self._idle) < self._keep:
                self._idle.append(client)
                return
        client.close()

    def close(self) -> None:
        """Close the idle connections; the others are closed when their calls end."""
        with self._lock:
            idle, self._idle = self._idle, []
        for client in idle:
            client.close()


# -- the master as one request talks to it -----------------------------------------------


#: Calls that change nothing, of those that the front makes.
_READING = (Query, QueryFields, QueryClusterInfo, QueryTags, QueryJobs, WaitForJobChange)


class BoundClient:
    """The master as one request talks to it: each call says who asks.

    ``before_change`` is called before each call that may change something; it may raise to
    prevent the call.
    """

    __slots__ = ("_pool", "_context", "_before_change")

    def __init__(
        self,
        pool: ConnectionPool,
        context: RequestContext,
        before_change: Callable[[], None] | None = None,
    ) -> None:
        self._pool = pool
        self._context = context
        self._before_change = before_change

    def call(self, call: Call) -> Any:
        """Return the result of a call; raises ``errors.Error``."""
        return self.ask(call).result

    def ask(self, call: Call) -> Reply:
        """Return the result of a call with the master's notes; raises ``errors.Error``."""
        if self._before_change is not None and not isinstance(call, _READING):
            self._before_change()
        return self._pool.ask(call, self._context)

    def begin(self, call: Call) -> Callable[[], bytes]:
        """Send a call that only reads, as ``Client.begin`` does; from any thread."""
        return self._pool.begin(call, self._context)

    def wait(self, call: WaitForJobChange, gone: Gone) -> Future[bytes | None]:
        """Return a future of the answer's bytes, as ``luxi.JobWatcher.wait`` does."""
        if self._pool.wait_for_job is None:
            raise errors.ProgrammerError("this pool has no job watcher")
        return self._pool.wait_for_job(call, gone)
