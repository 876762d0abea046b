"""A directory's contents, read again only after a change."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

#: Nanoseconds without a change after which a new change gets another time stamp: two within one
#: tick of the kernel's clock (1 to 10 ms) have the same. Contents that were read earlier are not
#: cached; git treats its index the same way.
SETTLED_NS = 50_000_000


class WatchedDirectory(Generic[T]):
    """Caches ``read(names)`` of a directory until the directory's time stamp changes.

    It is meant for entries that are created by rename and never modified: it does not notice
    new contents of an existing entry. A missing directory has no names.
    """

    def __init__(
        self, path: str, read: Callable[[list[str]], T], clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._path = path
        self._read = read
        self._clock_ns = clock_ns
        self._mutex = threading.Lock()
        self._known: tuple[int, T] | None = None

    def value(self) -> T:
        """Return the result of ``read`` for the directory's present contents."""
        with self._mutex:
            try:
                stamp = os.stat(self._path).st_mtime_ns
                if self._known is not None and self._known[0] == stamp:
                    return self._known[1]
                now = self._clock_ns()
                found = self._read(os.listdir(self._path))
            except FileNotFoundError:
                self._known = None
                return self._read([])
            self._known = (stamp, found) if now - stamp > SETTLED_NS else None
            return found
