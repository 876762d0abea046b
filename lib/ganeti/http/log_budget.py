"""Limits the log lines that a stranger can cause without having proved anything.

Theory. Failed handshakes and wrong passwords cost their sender nothing, and a line of the
log for each would let him fill the disk. So each client address (of IPv6 its /64, which one
machine has whole) has a token bucket, and the daemon has one for all of them together. A
line that finds no token is counted, and the count is logged when a token is there again.

The daemon's bucket can be left out where each line stands beside one that is written
anyway. Then the first lines of every address are always written, so that what reads the log
(fail2ban) hears of each of many addresses.
"""

from __future__ import annotations

import ipaddress
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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
