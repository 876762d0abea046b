"""Limits on what one client may take from the others: connections, memory, lines of the log.

Only the loop's thread uses these, except for ``LogBudget``, which any thread may use.

Connections. At the limit a new connection takes the place of the one that has waited longest for
its client, among those whose clients never authenticated. Half-sent requests can be evicted as
well as idle connections: otherwise a flood of them would keep new clients out. If there is no such
connection, the authenticated one that has been idle longest is closed.

Bodies. A body is read before its sender is authenticated, and two thousand clients could each
hold back the last byte of a large one. So the bytes of all unfinished bodies are counted together.
When there are too many, one body is refused: the oldest, if possible of a client that never
authenticated. An honest body is complete within moments; the oldest is the one that is held back
to take memory.

Log lines. Failed handshakes and wrong passwords cost their sender nothing, and with a line for each
a client could fill the disk. So each client address (the /64 of an IPv6 address, which one machine
may have to itself) has a token bucket, and all addresses share another. Lines without a token are
counted, and the count is logged when there are tokens again. The shared bucket can be left out if
each line accompanies one that is written anyway. Then the first lines of every address are always
written, so that a reader of the log (fail2ban) learns of every address.
"""

from __future__ import annotations

import ipaddress
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

# -- connections -----------------------------------------------------------------------


class Evictable:
    """A connection as the limits see it: what they may do to it."""

    #: Whether its client has ever authenticated.
    authenticated = False

    def close(self) -> None:
        """Close the connection at once, whatever it does."""
        raise NotImplementedError

    def drain(self) -> None:
        """Close the connection unless a request has just arrived."""
        raise NotImplementedError

    def refuse_body(self) -> None:
        """Refuse the body that it receives, forget the part that came, and release its bytes."""
        raise NotImplementedError


C = TypeVar("C", bound=Evictable)


class ConnectionTable(Generic[C]):
    """Holds at most ``limit`` connections, or one more while a drained one is still served."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.connections: set[C] = set()
        #: Connections that may be evicted, the longest waiting first: those of clients that never
        #: authenticated, and idle ones of those that did.
        self._unauthenticated: dict[C, None] = {}
        self._idle: dict[C, None] = {}

    def __len__(self) -> int:
        return len(self.connections)

    @property
    def full(self) -> bool:
        """Return whether the limit is reached and no connection can be evicted."""
        return len(self.connections) >= self._limit and not (self._unauthenticated or self._idle)

    def evict_if_full(self) -> None:
        """Evict a connection if the limit is reached."""
        if len(self.connections) >= self._limit:
            self.evict()

    def evict(self) -> bool:
        """Close the first evictable connection; return whether there was one."""
        for connection in self._unauthenticated:
            connection.close()
            return True
        for connection in self._idle:
            connection.drain()
            return True
        return False

    def add(self, connection: C) -> None:
        """Add a new connection, which waits for its first request."""
        self.connections.add(connection)
        self._unauthenticated[connection] = None

    def mark_waiting(self, connection: C, idle: bool) -> bool:
        """Note that a connection waits for its client, ``idle`` if for a request; return whether
        it can be evicted now."""
        if not connection.authenticated:
            self._unauthenticated[connection] = None
        elif idle:
            self._idle[connection] = None
        else:
            return False
        return True

    def mark_busy(self, connection: C) -> None:
        """Note that a connection has work, and must not be evicted."""
        self._unauthenticated.pop(connection, None)
        self._idle.pop(connection, None)

    def remove(self, connection: C) -> None:
        """Forget a closed connection."""
        self.connections.discard(connection)
        self.mark_busy(connection)


# -- bodies ----------------------------------------------------------------------------


#: Bytes of all large bodies together.
BODY_BUDGET = 64 * 1024 * 1024
#: A body of so few bytes is not counted: two thousand of them are half of that.
SMALL_BODY = 16 * 1024


class BodyBudget:
    """Counts the bytes of all unfinished bodies; ``size`` is the limit in bytes."""

    def __init__(self, size: int = BODY_BUDGET) -> None:
        self._size = size
        self._total = 0
        #: Bytes of each, in the order in which the bodies began.
        self._held: dict[Evictable, int] = {}

    @property
    def total(self) -> int:
        """Return the bytes held at this moment."""
        return self._total

    def hold(self, holder: Evictable, amount: int) -> None:
        """Note how many bytes of a body have arrived; refuse bodies, perhaps this one, until all
        are within the limit."""
        if amount <= SMALL_BODY:
            return
        self._total += amount - self._held.get(holder, 0)
        self._held[holder] = amount
        while self._total > self._size:
            min(self._held, key=lambda one: one.authenticated).refuse_body()

    def release(self, holder: Evictable) -> None:
        """Forget a body that is complete, or not wanted any more."""
        self._total -= self._held.pop(holder, 0)


# -- lines of the log ------------------------------------------------------------------


#: Lines that one address, and all together, may cause at once; both get as many a period.
PER_ADDRESS, TOGETHER = 10, 100
#: Seconds.
PERIOD = 60.0
#: Addresses that are remembered at most; the longest silent ones are forgotten.
MAX_ADDRESSES = 4096


@dataclass
class RateLimit:
    """A token bucket: ``size`` tokens at most, and as many new ones in ``PERIOD``."""

    size: int
    tokens: float
    filled: float

    def fill(self, now: float) -> float:
        """Add the tokens that are due by now; return how many there are."""
        gained = (now - self.filled) * self.size / PERIOD
        self.tokens = min(float(self.size), self.tokens + gained)
        self.filled = now
        return self.tokens


class LogBudget:
    """Writes lines about ``subject`` ("failed handshakes"), few for each address.

    ``together`` bounds the lines of all addresses; None: they are not bounded. ``call_later``
    (seconds, function) is used to log how many were suppressed once no more come; without it
    that is logged with the next line, or by ``summarize``. Safe to use from several threads.
    """

    def __init__(
        self,
        subject: str,
        *,
        per_address: int = PER_ADDRESS,
        together: int | None = TOGETHER,
        clock: Callable[[], float] = time.monotonic,
        call_later: Callable[[float, Callable[[], None]], object] | None = None,
    ) -> None:
        self._subject = subject
        self._per_address = per_address
        self._together = None if together is None else RateLimit(together, together, clock())
        self._clock = clock
        self._call_later = call_later
        self._mutex = threading.Lock()
        self._addresses: OrderedDict[str, RateLimit] = OrderedDict()
        self._suppressed = 0
        #: When the first of the suppressed lines came.
        self._since = 0.0

    def log(
        self,
        level: int,
        peer: str,
        text: str,
        fields: Mapping[str, object] | None = None,
    ) -> None:
        """Write a line that a client at ``peer`` caused, or count it.

        ``fields`` are the members beside ``message`` where lines are JSON objects.
        """
        if self._is_allowed(peer):
            self.summarize()
            logger.log(level, "%s", text, extra={"fields": {"message": text, **(fields or {})}})

    def _is_allowed(self, peer: str) -> bool:
        """Return whether there is a token for a line; without one the line is counted."""
        now = self._clock()
        with self._mutex:
            if self._take_tokens(network(peer), now):
                return True
            self._suppressed += 1
            if self._suppressed > 1:
                return False
            self._since = now
        if self._call_later is not None:
            self._call_later(PERIOD, self.summarize)
        return False

    def summarize(self) -> None:
        """Log how many lines were suppressed, if that began a period ago or longer."""
        if not self._suppressed:  # without the mutex: the usual case costs nothing
            return
        now = self._clock()
        with self._mutex:
            if not self._suppressed or now - self._since < PERIOD:
                return
            count, self._suppressed = self._suppressed, 0
            seconds = now - self._since
        logger.warning(
            "%d more lines about %s suppressed in the last %.0f s", count, self._subject, seconds
        )

    def _take_tokens(self, address: str, now: float) -> bool:
        """Take a token of the address and one of all addresses; return whether there were both."""
        bucket = self._addresses.pop(address, None) or RateLimit(
            self._per_address, self._per_address, now
        )
        self._addresses[address] = bucket
        if len(self._addresses) > MAX_ADDRESSES:
            self._addresses.popitem(last=False)
        buckets = [bucket] if self._together is None else [bucket, self._together]
        # Of all, filled each: a time that is not counted now would be lost.
        if min([each.fill(now) for each in buckets]) < 1:
            return False
        for each in buckets:
            each.tokens -= 1
        return True


def network(peer: str) -> str:
    """Return what one client can be counted by: the address, or the /64 of an IPv6 address."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    return (
        peer if address.version == 4 else str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
    )
