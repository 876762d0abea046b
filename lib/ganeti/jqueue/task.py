"""What the runner and the work say to each other, and where a live job is."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Protocol

from ganeti.jqueue.job import Job, JobOp
from ganeti.jqueue.run import JobRun
from ganeti.opcodes import OpCode


@dataclass(frozen=True)
class Done:
    """The work succeeded. ``change`` is stored together with the result.

    ``undo`` is called if that commit refuses the change; ``settle`` after it.
    ``jobs`` are accepted in the same commit, their ids become the result's
    ``jobs``.
    """

    value: Any = None
    op: OpCode | None = None
    change: Callable[[sqlite3.Connection], None] | None = None
    settle: Callable[[], None] = lambda: None
    undo: Callable[[], None] = lambda: None
    jobs: Sequence[Sequence[OpCode]] = ()


@dataclass(frozen=True)
class Failed:
    """The work failed, or was stopped (``JobCanceled``); what it did is undone."""

    error: BaseException
    op: OpCode | None = None


@dataclass(frozen=True)
class Again:
    """What the work needs has changed while it waited: begin anew."""


Outcome = Done | Failed | Again


class Task(Protocol):
    """One opcode on its way, as the executor sees it."""

    #: Can running work be stopped at a safe point?
    cancellable: bool
    #: Would running it again after a crash do no harm?
    rerun_safe: bool

    def acquire(self, ready: Callable[[], None]) -> bool:
        """Ask for what the work needs; True: has it. False: ``ready`` is called later.

        After ``release`` it asks for nothing any more, and ``ready`` is not called.
        """

    def release(self) -> None:
        """Give everything back, also what is still waited for."""

    def waiting_for(self) -> list[dict[str, Any]]:
        """What ``acquire`` waits for, for people."""

    def set_rank(self, rank: float) -> None:
        """Move within the lines."""

    def execute(self, run: JobRun) -> Outcome:
        """Do it, on a worker's thread; must not raise."""


class Executor(Protocol):
    """What carries opcodes out."""

    def begin(self, op: OpCode, job_id: int, rank: float) -> Task:
        """A task for an opcode; raises what is wrong with it. See ``line`` for ranks."""


class Phase(Enum):
    """Where a live job is; see the theory."""

    READY = auto()
    PARKED = auto()
    RUNNABLE = auto()
    RUNNING = auto()
    ENDING = auto()


@dataclass
class Entry:
    """A live job with its phase."""

    job: Job
    #: When it was accepted, or taken up by this master, on its monotonic clock.
    since: float = 0.0
    phase: Phase = Phase.READY
    task: Task | None = None
    depends_on: int | None = None
    #: The rule, or limit, that does not let it begin (``gate``).
    held_by: str | None = None
    cancel: threading.Event = field(default_factory=threading.Event)
    #: Has the log said that its work began, and that its end waits for the disk?
    told_start: bool = False
    told_refusal: bool = False

    def is_in(self, phase: Phase) -> bool:
        """Is the job in this phase now? Others move it, whenever the mutex is free."""
        return self.phase is phase

    @property
    def index(self) -> int:
        """Of the opcode whose turn it is."""
        index = self.job.current
        assert index is not None
        return index

    @property
    def op(self) -> JobOp:
        """Whose turn it is."""
        return self.job.ops[self.index]
