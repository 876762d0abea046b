"""What an opcode that runs may do to its job: say that it begins, and log."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

from ganeti.db.store import Store
from ganeti.jqueue import ending, journal
from ganeti.jqueue.board import Board
from ganeti.jqueue.job import timestamp
from ganeti.jqueue.run import JobRun
from ganeti.jqueue.task import Entry


def run_of(
    entry: Entry, board: Board, store: Store, clock: Callable[[], float], stop: threading.Event
) -> JobRun:
    """The run of the opcode whose turn it is."""

    def begin() -> None:
        """The commit before the work."""
        assert entry.task is not None
        if entry.task.rerun_safe:
            return
        with board.mutex:
            index = entry.index
            draft = ending.draft_of(entry.job, index)
        ending.commit(
            store,
            lambda connection: journal.save(connection, draft, [index]),
            stop,
            title=entry.job.title,
        )

    def log(text: str, kind: str) -> None:
        """Show a line at once, and have it stored with the next commit."""
        with board.mutex:
            job, index = entry.job, entry.index
            job.log_serial += 1
            line = [job.log_serial, timestamp(clock()), kind, text]
            op = job.ops[index]
            assert op.lines is not None
            op.lines.append(line)
            board.changed(job.id)

        def stored(future: Future[None]) -> None:
            # The writer is the only one to touch this list: the end is stored after it.
            if future.exception() is not None:
                op.unsaved.append(line)

        store.write(lambda connection: journal.add_log(connection, job.id, index, line), stored)

    return JobRun(entry.job.id, entry.cancel, begin=begin, log=log)
