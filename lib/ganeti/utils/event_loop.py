"""A selector loop: one thread that waits for many sockets and clocks at once.

Both daemons' servers run on one. Everything but ``call_threadsafe`` belongs to
the thread that runs the loop. It sleeps until something happens: an idle daemon
does not wake up.

One round is: wait, call for the sockets that are ready, call for the timers
that are due, make the calls that other threads asked for. A callback may add,
change or remove any socket, also one that the same round found ready: it is
then not called for what it was before.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import selectors
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

logger = logging.getLogger(__name__)

Callback = Callable[[], object]
SocketCallback = Callable[[int], object]

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE

#: Cancelled timers are left lying until they are due; more than this many (and
#: more than half of all) are swept out.
MIN_CANCELLED_TO_SWEEP = 1000


class Timer:
    """A call to come; ``cancel`` it if it is no longer wanted."""

    __slots__ = ("when", "_order", "_function", "_loop")

    def __init__(self, when: float, order: int, function: Callback, loop: Loop) -> None:
        self.when = when
        self._order = order
        self._function: Callback | None = function
        self._loop = loop

    def cancel(self) -> None:
        """It will not be called; cancelling twice, or too late, does nothing."""
        if self._function is not None:
            self._function = None
            self._loop.count_cancelled()

    def pop_function(self) -> Callback | None:
        """Return what to call, the first time only; None when it was cancelled."""
        function, self._function = self._function, None
        return function

    @property
    def cancelled(self) -> bool:
        """Will it never be called (again)?"""
        return self._function is None

    def __lt__(self, other: Timer) -> bool:
        return (self.when, self._order) < (other.when, other._order)


class Loop:
    """Sockets, timers, and calls from other threads.

    ``clock`` gives seconds that never go back; deadlines are measured by it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._selector = selectors.DefaultSelector()
        #: Sockets that are known but waited for by nothing at the moment.
        self._paused: dict[socket.socket, SocketCallback] = {}
        self._timers: list[Timer] = []
        self._cancelled = 0
        self._order = itertools.count()
        self._calls: deque[Callback] = deque()
        self._woken = False
        self._stopped = False
        #: The thread that runs it.
        self._thread: int | None = None
        self._wake_reader, self._wake_writer = socket.socketpair()
        for end in (self._wake_reader, self._wake_writer):
            end.setblocking(False)
        self._selector.register(self._wake_reader, READ, self._drain)

    # -- sockets ----------------------------------------------------------------------

    def add(self, sock: socket.socket, events: int, callback: SocketCallback) -> None:
        """Call ``callback(events)`` whenever the socket is ready for some of ``events``.

        ``events`` is ``READ``, ``WRITE``, both or (0) nothing for now. Ready is a state:
        the callback comes again until it has read, or written, all there is.
        """
        if events:
            self._selector.register(sock, events, callback)
        else:
            self._paused[sock] = callback

    def modify(self, sock: socket.socket, events: int) -> None:
        """Wait for other events, or (0) for none."""
        paused = self._paused.get(sock)
        if paused is not None:
            if events:
                del self._paused[sock]
                self._selector.register(sock, events, paused)
            return
        key = self._selector.get_key(sock)
        if key.events == events:
            return
        if events:
            self._selector.modify(sock, events, key.data)
        else:
            self._selector.unregister(sock)
            self._paused[sock] = key.data

    def remove(self, sock: socket.socket) -> None:
        """Forget a socket; do it before closing it."""
        if self._paused.pop(sock, None) is None:
            self._selector.unregister(sock)

    # -- time and other threads ---------------------------------------------------------

    def call_later(self, seconds: float, function: Callback) -> Timer:
        """Call once, this many seconds from now."""
        timer = Timer(self.clock() + seconds, next(self._order), function, self)
        heapq.heappush(self._timers, timer)
        return timer

    def call_threadsafe(self, function: Callback) -> None:
        """Have the loop's thread call soon; from any thread, and from signal handlers."""
        self._calls.append(function)
        # A byte is on its way already, or we are the loop: it sleeps only when nothing is to
        # be called, and a signal, which may come in between, wakes it by itself.
        if self._woken or threading.get_ident() == self._thread:
            return
        self._woken = True
        try:
            self._wake_writer.send(b"\0")
        except OSError:
            pass  # the pair is full, so it will wake; or the loop is closed

    def call_soon(self, function: Callback) -> None:
        """Call at the end of this round, when all sockets that are ready had their turn."""
        self._calls.append(function)

    def count_cancelled(self) -> None:
        """A timer was cancelled: sweep when most of them are."""
        self._cancelled += 1
        if self._cancelled > MIN_CANCELLED_TO_SWEEP and self._cancelled * 2 > len(self._timers):
            self._timers = [timer for timer in self._timers if not timer.cancelled]
            heapq.heapify(self._timers)
            self._cancelled = 0

    # -- running ----------------------------------------------------------------------

    def run(self) -> None:
        """Work until ``stop``; a ``stop`` that came before it counts.

        On the main thread a signal wakes it: Python runs a handler only between two steps
        of that thread, so that one which arrives on the brink of waiting, or at another
        thread, would be heard of when something else happens, or never.
        """
        if threading.current_thread() is not threading.main_thread():
            self._run()
            return
        before = signal.set_wakeup_fd(self._wake_writer.fileno(), warn_on_full_buffer=False)
        try:
            self._run()
        finally:
            signal.set_wakeup_fd(before)

    def _run(self) -> None:
        self._thread = threading.get_ident()
        while not self._stopped:
            self.run_once(None)
        self._thread = None
        self._stopped = False

    def stop(self) -> None:
        """End ``run`` after the present round; from other threads by ``call_threadsafe``."""
        self._stopped = True

    def run_once(self, timeout: float | None) -> None:
        """One round: wait (at most so long; None: as long as need be), then call."""
        for key, events in self._selector.select(self._select_timeout(timeout)):
            # An earlier callback of this round may have removed it, or let another
            # socket have its number.
            if self._selector.get_map().get(key.fd) is key:
                self._call_socket(key.data, events)
        if self._timers:
            self._call_timers(self.clock())
        for _ in range(len(self._calls)):
            self._call(self._calls.popleft())

    def close(self) -> None:
        """Close the loop's own sockets; those of others are theirs."""
        self._selector.close()
        self._wake_writer.close()
        self._wake_reader.close()

    def _select_timeout(self, timeout: float | None) -> float | None:
        """Seconds to wait: until the next timer, if there is one, and nothing is to be called."""
        if self._calls or self._stopped:
            return 0.0
        while self._timers and self._timers[0].cancelled:
            heapq.heappop(self._timers)
            self._cancelled -= 1
        if not self._timers:
            return timeout
        left = max(0.0, self._timers[0].when - self.clock())
        return left if timeout is None else min(left, timeout)

    def _call_timers(self, now: float) -> None:
        while self._timers and self._timers[0].when <= now:
            function = heapq.heappop(self._timers).pop_function()
            if function is not None:
                self._call(function)
            else:
                self._cancelled -= 1

    def _drain(self, _: int) -> None:
        # First the bytes, then the mark, then (at the end of the round) the calls: whoever
        # saw the mark and sent no byte has left a call that this round still makes.
        try:
            while len(self._wake_reader.recv(4096)) == 4096:
                pass
        except BlockingIOError:
            pass
        self._woken = False

    @staticmethod
    def _call(function: Callback) -> None:
        """One callback's failure is logged, and is nobody else's."""
        try:
            function()
        except Exception:
            logger.exception("A callback of the loop failed")

    @staticmethod
    def _call_socket(function: SocketCallback, events: int) -> None:
        try:
            function(events)
        except Exception:
            logger.exception("A callback of the loop failed")
