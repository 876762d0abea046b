"""Deletes archived jobs, a few in each commit, so that no other change waits long for its own.

The same commit stores the ids of the deleted jobs as gaps (``id_gaps``): an id is never given
again, and a deleted job does not count as lost. These jobs stay:

- the newest one, so that the next id and the seconds of service can be told from its row, too
- those whose row is damaged, since their age is not known
- those that an unfinished job depends on

SQLite reuses the pages that become free; the file does not shrink.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ganeti import serializer
from ganeti.db import schema
from ganeti.db.store import Store
from ganeti.jqueue import id_gaps, rows

logger = logging.getLogger(__name__)

#: Limits of one commit, because submissions wait for it: the rows of opcodes and logs that it
#: deletes (2,000 take 10 ms), and the seconds after which it takes no further job.
ROWS, SECONDS = 2000, 0.02
#: Jobs that are looked up with one query.
PAGE = 1000
#: Maximum number of gaps: each commit writes all of them. Once there are so many, a job is deleted
#: only if it is next to a gap; one between jobs that stay would make a new gap.
MAX_GAPS = 2000


class Batch(NamedTuple):
    """The work of one commit.

    ``done`` ids have been dealt with, the jobs ``deleted`` are gone, and ``left`` jobs stay
    because they would need more gaps.
    """

    done: int
    deleted: list[int]
    left: int = 0


def purge(store: Store, before: int, go_on: Callable[[float], bool]) -> list[int]:
    """Delete archived jobs that ended by second ``before`` of service; return their ids.

    ``go_on`` is called after each commit with the seconds that it took. It waits, so that others
    get their turn, and returns whether to continue. Raises ``StoreUnavailable`` if the disk
    refuses, ``ValueError`` if the stored gaps cannot be read.
    """
    deleted: list[int] = []
    after, left, going = 0, 0, True
    with store.read() as connection:
        needed = _depended_on(connection)
    while going:
        with store.read() as connection:
            page = _purgeable(connection, before, after, PAGE)
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
            "There are %d gaps in the ids of jobs already; %d archived jobs between jobs that "
            "stay are not deleted until those are archived, too",
            MAX_GAPS,
            left,
        )
    return deleted


def _purgeable(connection: sqlite3.Connection, before: int, after: int, limit: int) -> list[int]:
    """Return ids above ``after`` of archived jobs that ended by second ``before`` of service.

    At most ``limit`` ids, ascending, and never that of the newest job. A job without opcodes
    counts as ended when it was received.
    """
    return [
        row[0]
        for row in connection.execute(
            f"SELECT id FROM job_job WHERE id > ? AND archived = 1 AND {rows.IS_FINAL} "
            "AND CASE WHEN ops = 0 THEN received_served ELSE end_served END <= ? "
            "AND id < (SELECT max(id) FROM job_job) ORDER BY id LIMIT ?",
            (after, before, limit),
        )
    ]


def _depended_on(connection: sqlite3.Connection) -> set[int]:
    """Return the ids of jobs on which unfinished jobs depend."""
    found: set[int] = set()
    for (text,) in connection.execute(
        "SELECT op FROM job_op WHERE instr(op, '\"depends\"') AND job_id IN "
        f"(SELECT id FROM job_job WHERE {rows.IS_UNFINISHED})"
    ):
        # An opcode that cannot be read never runs, so it needs no other job.
        with contextlib.suppress(serializer.ParseError, TypeError, ValueError, AttributeError):
            found.update(
                int(job) for job, _ in serializer.loads_lenient(text.encode()).get("depends") or ()
            )
    return found


def delete(connection: sqlite3.Connection, ids: Sequence[int]) -> Batch:
    """Delete as many of these jobs, in ascending order, as one commit may."""
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
            if lines > ROWS:  # a part per commit, from the end so that the log has no gap
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
    """Return whether a job's row is undamaged, so that its age can be believed."""
    row = connection.execute(
        f"SELECT {schema.columns('job_job')} FROM job_job WHERE id = ?", (job_id,)
    ).fetchone()
    return row is not None and schema.is_whole(row)


def _lines(connection: sqlite3.Connection, job_id: int) -> int:
    """Return the number of lines in a job's log, which are counted from 1."""
    return int(
        connection.execute(
            "SELECT coalesce(max(serial), 0) FROM job_log WHERE job_id = ?", (job_id,)
        ).fetchone()[0]
    )
