"""The state of what can be asked for, as one word that is cheap to make.

Two answers to the same question are the same if the word was the same before both. It
changes with the whole configuration and with every guest's state, so it may change more
often than an answer does, and it means nothing to another process.
"""

from __future__ import annotations

from ganeti.constants import ResultStatus
from ganeti.query.base import Reading, Sources


def of(sources: Sources, what: str) -> str | None:
    """The word for a kind's state; None for kinds that depend on more than this."""
    if what != "instance":
        return None
    config = sources.config.changes.word
    reading = Reading(sources, live=True, needed=())
    guests = 0
    for node in sources.config.nodes():
        found = reading.guests(node)
        guests ^= hash(
            (node.uuid, found if isinstance(found, ResultStatus) else frozenset(found.items()))
        )
    return f"{config}.{guests & (2**64 - 1):x}"
