"""Which jobs may begin: the job filters (``qlang.job_filters``) on the live jobs of the queue.

Theory. A job is asked for once, when its turn comes and before it takes locks; when one has
begun, no filter touches it any more. A rate limit has as many places as it lets jobs begin; a
job takes one in each limit that it is of, and keeps them to its end. One that finds a limit
full is held by it, in a queue like any other (``ReadyQueue``). When a place gets free the next
in that queue is looked at again, and may be held by another limit then; so it hands on what it
left free. When the filters change, everything that has not begun is looked at again.

Everything here happens under the mutex of the live jobs. The filters themselves are a value in
the database, beside the drain flag.
"""

from __future__ import annotations

import dataclasses
import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ganeti import errors
from ganeti.constants import JobStatus
from ganeti.jqueue import rows
from ganeti.jqueue.job import Job
from ganeti.jqueue.live import JobPhase, LiveJob, ReadyQueue, wait_reason
from ganeti.qlang import job_filters
from ganeti.qlang.job_filters import JobFilter

# -- filters at work -------------------------------------------------------------------


def has_begun(job: Job) -> bool:
    """Has a job passed the gate?"""
    return bool(job.ops) and job.ops[0].status is not JobStatus.QUEUED


class Admission:
    """Rules, and who has begun under a limit; ``wake`` gets jobs that must be asked for again."""

    def __init__(self, rules: Iterable[JobFilter], wake: Callable[[LiveJob], None]) -> None:
        self._wake = wake
        self._rules = sorted(rules, key=lambda rule: rule.order)
        self._inside: dict[str, set[int]] = {}  # name of a limit -> who has a place
        self._places: dict[int, list[str]] = {}  # and the other way round
        self._lines: dict[str, ReadyQueue] = {}  # name of a limit -> who is held

    @property
    def rules(self) -> Sequence[JobFilter]:
        """In their order."""
        return self._rules

    def rejects(self, job: Job) -> bool:
        """Must this job be canceled?"""
        rule = self._applying(job)
        return rule is not None and rule.action == job_filters.REJECT and not has_begun(job)

    def admit(self, entry: LiveJob) -> bool:
        """May a job begin? If so it has its places, else it is held."""
        entry.held_by = None
        job = entry.job
        if has_begun(job):
            return True
        rule = self._applying(job)
        if rule is not None and rule.action == job_filters.PAUSE:
            entry.held_by = rule.uuid
            return False
        self._leave(job)  # it was admitted once, and did not begin
        limits = self._limits(job, rule)
        full = next((name for name in limits if self._is_full(name, limits[name])), None)
        if full is None:
            self._enter(job, limits)
            return True
        entry.held_by = full
        self._lines.setdefault(full, ReadyQueue(JobPhase.PARKED)).push(entry)
        self._wake_others(limits)
        return False

    def moved(self, entry: LiveJob) -> None:
        """The priority of a job changed."""
        line = self._lines.get(entry.held_by or "")
        if line is not None:
            line.push(entry)

    def ended(self, job: Job) -> None:
        """A job is over: its places are free."""
        self._leave(job)
        if self._lines:
            self._wake_others(self._limits(job, self._applying(job)))

    def replace(self, rules: Iterable[JobFilter], live: Iterable[LiveJob]) -> None:
        """Have other rules; who of the live jobs has begun is counted anew, none is held."""
        self._rules = sorted(rules, key=lambda rule: rule.order)
        self._inside.clear()
        self._places.clear()
        self._lines.clear()
        for entry in live:
            entry.held_by = None
            if has_begun(entry.job):
                self._enter(entry.job, self._limits(entry.job, self._applying(entry.job)))

    def why(self, entry: LiveJob) -> list[dict[str, Any]]:
        """Why a job is held, in the words of ``waits``."""
        name = entry.held_by
        if name is None or not entry.is_in(JobPhase.PARKED):
            return []
        kind = "limit" if name.startswith(job_filters.RATE_WORD) else "filter"
        return [wait_reason(kind, name, sorted(self._inside.get(name, ())))]

    def _applying(self, job: Job) -> JobFilter | None:
        if not self._rules:
            return None
        return job_filters.applying(self._rules, job.id, [op.view for op in job.ops])

    def _limits(self, job: Job, rule: JobFilter | None) -> dict[str, int]:
        limits = job_filters.own_limits([op.view for op in job.ops])
        if rule is not None and rule.limit is not None:
            limits[rule.uuid] = rule.limit
        return limits

    def _is_full(self, name: str, limit: int) -> bool:
        return len(self._inside.get(name, ())) >= limit

    def _enter(self, job: Job, names: Iterable[str]) -> None:
        for name in names:
            self._inside.setdefault(name, set()).add(job.id)
            self._places.setdefault(job.id, []).append(name)

    def _leave(self, job: Job) -> None:
        for name in self._places.pop(job.id, ()):
            self._inside[name].discard(job.id)
            if not self._inside[name]:
                del self._inside[name]

    def _wake_others(self, limits: dict[str, int]) -> None:
        """In each of these limits that has a free place: the next in its line."""
        for name, limit in limits.items():
            line = self._lines.get(name)
            if line is None or self._is_full(name, limit):
                continue
            entry = line.pop()
            while entry is not None and entry.held_by != name:
                entry = line.pop()  # was woken, and is held by another now
            if entry is None:
                del self._lines[name]
            else:
                entry.held_by = None
                self._wake(entry)


# -- filters as they are stored --------------------------------------------------------


_SETTING = "filters"


def load_filters(connection: sqlite3.Connection) -> list[JobFilter]:
    """All rules; what cannot be read is left out, and the log says so."""
    found = []
    for item in rows.value(connection, _SETTING, []):
        try:
            rule = JobFilter(**item)
            rule.matches(0, [])
            found.append(rule)
        except (TypeError, ValueError, KeyError, errors.Error) as err:
            logging.error("A rule of the job queue cannot be read, and holds no more: %s", err)
    return found


def put_filter(
    connection: sqlite3.Connection,
    uuid: str,
    priority: int,
    predicates: Sequence[list[Any]],
    action: str | list[Any],
    reason_trail: Sequence[list[Any]],
) -> list[JobFilter]:
    """Store a rule in the place of the one with this uuid, if there is one; all rules then."""
    rule = JobFilter(
        uuid, rows.last_id(connection), priority, list(predicates), action, list(reason_trail)
    )
    return _store_filters(connection, [*_other_filters(connection, uuid), rule])


def remove_filter(connection: sqlite3.Connection, uuid: str) -> list[JobFilter]:
    """Remove a rule; the others. ``GenericError`` if there is none (as luxid 3.0)."""
    others = _other_filters(connection, uuid)
    if len(others) == len(load_filters(connection)):
        raise errors.GenericError(f"Filter rule with UUID {uuid} does not exist")
    return _store_filters(connection, others)


def _other_filters(connection: sqlite3.Connection, uuid: str) -> list[JobFilter]:
    return [rule for rule in load_filters(connection) if rule.uuid != uuid]


def _store_filters(connection: sqlite3.Connection, found: list[JobFilter]) -> list[JobFilter]:
    rows.set_value(connection, _SETTING, [dataclasses.asdict(rule) for rule in found])
    return found
