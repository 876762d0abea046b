"""The queue's three clocks.

``wall``             what people read: received, start and end of a job
``monotonic``        who has waited how long, while this master lives
``service_seconds``  seconds that this queue has been served, over all its masters' lives

The wall clock may jump, by a day or to 1970. So nothing is decided by it: how old a
job is (is it to be archived? does its key still hold?) is a difference of ``service_seconds``,
which goes on where the last master left it. Time without a master does not count,
so something may be kept for longer than asked, and never shorter.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from ganeti.jqueue.job import Timestamp, timestamp


def since_boot() -> float:
    """Return seconds since boot, which never jump; time in which the machine slept counts."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Moment(NamedTuple):
    """Now, as it is stored."""

    seconds: float  # since the epoch
    service_seconds: int = 0

    @property
    def stamp(self) -> Timestamp:
        """The moment as ``(seconds, microseconds)``, the form on the wire."""
        return timestamp(self.seconds)


class Clocks:
    """See above; ``base`` is what ``service_seconds`` had come to before this master."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = since_boot,
        base: int = 0,
    ) -> None:
        self.wall = wall
        self.monotonic = monotonic
        self._base = base
        self._begun = monotonic()

    @property
    def service_seconds(self) -> int:
        """Seconds for which the queue has been served, by all its masters."""
        return self._base + max(0, int(self.monotonic() - self._begun))

    def now(self) -> Moment:
        """Return this moment as it is stored."""
        return Moment(self.wall(), self.service_seconds)
