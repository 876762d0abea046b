"""What a job is: opcodes in a row, their statuses, their logs.

    queued -> waiting -> running -> success | error
       |         |          |
       |         |          +-> canceling -> canceled | success | error
       +---------+--> canceled | error

A job has no status of its own: it follows from its opcodes (``status_of``).
Timestamps are pairs ``(seconds, microseconds)`` as the wire has them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ganeti import errors
from ganeti.constants import JOB_FINAL, PRIORITY_DEFAULT, JobStatus
from ganeti.luxi import RequestContext
from ganeti.opcodes import OpCode

_S = JobStatus

#: Where an opcode may go from where it is. Final ones go nowhere.
MOVES: dict[JobStatus, frozenset[JobStatus]] = {
    _S.QUEUED: frozenset({_S.WAITING, _S.CANCELED, _S.ERROR}),
    # Back to queued: its locks changed under it, or the master was restarted.
    _S.WAITING: frozenset({_S.QUEUED, _S.RUNNING, _S.CANCELED, _S.ERROR}),
    _S.RUNNING: frozenset({_S.WAITING, _S.CANCELING, _S.CANCELED, _S.SUCCESS, _S.ERROR}),
    # It may end before it hears that it should stop.
    _S.CANCELING: frozenset({_S.WAITING, _S.CANCELED, _S.SUCCESS, _S.ERROR}),
    _S.CANCELED: frozenset(),
    _S.SUCCESS: frozenset(),
    _S.ERROR: frozenset(),
}

Timestamp = tuple[int, int]
#: ``[serial, (seconds, microseconds), kind, text]``
LogEntry = list[Any]

#: Characters of one job that a line of the log shows at most; a summary may have millions.
SHOWN = 200

#: Results of opcodes that never had their turn (the words are Ganeti's: clients show them).
CANCELED_RESULT = "Job canceled by request"
PRECEDING_FAILED = ["OpExecError", ["Preceding opcode failed"]]


def cut(text: str, limit: int = SHOWN) -> str:
    """Return a text as a line of the log shows it: ``limit`` characters at most."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def timestamp(seconds: float) -> Timestamp:
    """Return seconds since the epoch as a pair."""
    return from_us(int(seconds * 1_000_000))


def from_us(micros: int) -> Timestamp:
    """Return microseconds since the epoch as a pair."""
    return divmod(micros, 1_000_000)


def to_us(stamp: Timestamp | None) -> int | None:
    """Return a pair as microseconds since the epoch."""
    return None if stamp is None else stamp[0] * 1_000_000 + stamp[1]


@dataclass
class JobOp:
    """One opcode of a job. ``op`` is there as long as it may still run, and can be read."""

    view: dict[str, Any]
    summary: str
    op: OpCode | None = None
    status: JobStatus = _S.QUEUED
    priority: int = PRIORITY_DEFAULT
    result: Any = None
    start_ts: Timestamp | None = None  # its turn came
    exec_ts: Timestamp | None = None  # its locks were held
    end_ts: Timestamp | None = None
    lines: list[LogEntry] | None = field(default_factory=list)
    load_lines: Callable[[], list[LogEntry]] | None = None
    #: Lines that the disk refused; they are stored with the next change of the opcode.
    unsaved: list[LogEntry] = field(default_factory=list)

    @classmethod
    def of(cls, op: OpCode) -> JobOp:
        """Return a queued opcode of a new job."""
        return cls(
            view=op.to_view(), summary=op.summary(), op=op, priority=op.priority or PRIORITY_DEFAULT
        )

    @property
    def log(self) -> list[LogEntry]:
        """Its log entries; read from the database when a stored job is asked for them."""
        if self.lines is None:
            assert self.load_lines is not None
            self.lines = self.load_lines()
        return self.lines

    def move(self, status: JobStatus) -> None:
        """Change the status; an illegal move is our own mistake."""
        if status not in MOVES[self.status]:
            raise errors.ProgrammerError(f"an opcode cannot go from {self.status} to {status}")
        self.status = status


@dataclass
class Job:
    """A job; while it is live it belongs to ``LiveJobs``, and is changed under their mutex."""

    id: int
    ops: list[JobOp]
    received_ts: Timestamp
    start_ts: Timestamp | None = None
    end_ts: Timestamp | None = None
    archived: bool = False
    context: RequestContext = RequestContext()
    log_serial: int = 0
    #: When it was received, and when it ended, by ``Clocks.service_seconds``.
    received_served: int = 0
    end_served: int | None = None
    #: Its row in the database is damaged; this replaces it.
    damaged: bool = False

    @property
    def status(self) -> JobStatus:
        """The status, which follows from those of the opcodes."""
        return status_of([op.status for op in self.ops])

    @property
    def final(self) -> bool:
        """Whether the job has ended."""
        return self.status in JOB_FINAL

    @property
    def priority(self) -> int:
        """The most urgent priority of its unfinished opcodes."""
        return min(
            (op.priority for op in self.ops if op.status not in JOB_FINAL), default=PRIORITY_DEFAULT
        )

    def context_for_children(self) -> RequestContext:
        """Return the context of jobs that this one submits: its user, but not its key."""
        return RequestContext(self.context.user, self.context.request_id)

    @property
    def summary(self) -> list[str]:
        """The summaries of its opcodes."""
        return [op.summary for op in self.ops]

    @property
    def title(self) -> str:
        """Number and user, as a line of the log begins: ``Job 7 of admin (request r)``."""
        return f"Job {self.id}{cut(self.context.who)}"

    @property
    def outline(self) -> str:
        """Its opcodes, as a line of the log shows them: the beginning of a long list."""
        return cut(", ".join(cut(op.summary) for op in self.ops[:SHOWN]))

    @property
    def current(self) -> int | None:
        """Index of the first opcode that has not ended."""
        for index, op in enumerate(self.ops):
            if op.status not in JOB_FINAL:
                return index
        return None


def status_of(statuses: Sequence[JobStatus]) -> JobStatus:
    """A job's status from those of its opcodes (Ganeti's rule, LUXI of 2.0 to 3.x)."""
    remembered = None
    finished = True
    for status in statuses:
        if status in (_S.ERROR, _S.CANCELING, _S.CANCELED):
            return status
        if status in (_S.WAITING, _S.RUNNING):
            remembered = status
        if status is not _S.SUCCESS:
            finished = False
    if finished:
        return _S.SUCCESS
    return remembered or _S.QUEUED


def end_rest(job: Job, first: int, status: JobStatus, now: Timestamp) -> None:
    """End the opcodes from ``first`` on, which never had their turn."""
    for op in job.ops[first:]:
        if op.status not in JOB_FINAL:
            op.move(status)
            op.result = PRECEDING_FAILED if status is _S.ERROR else CANCELED_RESULT
            op.end_ts = now
