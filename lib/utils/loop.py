"""A selector loop: one thread that waits for many sockets and clocks at once.

Both daemons' servers run on one. Everything but ``call_threadsafe`` belongs to
the thread that runs the loop. It sleeps until something happens: an idle daemon
does not wake up.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import logging
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable

Callback = Callable[[], object]


class Timer:
    """A call to come; ``cancel`` it if it is no longer wanted."""

    __slots__ = ("when", "order", "function")

    def __init__(self, when: float, order: int, function: Callback) -> None:
        self.when = when
        self.order = order
        self.function: Callback | None = function

    def cancel(self) -> None:
        """It will not be called."""
        self.function = None

    def __lt__(self, other: Timer) -> bool:
        return (self.when, self.order) < (other.when, other.order)


class Loop:
    """Sockets, timers, and calls from other threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        #: Sockets that are known but waited for by nothing at the moment.
        self._paused: dict[socket.socket, Callable[[int], object]] = {}
        self._timers: list[Timer] = []
        self._order = itertools.count()
        self._calls: deque[Callback] = deque()
        self._stopped = False
        self._wake_out, self._wake_in = socket.socketpair()
        for end in (self._wake_out, self._wake_in):
            end.setblocking(False)
        self._selector.register(self._wake_out, selectors.EVENT_READ, self._drain)

    def add(self, sock: socket.socket, events: int, callback: Callable[[int], object]) -> None:
        """Call ``callback(events)`` whenever the socket is ready for one of them."""
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
        """Forget a socket; call it before closing."""
        if self._paused.pop(sock, None) is None:
            self._selector.unregister(sock)

    def call_later(self, seconds: float, function: Callback) -> Timer:
        """Call once, this many seconds from now."""
        timer = Timer(self._clock() + seconds, next(self._order), function)
        heapq.heappush(self._timers, timer)
        return timer

    def call_threadsafe(self, function: Callback) -> None:
        """Have the loop's thread call soon; from any thread, and from signal handlers."""
        self._calls.append(function)
        try:
            self._wake_in.send(b"\0")
        except (BlockingIOError, OSError):
            pass                        # it is awake already, or closed

    def run(self) -> None:
        """Work until ``stop``."""
        self._stopped = False
        while not self._stopped:
            self.run_once(None)

    def stop(self) -> None:
        """End ``run`` after the present round."""
        self._stopped = True

    def run_once(self, timeout: float | None) -> None:
        """One round: wait (at most so long; None: as long as need be), then call."""
        for key, events in self._selector.select(self._patience(timeout)):
            self._guard(functools.partial(key.data, events))
        now = self._clock()
        while self._timers and (self._timers[0].function is None or self._timers[0].when <= now):
            function = heapq.heappop(self._timers).function
            if function is not None:
                self._guard(function)
        for _ in range(len(self._calls)):
            self._guard(self._calls.popleft())

    def close(self) -> None:
        """Close the loop's own sockets."""
        self._selector.close()
        self._wake_in.close()
        self._wake_out.close()

    def _patience(self, timeout: float | None) -> float | None:
        if self._calls:
            return 0.0
        while self._timers and self._timers[0].function is None:
            heapq.heappop(self._timers)
        if not self._timers:
            return timeout
        left = max(0.0, self._timers[0].when - self._clock())
        return left if timeout is None else min(left, timeout)

    def _drain(self, _: int) -> None:
        try:
            while len(self._wake_out.recv(4096)) == 4096:
                pass
        except BlockingIOError:
            pass

    @staticmethod
    def _guard(function: Callback) -> None:
        """One callback's failure is logged, and is nobody else's."""
        try:
            function()
        except Exception:
            logging.exception("A callback of the loop failed")
