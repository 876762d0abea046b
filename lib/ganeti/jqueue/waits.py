"""Why a job waits, in words that a program can read: ``{kind, name, mode, jobs}``.

kind    name                               mode                 jobs
lock    of the lock                        shared or exclusive  who is in the way
job     id of the job that must end first  null                 the same
limit   max_running_jobs                   null                 who fills it
limit   rate-limit:N:... (of its reasons)   null                who takes its N places
filter  uuid of a rule of the queue        null                 who takes its places, if it has
limit   disk: it takes nothing             null                 none
drain   shutdown: the master is stopping   null                 none
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from ganeti.jqueue.task import Entry, Phase

Wait = dict[str, Any]

#: Phases of a job that would begin, or end, if nothing kept it.
_PENDING = (Phase.READY, Phase.RUNNABLE, Phase.ENDING)


def wait(kind: str, name: str, jobs: Sequence[int] = (), mode: str | None = None) -> Wait:
    """One reason to wait."""
    return {"kind": kind, "name": name, "mode": mode, "jobs": list(jobs)}


def of(
    entry: Entry, live: Collection[int], *, stopping: bool, refusing: bool, full: Sequence[int]
) -> list[Wait]:
    """What keeps a job, but for locks; ``full``: who takes all the room there is."""
    return _on_jobs(entry, live) or _on_turn(entry, stopping, refusing, full)


def _on_jobs(entry: Entry, live: Collection[int]) -> list[Wait]:
    """The jobs whose end a parked job waits for."""
    op = entry.op.op
    if entry.depends_on is None or op is None:
        return []
    numbers = [entry.depends_on, *(int(number) for number, _ in op.depends or ())]
    return [
        wait("job", str(number), [number])
        for number in dict.fromkeys(numbers)
        if number in live or number == entry.depends_on
    ]


def _on_turn(entry: Entry, stopping: bool, refusing: bool, full: Sequence[int]) -> list[Wait]:
    """What keeps a job that could begin."""
    if entry.phase not in _PENDING:
        return []
    if stopping:
        return [wait("drain", "shutdown")]
    if refusing:
        return [wait("limit", "disk")]
    if full and entry.phase is not Phase.ENDING:
        return [wait("limit", "max_running_jobs", full)]
    return []
