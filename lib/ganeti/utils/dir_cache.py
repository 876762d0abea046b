"""What stands in a directory, read again only when it changed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

#: Two changes within one tick of the kernel's clock leave the same time stamp
#: behind (ticks are 1 to 10 ms). What was read sooner than this after a change
#: is not relied on; git does the same for its index.
MIN_STAMP_AGE_NS = 50_000_000


class WatchedDirectory(Generic[T]):
    """``read(names)`` of a directory's names, remembered as long as its time stamp stands.

    Made for entries that are put in place by rename and never changed there: a
    new content of an old entry would not be noticed. A directory that is not
    there has no names.
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
        """What ``read`` makes, or made, of the directory as it is now."""
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
            self._known = (stamp, found) if now - stamp > MIN_STAMP_AGE_NS else None
            return found
