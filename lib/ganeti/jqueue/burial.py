"""Jobs that are over when a master takes them up: stored so before anything begins.

They died with the master before, or cannot be read. On a disk that refuses, the
master starts nevertheless and shows them as they are going to be stored; whatever
happens before they are, the next start comes to the same end.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence

from ganeti.db.store import Store, StoreUnavailable
from ganeti.jqueue import ending, journal
from ganeti.jqueue.board import Board
from ganeti.jqueue.job import Job


class Burial:
    """The jobs that are still to be stored; ``wake`` is told of each that is."""

    def __init__(self, store: Store, board: Board, wake: Callable[[int], None]) -> None:
        self._store = store
        self._board = board
        self._wake = wake
        self._jobs: list[Job] = []

    def take(self, jobs: Sequence[Job]) -> None:
        """Show jobs as ended."""
        with self._board.mutex:
            for job in jobs:
                self._board.add(job)
            self._jobs += jobs

    def store_now(self) -> None:
        """Try once."""
        try:
            self._store.write(self._replace).result()
        except StoreUnavailable as err:
            logging.error("The ends of %d jobs have to wait for the disk: %s", len(self._jobs), err)
        else:
            self._stored()

    def finish(self, stop: threading.Event) -> bool:
        """Try until the disk takes them; false if ``stop`` came first."""
        if self._jobs:
            try:
                ending.commit(
                    self._store,
                    self._replace,
                    stop,
                    title=f"Jobs of the previous master ({len(self._jobs)})",
                )
            except StoreUnavailable:
                return False
            self._stored()
        return True

    def _replace(self, connection: sqlite3.Connection) -> None:
        for job in self._jobs:
            journal.replace(connection, job)

    def _stored(self) -> None:
        with self._board.mutex:
            jobs, self._jobs = self._jobs, []
            for job in jobs:
                self._board.remove(job)
                self._wake(job.id)
