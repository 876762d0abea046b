"""A job: opcodes in a row, their statuses and logs; and the clocks by which jobs are timed.

The status of an opcode follows the arrows (``MOVES``); that of a job follows from its opcodes
(``status_of``)::

    queued -> waiting -> running -> success | error
       |         |          |
       |         |          +-> canceling -> canceled | success | error
       +---------+--> canceled | error

Changes that must survive a crash are made on a copy of the job (``copy_for_update``), which is
stored; only then does the job itself get them (``publish``). So no client sees a change that a
crash could take back.

Three clocks time jobs:

``wall``             shown to people: when a job was received, started and ended
``monotonic``        how long a job has waited under this master
``service_seconds``  how long this queue has been served, summed over all its masters

The wall clock may jump, by a day or to 1970, so nothing is decided by it. A job's age (for
archiving, for the lifetime of its idempotency key) is a difference of ``service_seconds``, which
continues where the previous master stored it. Time without a master does not count, so a job may
be kept longer than asked, never shorter.
"""

from __future__ import annotations

import copy
import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ganeti import errors
from ganeti.constants import JOB_FINAL, PRIORITY_DEFAULT, JobStatus
from ganeti.luxi import RequestContext
from ganeti.opcodes import OpCode
from ganeti.serializer import Json, JsonObject
from ganeti.utils.redaction import redact

logger = logging.getLogger(__name__)

_S = JobStatus

#: The statuses that may follow each status of an opcode; none follows a final one.
MOVES: dict[JobStatus, frozenset[JobStatus]] = {
    _S.QUEUED: frozenset({_S.WAITING, _S.CANCELED, _S.ERROR}),
    # Back to queued: the locks it needs changed while it waited, or the master was restarted.
    _S.WAITING: frozenset({_S.QUEUED, _S.RUNNING, _S.CANCELED, _S.ERROR}),
    _S.RUNNING: frozenset({_S.WAITING, _S.CANCELING, _S.CANCELED, _S.SUCCESS, _S.ERROR}),
    # Its work may end before it notices the request to stop.
    _S.CANCELING: frozenset({_S.WAITING, _S.CANCELED, _S.SUCCESS, _S.ERROR}),
    _S.CANCELED: frozenset(),
    _S.SUCCESS: frozenset(),
    _S.ERROR: frozenset(),
}

#: Seconds and microseconds since the epoch, as on the wire.
Timestamp = tuple[int, int]

#: Maximum number of characters of a job in one line of the log; a summary may have millions.
SHOWN = 200
#: Maximum number of characters of an error message in one line of the log.
REASON_SHOWN = 500

#: Prefix of a reason that limits its own job.
RATE_WORD = "rate-limit:"
_RATE = re.compile(RATE_WORD + "([0-9]{1,9}):")

#: Results of opcodes that never began (clients show Ganeti's words).
CANCELED_RESULT = "Job canceled by request"
PRECEDING_FAILED = ["OpExecError", ["Preceding opcode failed"]]


def cut(text: str, limit: int = SHOWN) -> str:
    """Return a text shortened to ``limit`` characters, for a line of the log."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


# -- clocks ------------------------------------------------------------------------------


def timestamp(seconds: float) -> Timestamp:
    """Return seconds since the epoch as a pair."""
    return from_us(int(seconds * 1_000_000))


def from_us(micros: int) -> Timestamp:
    """Return microseconds since the epoch as a pair."""
    return divmod(micros, 1_000_000)


def to_us(stamp: Timestamp | None) -> int | None:
    """Return a pair as microseconds since the epoch."""
    return None if stamp is None else stamp[0] * 1_000_000 + stamp[1]


def since_boot() -> float:
    """Return seconds since boot. They never jump, and include the time the machine slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Moment(NamedTuple):
    """One point in time on the clocks whose values are stored."""

    seconds: float  # since the epoch
    service_seconds: int = 0

    @property
    def stamp(self) -> Timestamp:
        """The time on the wall clock, as on the wire."""
        return timestamp(self.seconds)


class Clocks:
    """The three clocks; ``base`` is the value of ``service_seconds`` at this master's start."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = since_boot,
        base: int = 0,
    ) -> None:
        self.wall = wall
        self.monotonic = monotonic
        self._base = base
        self._begun = monotonic()

    @property
    def service_seconds(self) -> int:
        """Seconds for which all masters of this queue have served it."""
        return self._base + max(0, int(self.monotonic() - self._begun))

    def now(self) -> Moment:
        """Return the present moment."""
        return Moment(self.wall(), self.service_seconds)


# -- opcodes and jobs ----------------------------------------------------------------------


class LogEntry(NamedTuple):
    """One line of a job's log, in the order of the members on the wire."""

    serial: int  # counts the lines of the whole job
    time: Timestamp
    kind: str
    text: Json


@dataclass
class JobOp:
    """One opcode of a job. ``op`` is None once it cannot run any more, or cannot be read."""

    view: JsonObject
    summary: str
    op: OpCode | None = None
    status: JobStatus = _S.QUEUED
    priority: int = PRIORITY_DEFAULT
    result: object = None  # a JSON value
    start_ts: Timestamp | None = None  # when it left the queue
    exec_ts: Timestamp | None = None  # when it held its locks
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
        """Its log. Logs of stored jobs are read from the database on first access."""
        if self.lines is None:
            assert self.load_lines is not None
            self.lines = self.load_lines()
        return self.lines

    def move(self, status: JobStatus) -> None:
        """Change the status; raise ``ProgrammerError`` if ``MOVES`` does not allow it."""
        if status not in MOVES[self.status]:
            raise errors.ProgrammerError(f"an opcode cannot go from {self.status} to {status}")
        self.status = status

    def show(self, effective: OpCode | None) -> None:
        """Show the opcode with what its work found out, such as full names."""
        if effective is not None:
            self.view = effective.to_view()
            self.summary = effective.summary()


@dataclass
class Job:
    """A job; a live one belongs to ``LiveJobs`` and changes only under their mutex."""

    id: int
    ops: list[JobOp]
    received_ts: Timestamp
    start_ts: Timestamp | None = None
    end_ts: Timestamp | None = None
    archived: bool = False
    context: RequestContext = RequestContext()
    log_serial: int = 0
    #: When it was received and when it ended, in seconds of service.
    received_served: int = 0
    end_served: int | None = None
    #: Whether this only represents a job whose rows in the database are damaged.
    damaged: bool = False

    @property
    def status(self) -> JobStatus:
        """The status, which follows from those of the opcodes."""
        return status_of([op.status for op in self.ops])

    @property
    def final(self) -> bool:
        """True once the job has ended."""
        return self.status in JOB_FINAL

    @property
    def priority(self) -> int:
        """The most urgent priority of its unfinished opcodes."""
        return min(
            (op.priority for op in self.ops if op.status not in JOB_FINAL), default=PRIORITY_DEFAULT
        )

    @property
    def summary(self) -> list[str]:
        """The summaries of its opcodes."""
        return [op.summary for op in self.ops]

    @property
    def title(self) -> str:
        """Number and user as at the start of a log line: ``Job 7 of admin (request r)``."""
        return f"Job {self.id}{cut(self.context.who)}"

    @property
    def outline(self) -> str:
        """The opcodes as in a log line, cut if there are many."""
        return cut(", ".join(cut(op.summary) for op in self.ops[:SHOWN]))

    @property
    def current(self) -> int | None:
        """Index of the first opcode that has not ended."""
        for index, op in enumerate(self.ops):
            if op.status not in JOB_FINAL:
                return index
        return None

    def context_for_children(self) -> RequestContext:
        """Return the context of jobs that this one submits: its user, but not its key."""
        return RequestContext(self.context.user, self.context.request_id)

    def own_limits(self) -> dict[str, int]:
        """Return the limits that its reason trails set: reason -> how many jobs may have begun.

        A reason ``rate-limit:N:WORDS`` lets N jobs with this very reason begin.
        """
        found: dict[str, int] = {}
        for op in self.ops:
            trail = op.view.get("reason")
            for entry in trail if isinstance(trail, list) else ():
                reason = entry[1] if isinstance(entry, (list, tuple)) else None
                match = _RATE.match(reason) if isinstance(reason, str) else None
                if match is not None and int(match[1]) > 0:
                    found[match.string] = int(match[1])
        return found

    # -- changes ---------------------------------------------------------------------------

    def copy_for_update(self, first: int) -> Job:
        """Return a copy of the job whose opcodes from index ``first`` on may be changed."""
        draft = copy.copy(self)
        draft.ops = self.ops[:first] + [copy.copy(op) for op in self.ops[first:]]
        return draft

    def publish(self, draft: Job, first: int) -> None:
        """Take over a copy that was made with ``copy_for_update`` and is stored."""
        self.start_ts, self.end_ts, self.end_served = draft.start_ts, draft.end_ts, draft.end_served
        for shown, op in zip(self.ops[first:], draft.ops[first:]):
            op.priority = shown.priority  # it may have changed while the copy was written
        self.ops[first:] = draft.ops[first:]

    def succeed(self, index: int, result: object, now: Moment) -> None:
        """End an opcode with success, and the job with its last opcode."""
        op = self.ops[index]
        op.move(_S.SUCCESS)
        op.result, op.end_ts = result, now.stamp
        if self.final:
            self.end_ts, self.end_served = now.stamp, now.service_seconds

    def fail(self, index: int, error: BaseException, now: Moment) -> None:
        """End the job because an opcode failed, or was stopped (``JobCanceled``)."""
        if isinstance(error, errors.JobCanceled):
            self.end(index, _S.CANCELED, CANCELED_RESULT, now)
        else:
            self.end(index, _S.ERROR, errors.encode(error), now)

    def end(self, index: int, status: JobStatus, result: object, now: Moment) -> None:
        """End the job in the opcode at ``index``; those after it never begin."""
        op = self.ops[index]
        op.move(status)
        op.result = result
        op.end_ts = self.end_ts = now.stamp
        self.end_served = now.service_seconds
        for later in self.ops[index + 1 :]:
            if later.status not in JOB_FINAL:
                later.move(status)
                later.result = PRECEDING_FAILED if status is _S.ERROR else CANCELED_RESULT
                later.end_ts = now.stamp

    def give_up(self, words: str, now: Moment) -> None:
        """End a job that cannot continue in error, with these words, whatever its status."""
        index = self.current
        if index is None:  # every opcode ended; only the job's own row says otherwise
            return
        for op in self.ops:
            if op.status not in JOB_FINAL:
                op.status = _S.QUEUED  # from here every end is legal
        self.fail(index, errors.OpExecError(words), now)

    def log_outcome(self) -> None:
        """Log how the job ended and, if it failed, why. Call this once the end is durable."""
        if self.final:
            logger.info("%s ended: %s (%s)%s", self.title, self.status, self.outline, _reason(self))


def status_of(statuses: Sequence[JobStatus]) -> JobStatus:
    """Return the status of a job from those of its opcodes (Ganeti's rule, LUXI of 2.0 to 3.x)."""
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


def _reason(job: Job) -> str:
    """Return the error of the opcode that failed, behind a colon; nothing if none did.

    Secret parameters in it are hidden, and a long text is cut.
    """
    failed = next((index for index, op in enumerate(job.ops) if op.status is _S.ERROR), None)
    if failed is None:
        return ""
    op = job.ops[failed]
    if errors.is_encoded(op.result):
        text = f"{op.result[0]}: {errors.decode(op.result)}"
    else:
        text = str(op.result)
    text = redact(text, _secrets(op.op))
    place = f" opcode {failed + 1} of {len(job.ops)}," if len(job.ops) > 1 else ""
    return f":{place} {cut(text, REASON_SHOWN)}"


def _secrets(op: OpCode | None) -> set[str]:
    """Return the texts in the secret fields of an opcode."""
    found: set[str] = set()
    ahead = [getattr(op, name) for name in op.SECRET] if op is not None else []
    while ahead:
        value = ahead.pop()
        if isinstance(value, dict):
            ahead += value.values()
        elif isinstance(value, (list, tuple)):
            ahead += value
        elif value is not None:
            found.add(str(value))
    return found
