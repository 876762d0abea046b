"""What one client may take from the others: connections, memory for bodies, lines of the log.

All of it is for the loop's thread alone, but for ``LogBudget``, which any thread may use.

Connections. The connection that has waited longest, for a request or for its client to take
an answer, without ever having authenticated, is closed for a new one when there are too many,
whether it is idle or half through a request: otherwise a flood of half-sent requests would
keep new clients out. Where there is none, the authenticated one that has been idle longest is.

Bodies. A body is read before anybody asks who sends it, and two thousand clients could each
hold back the last byte of a large one. So the bytes of bodies that are not whole are counted
for all clients together. When there are too many, one body is given up: the one that began
first, among those of clients that never proved who they are if there is one. An honest body
is whole within moments; one that is held back to take memory has been here the longest.

Lines of the log. Failed handshakes and wrong passwords cost their sender nothing, and a line
for each would let him fill the disk. So each client address (of IPv6 its /64, which one
machine has whole) has a token bucket, and the daemon has one for all of them together. A line
that finds no token is counted, and the count is logged when a token is there again. The
daemon's bucket can be left out where each line is beside one that is written anyway. Then the
first lines of every address are always written, so that what reads the log (fail2ban) hears
of each of many addresses.
"""

from __future__ import annotations

import ipaddress
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

# -- connections -----------------------------------------------------------------------


class Evictable(Protocol):
    """Who has a seat."""

    authenticated: bool

    def close(self) -> None:
        """Go at once."""

    def drain(self) -> None:
        """Go, unless a request has come in this moment."""


G = TypeVar("G", bound=Evictable)


class ConnectionTable(Generic[G]):
    """At most ``limit``, but for who came while another one was just served."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.taken: set[G] = set()
        #: Those who may have to go, who has waited longest first: strangers, and the others.
        self._strangers: dict[G, None] = {}
        self._idle: dict[G, None] = {}

    def __len__(self) -> int:
        return len(self.taken)

    @property
    def full(self) -> bool:
        """Is there room for nobody, and nobody who could make some?"""
        return len(self.taken) >= self._limit and not (self._strangers or self._idle)

    def make_room(self) -> None:
        """Have somebody go, if all seats are taken."""
        if len(self.taken) >= self._limit:
            self.evict()

    def evict(self) -> bool:
        """Have whoever comes first go; is there anybody?"""
        for guest in self._strangers:
            guest.close()
            return True
        for guest in self._idle:
            guest.drain()
            return True
        return False

    def take(self, guest: G) -> None:
        """Somebody new, who waits."""
        self.taken.add(guest)
        self._strangers[guest] = None

    def waits(self, guest: G, idle: bool) -> bool:
        """It waits for its client, and is ``idle`` if for a request; can it make room now?"""
        if not guest.authenticated:
            self._strangers[guest] = None
        elif idle:
            self._idle[guest] = None
        else:
            return False
        return True

    def works(self, guest: G) -> None:
        """It is busy, and stays."""
        self._strangers.pop(guest, None)
        self._idle.pop(guest, None)

    def leave(self, guest: G) -> None:
        """It has gone."""
        self.taken.discard(guest)
        self.works(guest)


# -- bodies ----------------------------------------------------------------------------


#: Bytes of all large bodies together.
BODY_BUDGET = 64 * 1024 * 1024
#: A body of so few bytes is not counted: two thousand of them are half of that.
SMALL_BODY = 16 * 1024


class BodyHolder(Protocol):
    """Whoever receives a body."""

    #: Has its client ever proved who it is?
    authenticated: bool

    def give_way(self) -> None:
        """Refuse the body, forget what is here of it, and leave the room."""


class BodyBudget:
    """Who holds how much; ``size`` is in bytes."""

    def __init__(self, size: int = BODY_BUDGET) -> None:
        self._size = size
        self._total = 0
        #: In the order in which they came.
        self._held: dict[BodyHolder, int] = {}

    @property
    def total(self) -> int:
        """Bytes at this moment."""
        return self._total

    def hold(self, holder: BodyHolder, amount: int) -> None:
        """So much of its body is here now. Somebody may have to give way, it itself perhaps."""
        if amount <= SMALL_BODY:
            return
        self._total += amount - self._held.get(holder, 0)
        self._held[holder] = amount
        while self._total > self._size:
            min(self._held, key=lambda one: one.authenticated).give_way()

    def leave(self, holder: BodyHolder) -> None:
        """Its body is whole, or not wanted any more."""
        self._total -= self._held.pop(holder, 0)


# -- lines of the log ------------------------------------------------------------------


#: Lines that one address, and all together, may cause at once; both get as many a period.
PER_ADDRESS, TOGETHER = 10, 100
#: Seconds.
PERIOD = 60.0
#: Addresses that are remembered at most; those that were silent longest go.
MAX_ADDRESSES = 4096


@dataclass
class _Bucket:
    """Tokens for lines: ``size`` at most, and as many new ones in a period."""

    size: int
    tokens: float
    filled: float

    def fill(self, now: float) -> float:
        """Add what is due by now; how many tokens there are."""
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
        self._together = None if together is None else _Bucket(together, together, clock())
        self._clock = clock
        self._call_later = call_later
        self._mutex = threading.Lock()
        self._addresses: OrderedDict[str, _Bucket] = OrderedDict()
        self._suppressed = 0
        #: When the first of the suppressed lines came.
        self._since = 0.0

    def log(
        self,
        level: int,
        peer: str,
        text: str,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a line that a client at ``peer`` caused, or count it.

        ``fields`` are the members beside ``message`` where lines are JSON objects.
        """
        if self._is_allowed(peer):
            self.summarize()
            logging.log(level, "%s", text, extra={"fields": {"message": text, **(fields or {})}})

    def _is_allowed(self, peer: str) -> bool:
        """Whether there is a token for a line; else it is counted."""
        now = self._clock()
        with self._mutex:
            if self._take(network(peer), now):
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
        logging.warning(
            "%d more lines about %s suppressed in the last %.0f s", count, self._subject, seconds
        )

    def _take(self, address: str, now: float) -> bool:
        """Take a token of the address and one of all; whether there were both."""
        bucket = self._addresses.pop(address, None) or _Bucket(
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
