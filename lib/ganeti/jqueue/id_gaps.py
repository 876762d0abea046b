"""Job ids that name no job on purpose: they were skipped, or their jobs were purged.

Every other id up to the highest one names a job, so a missing job that is not among these was
lost.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from ganeti import serializer
from ganeti.db import schema
from ganeti.jqueue import rows

#: Name in ``cluster_value`` of the list of gaps: ``[[first, last], ...]``, ascending.
GAPS = "queue.gaps"


def count(connection: sqlite3.Connection) -> int:
    """Return how many ids are in gaps; raise ``ValueError`` if that cannot be read."""
    text = schema.stored_value(connection, schema.SKIPPED)
    return 0 if text is None else int(serializer.loads(text))


def gaps(connection: sqlite3.Connection) -> list[tuple[int, int]]:
    """Return first and last id of each gap; raise ``ValueError`` if they cannot be read."""
    text = schema.stored_value(connection, GAPS)
    stored = [] if text is None else serializer.loads(text)
    found = [(int(first), int(last)) for first, last in stored]
    if sum(last - first + 1 for first, last in found) != count(connection):
        raise ValueError(f"the values {GAPS} and {schema.SKIPPED} contradict each other")
    return found


def skip_to(connection: sqlite3.Connection, last: int) -> None:
    """Skip ids, so that the next job gets one above ``last``."""
    before = rows.last_id(connection)
    if last > before:
        set_gaps(connection, [*gaps(connection), (before + 1, last)])
        set_last(connection, last)


def joined(found: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return gaps in ascending order, and adjacent ones as one."""
    gaps: list[tuple[int, int]] = []
    for first, last in sorted(found):
        if gaps and first <= gaps[-1][1] + 1:
            gaps[-1] = gaps[-1][0], max(last, gaps[-1][1])
        else:
            gaps.append((first, last))
    return gaps


def fitting(found: Sequence[tuple[int, int]], ids: Iterable[int], most: int) -> list[int]:
    """Return those of ascending ids that may become gaps if there may be ``most`` gaps in all.

    An id next to a gap extends that gap, and always fits.
    """
    edges = {edge for first, last in found for edge in (first - 1, last + 1)}
    free, chosen = most - len(found), []
    for number in ids:
        if number not in edges:
            if free <= 0:
                continue
            free -= 1
        edges.add(number + 1)
        chosen.append(number)
    return chosen


def words(found: Iterable[tuple[int, int]]) -> str:
    """Return gaps as text: ``3, 7-12``."""
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


def set_gaps(connection: sqlite3.Connection, found: list[tuple[int, int]]) -> None:
    """Store all gaps, and the number of ids in them."""
    for name, value in (
        (GAPS, found),
        (schema.SKIPPED, sum(last - first + 1 for first, last in found)),
    ):
        rows.set_value(connection, name.removeprefix("queue."), value)


def set_last(connection: sqlite3.Connection, last: int) -> None:
    """Store the highest id that was ever given."""
    connection.execute("DELETE FROM sqlite_sequence WHERE name = 'job_job'")
    connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('job_job', ?)", (last,))
