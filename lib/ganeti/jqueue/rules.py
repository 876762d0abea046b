"""The queue's rules (``jobrules``) as a value in the database, beside the drain flag."""

from __future__ import annotations

import dataclasses
import logging
import sqlite3
from collections.abc import Sequence
from typing import Any

from ganeti import errors
from ganeti.jqueue import journal, records
from ganeti.qlang.job_filters import JobFilter

_NAME = "filters"


def load(connection: sqlite3.Connection) -> list[JobFilter]:
    """All rules; what cannot be read is left out, and the log says so."""
    found = []
    for item in records.value(connection, _NAME, []):
        try:
            rule = JobFilter(**item)
            rule.matches(0, [])
            found.append(rule)
        except (TypeError, ValueError, KeyError, errors.Error) as err:
            logging.error("A rule of the job queue cannot be read, and holds no more: %s", err)
    return found


def put(
    connection: sqlite3.Connection,
    uuid: str,
    priority: int,
    predicates: Sequence[list[Any]],
    action: str | list[Any],
    reason_trail: Sequence[list[Any]],
) -> list[JobFilter]:
    """Store a rule in the place of the one with this uuid, if there is one; all rules then."""
    rule = JobFilter(
        uuid, journal.last_id(connection), priority, list(predicates), action, list(reason_trail)
    )
    return _store(connection, [*_others(connection, uuid), rule])


def remove(connection: sqlite3.Connection, uuid: str) -> list[JobFilter]:
    """Remove a rule; the others. ``GenericError`` if there is none (as luxid 3.0)."""
    others = _others(connection, uuid)
    if len(others) == len(load(connection)):
        raise errors.GenericError(f"Filter rule with UUID {uuid} does not exist")
    return _store(connection, others)


def _others(connection: sqlite3.Connection, uuid: str) -> list[JobFilter]:
    return [rule for rule in load(connection) if rule.uuid != uuid]


def _store(connection: sqlite3.Connection, found: list[JobFilter]) -> list[JobFilter]:
    journal.set_value(connection, _NAME, [dataclasses.asdict(rule) for rule in found])
    return found
