"""A line of work for few threads, in which strangers with a bad record stand behind.

It is bounded, so that nobody waits for long, and of each address, so that nobody fills
it alone. Before whom one stands depends on what waits there already: first who has a bad
record, then how much of the same address, then how much under the same name. So neither
one busy address nor many that all try one name keep others from their turn. Where the
line is full, one who would stand further ahead takes the place of its last.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ganeti.http.errors import TooManyRequests

MAX_WAITING = 32
MAX_WAITING_OF_ADDRESS = 12

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class _Place(Generic[T]):
    work: Callable[[], T]
    address: str
    name: str
    #: Has it a bad record; how many of its address, and of its name, waited before it.
    rank: tuple[bool, int, int]
    result: Future[T]


class Line(Generic[T]):
    """Runs what is added on ``threads`` threads, started when there is work for them."""

    def __init__(self, threads: int) -> None:
        self._size = threads
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        self._waiting: list[_Place[T]] = []

    def add(self, work: Callable[[], T], *, suspicious: bool, address: str, name: str) -> Future[T]:
        """Its result, or what it raises, or ``TooManyRequests``, which may come at once as well.

        ``address`` is '' for one who may speak for many.
        """
        pushed_out = None
        with self._changed:
            of_address = sum(place.address == address for place in self._waiting)
            if not address:
                of_address = 0
            elif of_address >= MAX_WAITING_OF_ADDRESS:
                raise _too_many()
            of_name = sum(place.name == name for place in self._waiting)
            place = _Place(work, address, name, (suspicious, of_address, of_name), Future())
            if len(self._waiting) >= MAX_WAITING:
                pushed_out = max(reversed(self._waiting), key=_rank)
                if pushed_out.rank <= place.rank:
                    raise _too_many()
                self._waiting.remove(pushed_out)
            self._waiting.append(place)
            self._start()
            self._changed.notify()
        if pushed_out is not None:
            pushed_out.result.set_exception(_too_many())
        return place.result

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
                place = min(self._waiting, key=_rank)
                self._waiting.remove(place)
            try:
                found = place.work()
            except Exception as err:
                place.result.set_exception(err)
            else:
                place.result.set_result(found)
            del place  # it holds a password


def _rank(place: _Place[Any]) -> tuple[bool, int, int]:
    return place.rank


def _too_many() -> TooManyRequests:
    return TooManyRequests("Too many passwords wait to be checked", retry_after=1)
