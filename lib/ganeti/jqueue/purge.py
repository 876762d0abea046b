"""Deletes archived jobs, a few in each commit, so that nobody else waits long for his own.

The ids of deleted jobs are stored as gaps (``id_gaps``) in the same commit: none is given
again, and none counts as lost. The newest job stays, so that where ids go on, and how long
the queue was served, can be told from more than one row. So do jobs whose row is damaged,
since nobody knows whether they are old, and jobs on which one depends that has not ended.

SQLite uses the pages that become free again; the file does not shrink.
"""

from __future__ import annotations

import functools
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ganeti.db import schema
from ganeti.db.store import Store
from ganeti.jqueue import id_gaps, rows

logger = logging.getLogger(__name__)

#: Rows of opcodes and logs that one commit deletes (10 ms), and seconds after which it takes
#: no further job, however large the rows are: this is how long a submission may wait for it.
ROWS, SECONDS = 2000, 0.02
#: Jobs that are looked up at one go.
PAGE = 1000
#: Gaps that are stored at most, since each commit writes all of them. Beyond, only jobs
#: beside a gap are deleted: those between jobs that stay would make one more each.
MAX_GAPS = 2000


class Batch(NamedTuple):
    """What one commit did: how many of the ids it is through with, and which it deleted.

    ``left``: how many it left for want of gaps.
    """

    done: int
    deleted: list[int]
    left: int = 0


def purge(store: Store, before: int, go_on: Callable[[float], bool]) -> list[int]:
    """Delete archived jobs that ended at that second of service or before; their ids.

    ``go_on`` is told after each commit how many seconds it took; it waits, so that others
    get their turn, and returns false to end this. ``StoreUnavailable`` when the disk refuses,
    ``ValueError`` when it cannot be read which ids are gaps.
    """
    deleted: list[int] = []
    after, left, going = 0, 0, True
    with store.read() as connection:
        needed = rows.depended_on(connection)
    while going:
        with store.read() as connection:
            page = rows.purgeable(connection, before, after, PAGE)
        if not page:
            break
        after = page[-1]
        ids = [job_id for job_id in page if job_id not in needed]
        while ids and going:
            begun = time.monotonic()
            batch = store.write(functools.partial(delete, ids=ids)).result()
            ids = ids[batch.done :]
            deleted += batch.deleted
            left += batch.left
            if batch.deleted:
                logger.info(
                    "Deleted archived jobs: %s",
                    id_gaps.words(id_gaps.joined((job_id, job_id) for job_id in batch.deleted)),
                )
            going = go_on(time.monotonic() - begun)
    if left:
        logger.info(
            "Not deleted, since they stand between jobs that stay, and there are %d gaps "
            "already: %d archived jobs; archive those others, too",
            MAX_GAPS,
            left,
        )
    return deleted


def delete(connection: sqlite3.Connection, ids: Sequence[int]) -> Batch:
    """Delete as many of these jobs, ascending, as one commit may."""
    gaps = id_gaps.gaps(connection)
    fitting = set(id_gaps.fitting(gaps, ids, MAX_GAPS))
    done, removed, left, deleted = 0, 0, 0, []
    deadline = time.monotonic() + SECONDS
    for job_id in ids:
        if done and time.monotonic() > deadline:
            break
        if job_id not in fitting:
            left += 1
        elif _is_whole(connection, job_id):
            lines = _lines(connection, job_id)
            if removed and removed + lines > ROWS:
                break
            if lines > ROWS:  # from its end, so that the log has no gap
                connection.execute(
                    "DELETE FROM job_log WHERE job_id = ? AND serial > ?", (job_id, lines - ROWS)
                )
                break
            removed += 1 + lines + rows.delete(connection, job_id)
            deleted.append(job_id)
        done += 1
        if removed >= ROWS:
            break
    if deleted:
        id_gaps.set_gaps(connection, id_gaps.joined([*gaps, *((one, one) for one in deleted)]))
    return Batch(done, deleted, left)


def _is_whole(connection: sqlite3.Connection, job_id: int) -> bool:
    """Return whether a job's row is as it was written: what it says of its age is true."""
    row = connection.execute(
        f"SELECT {', '.join(schema.COLUMNS['job_job'])}, sum FROM job_job WHERE id = ?", (job_id,)
    ).fetchone()
    return row is not None and schema.is_whole(row)


def _lines(connection: sqlite3.Connection, job_id: int) -> int:
    """Return the number of the last line of a job's log: they are counted from 1."""
    return int(
        connection.execute(
            "SELECT coalesce(max(serial), 0) FROM job_log WHERE job_id = ?", (job_id,)
        ).fetchone()[0]
    )
