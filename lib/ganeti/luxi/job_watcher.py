"""Waiting for job changes, many at a time, without a thread for any of them.

Theory. A master answers a connection's calls in order, so that a wait needs a connection to
itself; one event loop listens on all of them. Requests that wait for the same change share a
connection. A real luxid serves 128 waits of all its clients together, as each takes one of the
inotify instances that the kernel allows a user, and leaves some of the others unanswered. So there
are never more than ``MAX_WATCHES`` calls; if there are more changes to wait for, the calls take
turns. No change is missed, as each call tells what its sender knows already.

A wait may be silent for minutes, and does not notice a client that leaves or a master that stops.
So all waits are checked every few seconds; if the master has answered nothing since the last check,
the health monitor probes it. Nothing is checked while nobody waits.
"""

from __future__ import annotations

import dataclasses
import functools
import socket
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from ganeti import errors
from ganeti.luxi.client import Connect, HealthMonitor
from ganeti.luxi.messages import RECEIVE_SIZE, Splitter, WaitForJobChange, request
from ganeti.utils.event_loop import READ, Loop, Timer
from ganeti.utils.text import describe_os_error

MAX_WATCHES = 100
#: Seconds after which both masters end a call with what its sender knows already.
CALL_SECONDS = 60.0
#: Seconds beyond that until a call is given up; and the shortest wait, in which a master can
#: report what has changed already.
SLACK, MIN_WAIT = 10.0, 1.0

Answer = Future["bytes | None"]


class _Watch:
    """One call, sent or queued, and the callers that wait for its answer."""

    __slots__ = ("data", "immediate", "waiters", "sock", "splitter", "deadline")

    def __init__(self, data: bytes, immediate: bool) -> None:
        self.data = data
        #: Whether the caller has no values of the job yet: then the answer comes at once.
        self.immediate = immediate
        #: With each future: a function that returns whether its client has left, and the timer
        #: that ends its wait.
        self.waiters: dict[Answer, tuple[Callable[[], bool], Timer]] = {}
        self.sock: socket.socket | None = None
        self.splitter = Splitter()
        self.deadline = float("inf")


class JobWatcher:
    """Waits for job changes on behalf of at most ``limit`` callers, on the loop's thread.

    ``connect(timeout)`` opens a connection, or raises ``errors.ProtocolError``.
    """

    def __init__(self, loop: Loop, connect: Connect, health: HealthMonitor, *, limit: int) -> None:
        self._loop = loop
        self._connect = connect
        self._health = health
        self._limit = limit
        self._count = 0
        self._lock = threading.Lock()
        #: Connecting may take a while, and so may probing the master.
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="luxi-waits")
        # What follows belongs to the loop's thread.
        self._watches: dict[bytes, _Watch] = {}
        self._active: set[_Watch] = set()
        self._queue: deque[_Watch] = deque()
        self._check_scheduled = False
        self._checked_at = 0.0
        self._running_probe: Future[None] | None = None
        self._ended = False

    def wait(self, call: WaitForJobChange, gone: Callable[[], bool]) -> Answer:
        """Return a future of the answer's bytes (for ``parse_answer``). From any thread.

        An answer without news may come before the call's timeout. The result is None when that
        is over, when the client has left (``gone()``), or when all waits are to end; but a caller
        that knows nothing yet (``call.previous``) gets its answer also then.
        Raises ``errors.TooManyWaits`` at once when ``limit`` callers wait already; the future's
        error is an ``errors.ProtocolError``.
        """
        with self._lock:
            if self._count >= self._limit:
                raise errors.TooManyWaits(f"{self._limit} requests wait for jobs already")
            self._count += 1
        future: Answer = Future()
        future.add_done_callback(self._release_slot)
        self._loop.call_threadsafe(lambda: self._add_waiter(future, call, gone))
        return future

    def end(self) -> None:
        """End all waits for a change, and those that begin later. From any thread."""
        self._loop.call_threadsafe(self._end_waits)

    def _release_slot(self, _: Answer) -> None:
        with self._lock:
            self._count -= 1

    # -- on the loop's thread: waiters ---------------------------------------------------

    def _add_waiter(self, future: Answer, call: WaitForJobChange, gone: Callable[[], bool]) -> None:
        immediate = call.previous is None
        if self._ended and not immediate:
            future.set_result(None)
            return
        data = request(dataclasses.replace(call, timeout=CALL_SECONDS))
        watch = self._watches.get(data)
        if watch is None:
            watch = self._watches[data] = _Watch(data, immediate)
            self._queue.append(watch)
            self._start_queued()
        # The master ends a call first, unless its client wants to wait for less than that. A
        # caller that knows nothing yet is answered at once, or told that the master is silent.
        if immediate or call.timeout >= CALL_SECONDS:
            seconds = CALL_SECONDS + 2 * SLACK
        else:
            seconds = max(call.timeout, MIN_WAIT)
        timer = self._loop.call_later(
            seconds, functools.partial(self._remove_waiter, watch, future)
        )
        watch.waiters[future] = gone, timer
        if not self._check_scheduled:
            self._schedule_check()

    def _remove_waiter(self, watch: _Watch, future: Answer) -> None:
        """Resolve one waiter's future with None; its call ends if nobody else waits for it."""
        _, timer = watch.waiters.pop(future)
        timer.cancel()
        if not watch.waiters:
            self._remove_watch(watch)
        future.set_result(None)

    def _resolve_all(self, watch: _Watch, outcome: bytes | errors.ProtocolError | None) -> None:
        """Resolve the futures of all callers that wait for this call."""
        waiters, watch.waiters = watch.waiters, {}
        self._remove_watch(watch)
        for future, (_, timer) in waiters.items():
            timer.cancel()
            if isinstance(outcome, errors.ProtocolError):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

    def _fail_all(self, error: errors.ProtocolError) -> None:
        for watch in list(self._watches.values()):
            self._resolve_all(watch, error)

    def _end_waits(self) -> None:
        self._ended = True
        for watch in list(self._watches.values()):
            if not watch.immediate:
                self._resolve_all(watch, None)

    # -- on the loop's thread: calls -----------------------------------------------------

    def _start_queued(self) -> None:
        """Send queued calls up to ``MAX_WATCHES``; skip calls without a waiter."""
        while self._queue and len(self._active) < MAX_WATCHES:
            watch = self._queue.popleft()
            if self._watches.get(watch.data) is watch:
                self._active.add(watch)
                self._threads.submit(self._send, watch)

    def _stop_call(self, watch: _Watch) -> None:
        """Give up a call, and its connection."""
        self._active.discard(watch)
        if watch.sock is not None:
            self._loop.remove(watch.sock)
            watch.sock.close()
            watch.sock = None
        self._start_queued()

    def _remove_watch(self, watch: _Watch) -> None:
        if self._watches.get(watch.data) is watch:
            del self._watches[watch.data]
            self._stop_call(watch)

    def _start_listening(self, watch: _Watch, sock: socket.socket) -> None:
        if watch not in self._active:  # meanwhile its last waiter has left
            sock.close()
            return
        watch.sock, watch.splitter = sock, Splitter()
        watch.deadline = self._loop.clock() + CALL_SECONDS + SLACK
        self._loop.add(sock, READ, lambda _: self._receive(watch, sock))

    def _receive(self, watch: _Watch, sock: socket.socket) -> None:
        try:
            data = sock.recv(RECEIVE_SIZE)
            if not data:
                raise ConnectionResetError("it was closed")
            message = next(watch.splitter.feed(data), None)
        except BlockingIOError:
            return
        except OSError as err:
            self._resolve_all(watch, _connection_broke(err))
        except errors.ProtocolError as err:
            self._resolve_all(watch, err)
        else:
            if message is not None:
                self._health.record_answer()
                self._resolve_all(watch, message)

    # -- on the loop's thread: periodic checks -------------------------------------------

    def _schedule_check(self) -> None:
        self._check_scheduled = True
        self._checked_at = self._loop.clock()
        self._loop.call_later(self._health.timeout / 2, self._check_waiters)

    def _check_waiters(self) -> None:
        """Remove waiters whose client has left and calls that are overdue; probe the master if
        it has answered nobody since the last check."""
        self._check_scheduled = False
        since, now = self._checked_at, self._loop.clock()
        for watch in list(self._watches.values()):
            for future, (gone, _) in list(watch.waiters.items()):
                if gone():
                    self._remove_waiter(watch, future)
            if watch.sock is not None and now > watch.deadline:
                self._resolve_all(watch, errors.Timeout("the master did not answer in time"))
        self._rotate()
        if self._watches:
            self._schedule_check()
            probing = self._running_probe is not None and not self._running_probe.done()
            if not probing and not self._health.answered_since(since):
                self._running_probe = self._threads.submit(self._probe_master, since)

    def _rotate(self) -> None:
        """Requeue as many sent calls as are queued, the oldest first, so that all take turns."""
        listening = [watch for watch in self._active if watch.sock is not None]
        listening.sort(key=lambda watch: watch.deadline)
        for watch in listening[: len(self._queue)]:
            self._queue.append(watch)
            self._stop_call(watch)

    # -- on other threads ----------------------------------------------------------------

    def _send(self, watch: _Watch) -> None:
        try:
            self._health.fail_if_silent()
            sock = self._connect(self._health.timeout)
            try:
                sock.sendall(watch.data)
                sock.setblocking(False)
            except OSError as err:
                sock.close()
                raise _connection_broke(err) from None
        except errors.ProtocolError as err:
            self._loop.call_threadsafe(functools.partial(self._resolve_all, watch, err))
        else:
            self._loop.call_threadsafe(functools.partial(self._start_listening, watch, sock))

    def _probe_master(self, since: float) -> None:
        try:
            self._health.probe(since)
        except errors.Timeout as err:
            self._loop.call_threadsafe(functools.partial(self._fail_all, err))


def _connection_broke(err: OSError) -> errors.ConnectionClosed:
    return errors.ConnectionClosed(f"the connection to the master broke: {describe_os_error(err)}")
