"""Ids that name no job, on purpose: passed over, so that none is given twice, or purged.

Ids have no other gaps: a job that is missing, and not among these, was lost.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from ganeti import serializer
from ganeti.db import schema
from ganeti.jqueue import rows

#: Name in ``cluster_value`` of the gaps: ``[[first, last], ...]``, ascending.
GAPS = "queue.gaps"


def count(connection: sqlite3.Connection) -> int:
    """Return how many ids are gaps; ``ValueError`` when that cannot be read."""
    return int(_value(connection, schema.SKIPPED, 0))


def gaps(connection: sqlite3.Connection) -> list[tuple[int, int]]:
    """Return first and last id of each gap; ``ValueError`` when they cannot be read."""
    found = [(int(first), int(last)) for first, last in _value(connection, GAPS, [])]
    if sum(last - first + 1 for first, last in found) != count(connection):
        raise ValueError(f"the values {GAPS} and {schema.SKIPPED} contradict each other")
    return found


def skip_to(connection: sqlite3.Connection, last: int) -> None:
    """Have the next job get an id above ``last``."""
    before = rows.last_id(connection)
    if last > before:
        set_gaps(connection, [*gaps(connection), (before + 1, last)])
        set_last(connection, last)


def joined(found: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Gaps in ascending order, those that touch as one."""
    gaps: list[tuple[int, int]] = []
    for first, last in sorted(found):
        if gaps and first <= gaps[-1][1] + 1:
            gaps[-1] = gaps[-1][0], max(last, gaps[-1][1])
        else:
            gaps.append((first, last))
    return gaps


def fitting(found: Sequence[tuple[int, int]], ids: Iterable[int], most: int) -> list[int]:
    """Return those of ascending ids that fit if there may be ``most`` gaps."""
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
    """Store all gaps, and how many ids they are."""
    for name, value in (
        (GAPS, found),
        (schema.SKIPPED, sum(last - first + 1 for first, last in found)),
    ):
        rows.set_value(connection, name.removeprefix("queue."), value)


def set_last(connection: sqlite3.Connection, last: int) -> None:
    """Store the highest id that was ever given."""
    connection.execute("DELETE FROM sqlite_sequence WHERE name = 'job_job'")
    connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('job_job', ?)", (last,))


def _value(connection: sqlite3.Connection, name: str, default: Any) -> Any:
    text = schema.stored_value(connection, name)
    return default if text is None else serializer.loads(text)
