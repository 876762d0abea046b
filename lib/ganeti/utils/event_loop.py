"""A selector loop: one thread that waits for many sockets and clocks at once.

The servers of both daemons run on one. Only ``call_threadsafe`` may be used by another thread
than the one that runs the loop. The loop sleeps until something happens: an idle daemon does
not wake up.

One round waits, calls the callbacks of ready sockets, then those of due timers, then the
functions that other threads have passed. A callback may add, modify or remove any socket, even
one that is ready in the same round: the old callback of that socket is then not called.
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

#: Cancelled timers stay in the heap until they are due, but are removed once there are more
#: than this many and more than half of all timers are cancelled.
MIN_CANCELLED_TO_SWEEP = 1000


class Timer:
    """A scheduled call, which ``cancel`` calls off."""

    __slots__ = ("when", "_order", "_function", "_loop")

    def __init__(self, when: float, order: int, function: Callback, loop: Loop) -> None:
        self.when = when
        self._order = order
        self._function: Callback | None = function
        self._loop = loop

    def cancel(self) -> None:
        """Call it off; do nothing if it has been called or cancelled."""
        if self._function is not None:
            self._function = None
            self._loop.count_cancelled()

    def pop_function(self) -> Callback | None:
        """Return the function the first time; None afterwards, or if it was cancelled."""
        function, self._function = self._function, None
        return function

    @property
    def cancelled(self) -> bool:
        """Return whether the function has been called or cancelled."""
        return self._function is None

    def __lt__(self, other: Timer) -> bool:
        return (self.when, self._order) < (other.when, other._order)


class Loop:
    """Sockets, timers, and calls from other threads.

    ``clock`` returns monotonic seconds, the time base of all timers.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._selector = selectors.DefaultSelector()
        #: Sockets that are added but have no events to wait for at the moment.
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

        ``events`` is ``READ``, ``WRITE``, both, or 0 for nothing at the moment. Readiness is
        level-triggered: the callback is called again until it has read or written everything.
        """
        if events:
            self._selector.register(sock, events, callback)
        else:
            self._paused[sock] = callback

    def modify(self, sock: socket.socket, events: int) -> None:
        """Wait for other events of a socket, or with 0 for none."""
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
        """Forget a socket; must be called before the socket is closed."""
        if self._paused.pop(sock, None) is None:
            self._selector.unregister(sock)

    # -- time and other threads ---------------------------------------------------------

    def call_later(self, seconds: float, function: Callback) -> Timer:
        """Call the function once, this many seconds from now."""
        timer = Timer(self.clock() + seconds, next(self._order), function, self)
        heapq.heappush(self._timers, timer)
        return timer

    def call_threadsafe(self, function: Callback) -> None:
        """Let the loop's thread call the function; safe in any thread and in signal handlers."""
        self._calls.append(function)
        # No byte is needed if one is under way, or in the loop's own thread: the loop does not
        # sleep while there are calls, and a signal between check and sleep wakes it anyway.
        if self._woken or threading.get_ident() == self._thread:
            return
        self._woken = True
        try:
            self._wake_writer.send(b"\0")
        except OSError:
            pass  # the pair is full, so the loop will wake up; or the loop is closed

    def call_soon(self, function: Callback) -> None:
        """Call the function at the end of this round, after the ready sockets and due timers."""
        self._calls.append(function)

    def count_cancelled(self) -> None:
        """Count a cancelled timer, and remove all of them if they are too many."""
        self._cancelled += 1
        if self._cancelled > MIN_CANCELLED_TO_SWEEP and self._cancelled * 2 > len(self._timers):
            self._timers = [timer for timer in self._timers if not timer.cancelled]
            heapq.heapify(self._timers)
            self._cancelled = 0

    # -- running ----------------------------------------------------------------------

    def run(self) -> None:
        """Run rounds until ``stop``, which may have been called before.

        On the main thread signals wake the loop. Python runs handlers only between two
        instructions of that thread: without the wake-up, the handler of a signal that arrives
        just before the wait, or at another thread, would run only after the next event.
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
        """End ``run`` after this round; other threads use ``call_threadsafe(loop.stop)``."""
        self._stopped = True

    def run_once(self, timeout: float | None) -> None:
        """Run one round, which waits at most ``timeout`` seconds; None means without a limit."""
        for key, events in self._selector.select(self._select_timeout(timeout)):
            # An earlier callback of this round may have removed the socket, or closed it and
            # opened another one with the same descriptor.
            if self._selector.get_map().get(key.fd) is key:
                self._call_socket(key.data, events)
        if self._timers:
            self._call_timers(self.clock())
        for _ in range(len(self._calls)):
            self._call(self._calls.popleft())

    def close(self) -> None:
        """Close the selector and the wake-up sockets, but not the sockets that were added."""
        self._selector.close()
        self._wake_writer.close()
        self._wake_reader.close()

    def _select_timeout(self, timeout: float | None) -> float | None:
        """Return the seconds to wait: 0 if there are calls, else until the next timer is due."""
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
        # The order matters: bytes, mark, and at the end of the round the calls. A thread that
        # saw the mark and sent no byte had appended its call before, so this round makes it.
        try:
            while len(self._wake_reader.recv(4096)) == 4096:
                pass
        except BlockingIOError:
            pass
        self._woken = False

    @staticmethod
    def _call(function: Callback) -> None:
        """Call a function; an exception is logged and does not affect other callbacks."""
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
