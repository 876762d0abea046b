"""Locks: who holds them, and who waits for them.

Theory. A lock is a name on a level, held by many owners shared or by one exclusively. An owner
(one opcode of one job) requests all the locks that it needs at once, and releases all of them at
once. The manager takes them for it one by one, in the fixed order of levels, and of names within a
level. A request that meets a lock that is not free waits in that lock's queue, and keeps the locks
that it has.

There is no deadlock: every request takes its locks in the same order, and no owner makes a second
request while it holds locks, so the graph of owners that wait for each other has no cycle.

There is no starvation either. A queue is ordered by rank (the lowest goes first), then by arrival.
A waiting request is served only if none before it in the queue has to wait, so that a stream of
readers cannot starve a writer.

Nothing blocks here: ``request`` returns at once, and calls back later when all locks are held.

The levels let work on one instance wait for that instance while it holds as little else as
possible: 200 jobs that wait for one instance hold only the cluster's lock, which everybody shares.
"""

from __future__ import annotations

import itertools
import logging
import threading
from bisect import insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from ganeti import errors

logger = logging.getLogger(__name__)


class Level(IntEnum):
    """The kinds of locks, in the order in which they are taken."""

    CLUSTER = 0
    INSTANCE = 1
    GROUP = 2
    NODE = 3
    NETWORK = 4


#: The first part of a lock's name, as Ganeti's tools show it.
_KINDS = {
    Level.CLUSTER: "cluster",
    Level.INSTANCE: "instance",
    Level.GROUP: "nodegroup",
    Level.NODE: "node",
    Level.NETWORK: "network",
}

#: The only lock on the first level: everybody holds it shared, big changes exclusively. Ganeti
#: calls it the big Ganeti lock.
BIG_LOCK = "BGL"


@dataclass(frozen=True, order=True)
class Want:
    """A lock that is wanted, in one of the two modes."""

    level: Level
    name: str
    exclusive: bool = field(compare=False, default=False)

    @property
    def full_name(self) -> str:
        """The name with its kind: ``instance/web.example.com``."""
        return f"{_KINDS[self.level]}/{self.name}"

    @property
    def mode(self) -> str:
        """The mode, as Ganeti's tools show it."""
        return "exclusive" if self.exclusive else "shared"


def exclusive(level: Level, name: str) -> Want:
    """Return a lock to be held alone."""
    return Want(level, name, True)


def shared(level: Level, name: str) -> Want:
    """Return a lock that others may hold shared at the same time."""
    return Want(level, name, False)


def merge(wants: Iterable[Want]) -> tuple[Want, ...]:
    """Return the locks in the order in which they are taken, each once.

    A lock that is wanted in both modes is exclusive.
    """
    strongest: dict[tuple[Level, str], Want] = {}
    for want in wants:
        key = (want.level, want.name)
        if key not in strongest or want.exclusive:
            strongest[key] = want
    return tuple(sorted(strongest.values()))


class LockRequest:
    """The locks that one owner requested, and how many of them it holds."""

    def __init__(
        self,
        owner: str,
        wants: tuple[Want, ...],
        rank: float,
        ticket: int,
        granted: Callable[[], None],
    ) -> None:
        self.owner = owner
        self.wants = wants
        self.rank = rank
        self.ticket = ticket
        self.granted = granted
        #: Number of ``wants`` that are held; if that is not all, it waits for the next one.
        self.held = 0

    def __lt__(self, other: LockRequest) -> bool:
        """Return whether this request comes before another one in a queue."""
        return (self.rank, self.ticket) < (other.rank, other.ticket)

    @property
    def complete(self) -> bool:
        """True once all locks are held."""
        return self.held == len(self.wants)

    @property
    def next_want(self) -> Want:
        """The lock that it waits for."""
        return self.wants[self.held]


@dataclass
class _Lock:
    owners: dict[str, bool] = field(default_factory=dict)  # owner -> whether exclusively
    queue: list[LockRequest] = field(default_factory=list)  # sorted by rank, ticket

    def free_for(self, want: Want) -> bool:
        if want.exclusive:
            return not self.owners
        return not any(self.owners.values())


@dataclass(frozen=True)
class LockState:
    """A lock as it is shown to people."""

    name: str
    mode: str | None  # "shared" or "exclusive"; None if it is free
    owners: tuple[str, ...]
    pending: tuple[tuple[str, tuple[str, ...]], ...]  # (mode, owners) in the order of the queue


@dataclass(frozen=True)
class LockWait:
    """The lock that an owner waits for, and the owners that must release it first."""

    name: str
    mode: str  # in which it is wanted
    blockers: tuple[str, ...]  # those that hold it, or else those before it in the queue


def _notify_granted(completed: Iterable[LockRequest]) -> None:
    """Call back those that hold all their locks, also if a callback fails.

    Call this without the mutex, since callbacks may request and release locks.
    """
    for request in completed:
        try:
            request.granted()
        except Exception:
            logger.exception("%s: the callback for its locks failed", request.owner)


class LockManager:
    """All locks. Every method returns at once, and may be called by any thread."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._locks: dict[str, _Lock] = {}
        self._requests: dict[str, LockRequest] = {}
        self._tickets = itertools.count()

    def request(
        self, owner: str, wants: Iterable[Want], rank: float, granted: Callable[[], None]
    ) -> bool:
        """Request locks; return whether all of them are held now.

        If not, ``granted`` is called once they are, unless they are released before. Raises
        ``LockError`` if the owner has another request.
        """
        with self._mutex:
            if owner in self._requests:
                raise errors.LockError(f"{owner} requested locks twice")
            request = LockRequest(owner, merge(wants), rank, next(self._tickets), granted)
            self._requests[owner] = request
            self._advance(request)
            return request.complete

    def release(self, owner: str) -> None:
        """Release all locks of an owner, and withdraw its request if that still waits.

        Does nothing if the owner is unknown.
        """
        with self._mutex:
            request = self._requests.pop(owner, None)
            if request is None:
                return
            completed = self._withdraw(request)
        _notify_granted(completed)

    def change_rank(self, owner: str, rank: float) -> None:
        """Change the rank of an owner, and its place in the queue in which it waits, if any."""
        completed: list[LockRequest] = []
        with self._mutex:
            request = self._requests.get(owner)
            if request is None or request.rank == rank:
                return
            if request.complete:
                request.rank = rank
                return
            name = request.next_want.full_name
            lock = self._locks[name]
            lock.queue.remove(request)
            request.rank = rank
            insort(lock.queue, request)
            # A writer may have kept readers waiting that are before it now.
            self._grant_next(name, completed)
        _notify_granted(completed)

    def waits_for(self, owner: str) -> LockWait | None:
        """Return the lock that an owner waits for, or None."""
        with self._mutex:
            request = self._requests.get(owner)
            if request is None or request.complete:
                return None
            want = request.next_want
            lock = self._locks[want.full_name]
            blockers = [other for other, alone in lock.owners.items() if want.exclusive or alone]
            if not blockers:  # it could be granted, but not to those before it in the queue
                blockers = [other.owner for other in lock.queue if other < request]
            return LockWait(want.full_name, want.mode, tuple(sorted(blockers)))

    def states(self) -> list[LockState]:
        """Return every lock that somebody holds or waits for, sorted by name."""
        with self._mutex:
            return [self._state(name) for name in sorted(self._locks)]

    # -- under the mutex -------------------------------------------------------

    def _state(self, name: str) -> LockState:
        lock = self._locks[name]
        mode = None
        if lock.owners:
            mode = "exclusive" if any(lock.owners.values()) else "shared"
        pending = tuple((request.next_want.mode, (request.owner,)) for request in lock.queue)
        return LockState(name, mode, tuple(sorted(lock.owners)), pending)

    def _advance(self, request: LockRequest) -> None:
        """Take locks in order while they are free, then wait in the queue of the next one."""
        while not request.complete:
            want = request.next_want
            lock = self._locks.setdefault(want.full_name, _Lock())
            # The head of a queue is waiting, so those behind it wait even if they fit.
            ahead = lock.queue and lock.queue[0] < request
            if ahead or not lock.free_for(want):
                insort(lock.queue, request)
                return
            lock.owners[request.owner] = want.exclusive
            request.held += 1

    def _withdraw(self, request: LockRequest) -> list[LockRequest]:
        """Remove all traces of a request; return the requests that are complete because of it."""
        completed: list[LockRequest] = []
        touched = [want.full_name for want in request.wants[: request.held]]
        for name in touched:
            del self._locks[name].owners[request.owner]
        if not request.complete:
            name = request.next_want.full_name
            self._locks[name].queue.remove(request)
            touched.append(name)
        for name in touched:
            self._grant_next(name, completed)
        return completed

    def _grant_next(self, name: str, completed: list[LockRequest]) -> None:
        """Grant a lock to the head of its queue, and to the next one, as long as they fit.

        Adds requests that hold all their locks then to ``completed``; the caller notifies these
        once the mutex is free.
        """
        lock = self._locks.get(name)
        if lock is None:
            return
        while lock.queue and lock.free_for(lock.queue[0].next_want):
            request = lock.queue.pop(0)
            lock.owners[request.owner] = request.next_want.exclusive
            request.held += 1
            self._advance(request)
            if request.complete:
                completed.append(request)
        if not lock.owners and not lock.queue:
            del self._locks[name]
