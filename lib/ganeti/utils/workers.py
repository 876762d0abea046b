"""A pool of worker threads: a fixed number of them, and one queue.

It is leaner than the standard library's executor, as work has no result. Its threads are daemon
threads: work that hangs must not keep the process from stopping.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

Work = Callable[[], object]


class WorkerPool:
    """``size`` threads, started when there is work for the first time."""

    def __init__(self, size: int, name: str = "worker") -> None:
        self._size = size
        self._name = name
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(self, work: Work) -> None:
        """Queue work for a thread. The first call must not be made by two threads at once."""
        if not self._threads:
            self._threads = [
                threading.Thread(target=self._run, name=f"{self._name}-{number}", daemon=True)
                for number in range(self._size)
            ]
            for thread in self._threads:
                thread.start()
        self._queue.put(work)

    def close(self) -> None:
        """Let the threads end after what they are doing; does not wait for them."""
        for _ in self._threads:
            self._queue.put(None)

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                work()
            except Exception:
                logger.exception("Work of the pool failed")
            del work  # it holds a request, which may be large
