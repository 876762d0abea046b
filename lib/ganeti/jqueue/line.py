"""Lines of jobs: the most urgent first, and nobody last for ever.

A job's rank is the moment at which it was accepted, moved back for an urgent job and
forward for one that can wait, by a minute for each step of priority; the lowest rank
goes first. So of two jobs of one priority the elder goes first; an urgent job passes
those that came shortly before it; and however many urgent jobs keep coming, a job of
the lowest priority is passed only by those that come within 39 minutes
(``OVERTAKEN_SECONDS``) after it. A rank does not change while its job waits, so there
is nothing to sort again. Lines for locks are ordered by the same ranks.
"""

from __future__ import annotations

import heapq

from ganeti.constants import PRIORITY_HIGHEST, PRIORITY_LOWEST
from ganeti.jqueue.task import Entry, Phase

#: What one step of priority is worth.
AGEING_SECONDS = 60.0
#: For how long at most jobs that come later can go before one that waits.
OVERTAKEN_SECONDS = (PRIORITY_LOWEST - PRIORITY_HIGHEST) * AGEING_SECONDS


def rank(since: float, priority: int) -> float:
    """Of a job that was accepted at ``since`` (seconds on the monotonic clock)."""
    return since + priority * AGEING_SECONDS


def rank_of(entry: Entry) -> float:
    """Of a live job, as its priority is now."""
    return rank(entry.since, entry.job.priority)


class Line:
    """Jobs that are in one phase; under the board's mutex."""

    def __init__(self, phase: Phase) -> None:
        self._phase = phase
        self._heap: list[tuple[float, int, Entry]] = []

    def push(self, entry: Entry) -> None:
        """Have a job stand in line; again, after its priority changed."""
        heapq.heappush(self._heap, (rank_of(entry), entry.job.id, entry))

    def pop(self) -> Entry | None:
        """The next; what moved on, or stands elsewhere in line now, left a stale place."""
        while self._heap:
            place, _, entry = heapq.heappop(self._heap)
            if entry.phase is self._phase and place == rank_of(entry):
                return entry
        return None
