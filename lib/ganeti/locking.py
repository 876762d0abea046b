"""Who holds what, who waits for whom.

Theory. A lock is a name on a level, held shared by many or exclusively by one.
An owner (one opcode of one job) asks once for all the locks it needs, and
gives all of them back at once. The manager takes them for it one after the
other in the fixed order of levels, and of names within a level; a request that
meets a lock that is not free waits in that lock's queue and keeps what it has.
Since every request goes through the locks in the same order and no owner asks
twice, the graph of who waits for whom has no circle: there is no deadlock.

A queue is ordered by rank (a low one goes first), then by arrival. A waiter that fits is served
only if nobody before it in the queue has to wait, so that a stream of readers
cannot starve a writer. Nobody blocks in here: ``request`` returns at once and
says later, through a callback, that the locks are held.

Several levels, because work on one instance should wait for that instance
while it holds as little else as possible: 200 jobs that wait for one instance
hold only the cluster's shared lock, which everybody else shares too.
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
    """Kinds of lock, in the order in which they are taken."""

    CLUSTER = 0
    INSTANCE = 1
    GROUP = 2
    NODE = 3
    NETWORK = 4


#: First half of a lock's name, as Ganeti's tools show it.
_KINDS = {
    Level.CLUSTER: "cluster",
    Level.INSTANCE: "instance",
    Level.GROUP: "nodegroup",
    Level.NODE: "node",
    Level.NETWORK: "network",
}

#: The one lock on the first level: everybody has it shared, big changes alone.
BIG_LOCK = "BGL"


@dataclass(frozen=True, order=True)
class Want:
    """One lock that is asked for."""

    level: Level
    name: str
    exclusive: bool = field(compare=False, default=False)

    @property
    def full_name(self) -> str:
        """``instance/web.example.com``."""
        return f"{_KINDS[self.level]}/{self.name}"

    @property
    def mode(self) -> str:
        """The mode in the word that Ganeti's tools show."""
        return "exclusive" if self.exclusive else "shared"


def exclusive(level: Level, name: str) -> Want:
    """Return the wish for a lock that nobody else may hold meanwhile."""
    return Want(level, name, True)


def shared(level: Level, name: str) -> Want:
    """Return the wish for a lock that others may hold shared too."""
    return Want(level, name, False)


def merge(wants: Iterable[Want]) -> tuple[Want, ...]:
    """Return the locks in the order of taking, each once; exclusive wins over shared."""
    strongest: dict[tuple[Level, str], Want] = {}
    for want in wants:
        key = (want.level, want.name)
        if key not in strongest or want.exclusive:
            strongest[key] = want
    return tuple(sorted(strongest.values()))


class LockRequest:
    """The locks that one owner asked for, and how far it has come."""

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
        #: How many of ``wants`` are held; the next one is waited for.
        self.held = 0
        self.released = False

    def __lt__(self, other: LockRequest) -> bool:
        return (self.rank, self.ticket) < (other.rank, other.ticket)

    @property
    def complete(self) -> bool:
        """Whether all locks are held."""
        return self.held == len(self.wants)

    @property
    def next_want(self) -> Want:
        """The lock that is waited for."""
        return self.wants[self.held]


@dataclass
class _Lock:
    owners: dict[str, bool] = field(default_factory=dict)  # owner -> exclusive?
    queue: list[LockRequest] = field(default_factory=list)  # sorted by rank, ticket

    def free_for(self, want: Want) -> bool:
        if want.exclusive:
            return not self.owners
        return not any(self.owners.values())


@dataclass(frozen=True)
class LockState:
    """One lock as people see it."""

    name: str
    mode: str | None  # "shared", "exclusive", None: free
    owners: tuple[str, ...]
    pending: tuple[tuple[str, tuple[str, ...]], ...]  # (mode, owners) in the order of the queue


@dataclass(frozen=True)
class LockWait:
    """What one owner waits for, and who has to give way first."""

    name: str
    mode: str  # in which it is wanted
    blockers: tuple[str, ...]  # owners, or else those before it in the queue


def _notify_granted(completed: Iterable[LockRequest]) -> None:
    """Call back those whose locks are all held; a callback that fails stops no other."""
    for request in completed:
        try:
            request.granted()
        except Exception:
            logger.exception("%s could not be told that it holds its locks", request.owner)


class LockManager:
    """All locks. Every method returns at once; safe to call from any thread."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._locks: dict[str, _Lock] = {}
        self._requests: dict[str, LockRequest] = {}
        self._tickets = itertools.count()

    def request(
        self, owner: str, wants: Iterable[Want], rank: float, granted: Callable[[], None]
    ) -> bool:
        """Ask for locks. True: they are held now. False: ``granted`` will be called once.

        Raises ``LockError`` if the owner has a request already.
        """
        with self._mutex:
            if owner in self._requests:
                raise errors.LockError(f"{owner} asked for locks twice")
            request = LockRequest(owner, merge(wants), rank, next(self._tickets), granted)
            self._requests[owner] = request
            self._advance(request)
            return request.complete

    def release(self, owner: str) -> None:
        """Give everything back, also a request that still waits; unknown owners are fine."""
        with self._mutex:
            request = self._requests.pop(owner, None)
            if request is None:
                return
            completed = self._withdraw(request)
        _notify_granted(completed)

    def change_rank(self, owner: str, rank: float) -> None:
        """Change the rank of an owner; one that waits moves within the queue of its lock."""
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
            self._grant_next(name, completed)
        _notify_granted(completed)

    def waits_for(self, owner: str) -> LockWait | None:
        """Return what an owner waits for, or None."""
        with self._mutex:
            request = self._requests.get(owner)
            if request is None or request.complete:
                return None
            want = request.next_want
            lock = self._locks[want.full_name]
            blockers = [other for other, alone in lock.owners.items() if want.exclusive or alone]
            if not blockers:  # it fits, but those before it in the queue do not
                blockers = [other.owner for other in lock.queue if other < request]
            return LockWait(want.full_name, want.mode, tuple(sorted(blockers)))

    def states(self) -> list[LockState]:
        """Every lock that somebody holds or waits for, by name."""
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
        """Take what is free, in order; wait in the queue of the first that is not."""
        while not request.complete:
            want = request.next_want
            lock = self._locks.setdefault(want.full_name, _Lock())
            ahead = lock.queue and lock.queue[0] < request
            if ahead or not lock.free_for(want):
                insort(lock.queue, request)
                return
            lock.owners[request.owner] = want.exclusive
            request.held += 1

    def _withdraw(self, request: LockRequest) -> list[LockRequest]:
        completed: list[LockRequest] = []
        request.released = True
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
        """Grant a lock to the head of its queue, as long as that fits."""
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
