"""Limits on guessing: pauses after failures, and a fair queue for costly checks of passwords.

Failures are counted for each pair of address and user name, and more loosely for each address.
So guessing gets slower and slower, while the user can still log in from elsewhere. One failure
is forgiven each minute. Addresses of this machine are never slowed down: one may be a proxy's,
which speaks for all its clients.

The queue is bounded, which limits the wait, and bounded for each address, so that one
address cannot fill it. Entries are ordered by (recent failures, entries queued for this address,
entries queued for this user): neither one busy address nor many addresses that all try one name
keep others from their turn. In a full queue, an entry that would come earlier replaces the last
one.
"""

from __future__ import annotations

import hmac
import math
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from ganeti.http.errors import TooManyRequests

#: Failures that cost nothing: of one user from one address, of all users from one address.
FREE_TRIES, FREE_TRIES_OF_ADDRESS = 5, 50
#: Seconds: the longest pause after a failure, and the time in which one failure is forgiven.
MAX_PAUSE, FORGIVEN = 60.0, 60.0
#: Pairs of address and name whose failures are counted; beyond that, the oldest are forgotten.
MAX_FAILURES = 8192

#: Checks that wait in the queue: altogether, and of one address.
MAX_WAITING = 32
MAX_WAITING_OF_ADDRESS = 12

T = TypeVar("T")


class _Rank(NamedTuple):
    """Sorting key of a queued check: the lowest comes first."""

    suspicious: bool
    #: Checks of the same address, and of the same user, that were queued before it.
    of_address: int
    of_name: int


@dataclass(frozen=True, slots=True, eq=False)
class _QueuedCheck(Generic[T]):
    work: Callable[[], T]
    address: str
    name: str
    rank: _Rank
    result: Future[T]


class FairQueue(Generic[T]):
    """Runs checks on up to ``threads`` threads, which are started with the first check."""

    def __init__(self, threads: int) -> None:
        self._size = threads
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        self._waiting: list[_QueuedCheck[T]] = []

    def add(self, work: Callable[[], T], *, suspicious: bool, address: str, name: str) -> Future[T]:
        """Queue ``work``; return a future of its result.

        Raises ``TooManyRequests`` if the queue is full; the future fails with the same error if
        a later entry replaces this one. ``suspicious``: this address has failed lately.
        ``address`` is '' for a peer that may speak for many clients.
        """
        displaced = None
        with self._changed:
            of_address = sum(check.address == address for check in self._waiting)
            if not address:
                of_address = 0
            elif of_address >= MAX_WAITING_OF_ADDRESS:
                raise _too_many()
            of_name = sum(check.name == name for check in self._waiting)
            rank = _Rank(suspicious, of_address, of_name)
            check = _QueuedCheck(work, address, name, rank, Future())
            if len(self._waiting) >= MAX_WAITING:
                # Of equals the newest, since max() returns the first that it meets.
                displaced = max(reversed(self._waiting), key=lambda queued: queued.rank)
                if displaced.rank <= check.rank:
                    raise _too_many()
                self._waiting.remove(displaced)
            self._waiting.append(check)
            self._start()
            self._changed.notify()
        # Outside the lock: callbacks of the future run here.
        if displaced is not None:
            displaced.result.set_exception(_too_many())
        return check.result

    def _start(self) -> None:
        while len(self._threads) < self._size:
            number = len(self._threads)
            self._threads.append(
                threading.Thread(target=self._run, name=f"hash-{number}", daemon=True)
            )
            self._threads[-1].start()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                check = min(self._waiting, key=lambda queued: queued.rank)
                self._waiting.remove(check)
            try:
                found = check.work()
            except Exception as err:
                check.result.set_exception(err)
            else:
                check.result.set_result(found)
            del check  # its work holds a password, which must not stay while we wait


def _too_many() -> TooManyRequests:
    return TooManyRequests("Too many passwords wait to be checked", retry_after=1)


@dataclass
class _Failures:
    #: Failures that are not forgiven yet, as of ``last``, when the last one happened.
    count: float = 0.0
    last: float = 0.0
    #: End of the pause.
    until: float = 0.0


class Throttle:
    """Counts failures by address and user, and imposes pauses. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._key = os.urandom(32)
        self._mutex = threading.Lock()
        #: By (address, digest of the name); b"" instead of the digest counts all names. A digest,
        #: since a name may be as long as a header.
        self._failures: OrderedDict[tuple[str, bytes], _Failures] = OrderedDict()

    def check(self, address: str, name: str, is_local: bool) -> bool:
        """Return whether any user failed from this address lately.

        Raises ``TooManyRequests`` during a pause.
        """
        now = self._clock()
        keys = (address, self._digest(name)), (address, b"")
        with self._mutex:
            known = [self._failures[key] for key in keys if key in self._failures]
        pause = max((failures.until - now for failures in known), default=0.0)
        if pause > 0 and not is_local:
            raise TooManyRequests(
                "Too many wrong passwords from this address", retry_after=int(pause) + 1
            )
        return any(now - failures.last <= FORGIVEN * failures.count for failures in known)

    def record_failure(self, address: str, name: str) -> None:
        """Count a failure, and begin a pause once there are more than are free."""
        now = self._clock()
        with self._mutex:
            for key, free in (
                ((address, self._digest(name)), FREE_TRIES),
                ((address, b""), FREE_TRIES_OF_ADDRESS),
            ):
                failures = self._failures.pop(key, None) or _Failures(last=now)
                forgiven = (now - failures.last) / FORGIVEN
                failures.count = max(0.0, failures.count - forgiven) + 1
                failures.last = now
                failures.until = now + _pause_after(failures.count - free)
                self._failures[key] = failures
            while len(self._failures) > MAX_FAILURES:
                self._failures.popitem(last=False)

    def record_success(self, address: str, name: str) -> None:
        """Forget the failures of this user from this address, but not those of the address."""
        with self._mutex:
            self._failures.pop((address, self._digest(name)), None)

    def _digest(self, name: str) -> bytes:
        return hmac.digest(self._key, name.encode("utf-8", "surrogateescape"), "sha256")[:16]


def _pause_after(excess: float) -> float:
    """Return the seconds to pause after ``excess`` failures more than are free."""
    if excess < 0:
        return 0.0
    return min(MAX_PAUSE, math.pow(2.0, min(excess, 6.0)))
