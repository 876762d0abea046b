"""How long a client may take, and the clock that watches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ganeti.utils.event_loop import Loop, Timer


@dataclass(frozen=True)
class Deadlines:
    """Seconds that a client gets for each of its parts; all are totals but ``write``."""

    handshake: float = 5.0
    #: For the head of a request, from its first byte (of the first one: from the connection).
    header: float = 10.0
    body: float = 60.0
    #: Within the body's time: in every so many seconds must come as many times ``min_rate``.
    pace: float = 10.0
    #: Bytes a second.
    min_rate: int = 1024
    #: Between two requests.
    idle: float = 60.0
    #: Without the client taking a single byte of its answer.
    write: float = 10.0
    linger: float = 1.0


def nothing() -> None:
    """What there is to do when all is over."""


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
        """From now on so many seconds are left."""
        self._end = self._loop.clock() + seconds
        if self._timer is None or self._timer.when > self._end:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_later(seconds, self._look)

    def pause(self) -> None:
        """No deadline until the next ``start``."""
        self._end = None

    def cancel(self) -> None:
        """Never again; whoever waited is forgotten."""
        self._end = None
        self._expired = nothing
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._end is None:
            return
        left = self._end - self._loop.clock()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._end = None
            self._expired()


class Pace:
    """A body is a total and a rate: neither an endless trickle nor a long silence."""

    def __init__(self, countdown: Countdown, limits: Deadlines, clock: Callable[[], float]) -> None:
        self._countdown = countdown
        self._limits = limits
        self._clock = clock
        self._end = 0.0
        self._bytes = 0

    def begin(self) -> None:
        """The body begins."""
        self._end = self._clock() + self._limits.body
        self._again()

    def count(self, size: int) -> None:
        """Bytes have come."""
        self._bytes += size

    def go_on(self) -> bool:
        """At the end of the countdown: was it enough, and is there time for the rest?"""
        enough = self._bytes >= self._limits.min_rate * self._limits.pace
        if enough and self._clock() < self._end:
            self._again()
            return True
        return False

    def _again(self) -> None:
        self._bytes = 0
        self._countdown.start(min(self._limits.pace, self._end - self._clock()))
