"""The master's socket: LUXI requests in, answers out.

One thread runs a selector loop that owns every connection. It carries out short calls itself;
what may take longer, such as a query or parsing a large request, goes to a small pool of threads.
A call may return a future, and then no thread waits for it. A client that waits for a job costs
a timer and an entry in the queue's list of watchers.

Submissions, the calls of which a master gets most, are carried out here: their opcodes are parsed
and handed to the queue, whose future resolves once the jobs are durable. Queries are answered by
``query.engine``, and everything else by ``luxi_handlers``.

The requests of one connection are answered in order, one at a time: the next is begun when the
client has fetched the last answer, and reading stops while too many bytes wait for that.

Every request gets an answer. One that cannot be parsed gets an error, and the connection is
closed, as luxid does.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import selectors
import socket
import stat
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ganeti import cmdlib, constants, errors, luxi, opcodes, serializer
from ganeti.constants import ErrorCode
from ganeti.jqueue.job import Job, LogEntry
from ganeti.jqueue.queue import JobQueue
from ganeti.jqueue.submission import Accepted
from ganeti.luxi import RequestContext
from ganeti.query import job as job_query
from ganeti.query.engine import Sources
from ganeti.serializer import Json, JsonObject
from ganeti.server import luxi_handlers
from ganeti.server.luxi_handlers import READS, job_id
from ganeti.utils import io, unix_socket
from ganeti.utils.acceptor import Acceptor
from ganeti.utils.event_loop import Loop

logger = logging.getLogger(__name__)

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE

#: Requests of up to this many bytes are parsed by the loop: handing them over would take longer.
MAX_INLINE_REQUEST = 16 * 1024
#: Threads that carry out calls. Queries need the processor only: more threads would not help.
POOL_THREADS = 8
#: Bytes of requests that may wait on one connection before the server stops reading from it.
MAX_PENDING = 4 * 1024 * 1024
BACKLOG = 1024
#: Clients at the same time; more of them wait in the backlog.
MAX_CLIENTS = 4000
#: Descriptors that clients leave to guests, disks and the database.
SPARE_DESCRIPTORS = 256


class LuxiSocketError(errors.Error):
    """The socket cannot be served."""


def client_limit() -> int:
    """Raise the limit on descriptors for ``MAX_CLIENTS``; return how many clients fit."""
    limit = io.raise_descriptor_limit(MAX_CLIENTS + SPARE_DESCRIPTORS)
    return min(MAX_CLIENTS, max(1, limit - SPARE_DESCRIPTORS))


def listen(path: str, gid: int = -1) -> socket.socket:
    """Return the listening socket, with mode 0660, in place of a dead master's.

    Raises ``LuxiSocketError`` if a process serves the path, or if it is not a socket.
    """
    _remove_stale_socket(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    with io.short_socket_path(path) as short:
        sock.bind(short)
    os.chmod(path, 0o660)
    if gid != -1:
        os.chown(path, -1, gid)
    sock.listen(BACKLOG)
    return sock


def _remove_stale_socket(path: str) -> None:
    """Remove a socket that no process serves.

    Raises ``LuxiSocketError`` for any other file: of two masters that listen on one path, the
    older one would keep its clients and the newer one get the rest.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise LuxiSocketError(f"{path} is not a socket; move it away")
    listener = unix_socket.find_listener(path)
    if listener is not None:
        raise LuxiSocketError(f"{listener} serves {path}; it was left alone")
    io.remove_file(path)


# -- submissions --------------------------------------------------------------------


def load_ops(wires: list[JsonObject]) -> list[opcodes.OpCode]:
    """Return the opcodes of a submission; raises ``OpPrereqError`` for a field that is wrong
    and for an opcode that this master does not carry out."""
    ops = []
    for wire in wires:
        op_id = wire.get("OP_ID")  # of any type
        if isinstance(op_id, str) and op_id in cmdlib.FORWARD_ONLY:
            raise errors.OpPrereqError(f"This master does not carry out {op_id}", ErrorCode.ENVIRON)
        try:
            ops.append(opcodes.load(wire))
        except opcodes.FieldError as err:
            raise errors.OpPrereqError(str(err), ErrorCode.INVAL) from None
    return ops


def _submit(
    queue: JobQueue,
    call: luxi.SubmitJob | luxi.SubmitJobToDrainedQueue,
    context: RequestContext,
) -> Future[luxi.Reply]:
    def reply(accepted: Accepted) -> luxi.Reply:
        if context.idempotency_key is None:
            return luxi.Reply(accepted.ids[0])
        return luxi.Reply(
            accepted.ids[0], {"idempotency": "replayed" if accepted.replayed else "stored"}
        )

    to_drained = isinstance(call, luxi.SubmitJobToDrainedQueue)
    return queue.submit_once([load_ops(call.ops)], context, to_drained=to_drained, shape=reply)


def _submit_many(
    queue: JobQueue, call: luxi.SubmitManyJobs, context: RequestContext
) -> Future[list[list[object]]]:
    # A key names a single job: it is ignored here, and the reply has no note about it.
    context = dataclasses.replace(context, idempotency_key=None, request_digest=None)
    return queue.submit_once(
        [load_ops(ops) for ops in call.jobs],
        context,
        shape=lambda found: [[True, job] for job in found.ids],
    )


#: The submissions, and the other calls that change the queue.
CHANGES: dict[type[luxi.Call], Callable[[JobQueue, Any, RequestContext], object]] = {
    luxi.SubmitJob: _submit,
    luxi.SubmitJobToDrainedQueue: _submit,
    luxi.SubmitManyJobs: _submit_many,
    **luxi_handlers.CHANGES,
}

#: Calls that only hand something over or read a few values: they do not block.
QUICK = (
    luxi.SubmitJob,
    luxi.SubmitJobToDrainedQueue,
    luxi.CancelJob,
    luxi.ArchiveJob,
    luxi.QueryConfigValues,
    luxi.QueryClusterInfo,
)


# -- the server ---------------------------------------------------------------------


class LuxiServer:
    """A server of one listening socket."""

    def __init__(
        self,
        sock: socket.socket,
        sources: Sources,
        loop: Loop,
        *,
        max_clients: int | None = None,
    ) -> None:
        self._max_clients = client_limit() if max_clients is None else max_clients
        self.sources = sources
        self.loop = loop
        self.pool = ThreadPoolExecutor(POOL_THREADS, thread_name_prefix="luxi")
        self._connections: set[_Connection] = set()
        self._acceptor = Acceptor(loop, [sock], self._on_connection, has_room=self._has_room)

    def serve(self) -> None:
        """Run the loop until ``stop``."""
        self.loop.run()

    def stop(self) -> None:
        """End ``serve``; may be called from any thread or a signal handler."""
        self.loop.call_threadsafe(self.loop.stop)

    def close(self) -> None:
        """Close everything, after ``serve``."""
        for connection in list(self._connections):
            connection.close()
        self.pool.shutdown(wait=True, cancel_futures=True)
        self._acceptor.close()

    def forget(self, connection: _Connection) -> None:
        """Forget a connection that has closed, and accept again if it was one too many."""
        self._connections.discard(connection)
        self._acceptor.resume()

    def _has_room(self) -> bool:
        if len(self._connections) < self._max_clients:
            return True
        logger.warning("%d LUXI clients are connected; others have to wait", self._max_clients)
        return False

    def _on_connection(self, sock: socket.socket, _address: object) -> None:
        sock.setblocking(False)
        self._connections.add(_Connection(self, sock))


class _Connection:
    """One client's connection."""

    def __init__(self, server: LuxiServer, sock: socket.socket) -> None:
        self._server = server
        self._loop = server.loop
        self._sock = sock
        self._splitter = luxi.Splitter()
        self._requests: deque[bytes] = deque()
        self._pending_bytes = 0
        self._answering = False
        self._unsent = bytearray()
        self._ended = False  # the client will send nothing more
        self._unreadable: str | None = None  # why nothing after the last request can be parsed
        self._failed = False  # to be closed after the answer
        self._closed = False
        self._last_active = self._loop.clock()  # when bytes were last sent or received
        self._idle_timer = self._loop.call_later(constants.LUXI_IDLE_TIMEOUT, self._on_idle)
        self.on_close: Callable[[], None] | None = None
        self._loop.add(sock, READ, self._on_ready)

    def close(self) -> None:
        """Close the connection and end the wait that belongs to it."""
        if self._closed:
            return
        self._closed = True
        self._idle_timer.cancel()
        if self.on_close is not None:
            self.on_close()
        self._loop.remove(self._sock)
        self._sock.close()
        self._server.forget(self)

    def _on_idle(self) -> None:
        """Close the connection if it was idle for long enough; else set the timer again.

        This is cheaper than setting the timer for each piece that is sent or received.
        """
        now = self._loop.clock()
        since = now if self._answering else self._last_active
        left = since + constants.LUXI_IDLE_TIMEOUT - now
        if left > 0:
            self._idle_timer = self._loop.call_later(left, self._on_idle)
        else:
            self.close()

    def _on_ready(self, events: int) -> None:
        try:
            if events & WRITE:
                self._flush()
            if events & READ and not self._closed:
                self._receive()
        except OSError:
            self.close()

    def _receive(self) -> None:
        try:
            data = self._sock.recv(luxi.RECEIVE_SIZE)
        except BlockingIOError:
            return
        if not data:
            self._ended = True
            if self._answering or self._requests or self._unsent:
                # The client may still read, or be gone altogether; then this raises.
                self._sock.send(b"")
                self._set_events()
            else:
                self.close()
            return
        self._last_active = self._loop.clock()
        try:
            for message in self._splitter.feed(data):
                self._requests.append(message)
                self._pending_bytes += len(message)
        except errors.ProtocolError as err:
            self._unreadable = str(err)
        self._start_next_request()
        self._set_events()

    def _set_events(self) -> None:
        if self._closed:
            return
        events = WRITE if self._unsent else 0
        no_more_comes = self._ended or self._failed or self._unreadable
        if not no_more_comes and self._pending_bytes < MAX_PENDING:
            events |= READ
        self._loop.modify(self._sock, events)

    # -- one request after another --------------------------------------------------

    def _start_next_request(self) -> None:
        """Begin the next request, unless the last one's answer is not made or not fetched yet."""
        if self._answering or self._failed or self._unsent:
            return
        if self._requests:
            message = self._requests.popleft()
            self._pending_bytes -= len(message)
            self._answering = True
            if len(message) <= MAX_INLINE_REQUEST:
                # Not at once: after a round the requests of all connections are carried out
                # in a row, so that their jobs reach the database's writer in one batch.
                self._loop.call_soon(lambda: self._dispatch(message))
            else:
                self._server.pool.submit(self._dispatch, message)
        elif self._unreadable:
            self._refuse(self._unreadable)

    def _dispatch(self, message: bytes) -> None:
        """Parse a request, and have it carried out by the loop or by the pool."""
        try:
            call, context = luxi.parse_request(message)
        except ValueError as err:
            text = str(err)
            self._loop.call_threadsafe(lambda: self._refuse(text))
            return
        except Exception as err:
            data = luxi.pack_error(err)
            self._loop.call_threadsafe(lambda: self.answer(data))
            return
        if isinstance(call, luxi.WaitForJobChange):
            wait = call
            self._loop.call_threadsafe(lambda: self._wait_for_change(wait))
        elif isinstance(call, QUICK) and context.idempotency_key is None:
            self._execute(call, context)
        else:
            self._server.pool.submit(self._execute, call, context)

    def _execute(self, call: luxi.Call, context: RequestContext) -> None:
        """Carry out a call and answer it, or have its future answer it."""
        try:
            result = self._carry_out(call, context)
            if isinstance(result, Future):
                result.add_done_callback(self._on_result)
                return
            data = result if isinstance(result, bytes) else luxi.pack_result(result)
        except Exception as err:
            data = luxi.pack_error(err)
        self._loop.call_threadsafe(lambda: self.answer(data))

    def _carry_out(self, call: luxi.Call, context: RequestContext) -> object:
        """Return a call's result, a future of it, or the bytes of a ready answer."""
        kind, sources = type(call), self._server.sources
        if kind in READS:
            return READS[kind](sources, call)
        return CHANGES[kind](sources.queue, call, context)

    def _wait_for_change(self, call: luxi.WaitForJobChange) -> None:
        if not self._closed:
            _JobChangeWait(self._server, self, call)

    def _on_result(self, future: Future[object]) -> None:
        """Answer with a future's result or error; called by the thread that resolved it."""
        error = future.exception()
        if error is None:
            data = luxi.pack_result(future.result())
        else:
            data = luxi.pack_error(error)
        self._loop.call_threadsafe(lambda: self.answer(data))

    def answer(self, data: bytes) -> None:
        """Send an answer, then begin the next request."""
        self._answering = False
        self.on_close = None
        if self._closed:
            return
        self._unsent += data
        try:
            self._flush()
        except OSError:
            self.close()

    def _refuse(self, text: str) -> None:
        """Answer a request that cannot be parsed, and close the connection."""
        self._failed = True
        self._requests.clear()
        self.answer(luxi.pack_parse_failure(text))

    def _flush(self) -> None:
        """Send what the client takes; begin the next request once it has taken everything."""
        if self._unsent:
            with contextlib.suppress(BlockingIOError):
                del self._unsent[: self._sock.send(self._unsent)]
                self._last_active = self._loop.clock()
        if not self._unsent:
            self._start_next_request()
        is_idle = not self._unsent and not self._answering
        if is_idle and (self._failed or self._ended):
            self.close()
        self._set_events()


class _JobChangeWait:
    """One WaitForJobChange, answered at once, at the next change, or after its timeout."""

    def __init__(
        self, server: LuxiServer, connection: _Connection, call: luxi.WaitForJobChange
    ) -> None:
        self._loop = server.loop
        self._queue = server.sources.queue
        self._connection = connection
        self._call = call
        self._fields_exist = all(name in job_query.FIELDS for name in call.fields)
        self._job_id = job_id(call.job_id)
        self._finished = False
        self._check_is_due = False
        timeout = min(max(0.0, call.timeout), constants.LUXI_WAIT_CAP)
        self._timer = self._loop.call_later(timeout, self._on_timeout)
        self._unwatch = self._queue.watch(self._job_id, self._on_change)
        connection.on_close = self._end
        self._answer_if_changed()

    def _end(self) -> None:
        self._finished = True
        self._timer.cancel()
        self._unwatch()

    def _finish(self, data: bytes) -> None:
        if not self._finished:
            self._end()
            self._connection.answer(data)

    def _on_timeout(self) -> None:
        # luxid also answers with what the caller knew, and without log entries.
        self._finish(luxi.pack_result([self._call.previous, []]))

    def _on_change(self) -> None:
        """Schedule a check, from any thread; one check covers all changes before it."""
        if not self._check_is_due:
            self._check_is_due = True
            self._loop.call_threadsafe(self._answer_if_changed)

    def _answer_if_changed(self) -> None:
        self._check_is_due = False  # first, so that a change from here on schedules a check
        if self._finished:
            return
        try:
            job = self._queue.job(self._job_id)
            if job is None or job.archived:
                raise errors.JobLost(f"Job {self._job_id} is not in the queue")
            values = plain(job_query.values(job, self._call.fields, self._queue.waiting_for))
            # With an unknown field, luxid answers nulls and no log entries.
            entries = new_entries(job, self._call.previous_serial) if self._fields_exist else []
            if job.final or entries or values != self._call.previous:
                self._finish(luxi.pack_result([values, entries]))
        except Exception as err:
            self._finish(luxi.pack_error(err))


def new_entries(job: Job, after: int | None) -> list[LogEntry]:
    """Return the job's log entries after a serial number (None: all), in order."""
    return sorted(
        (entry for op in job.ops for entry in op.log if entry.serial > (after or 0)),
        key=lambda entry: entry.serial,
    )


def plain(values: list[Any]) -> list[Json]:
    """Return values in the form that they have after parsing, to compare them with a caller's."""
    result: list[Json] = serializer.loads_lenient(serializer.dumps(values).encode("ascii"))
    return result
