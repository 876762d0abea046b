"""What the scheduler and the work say to each other: what work sees of its job, and its outcome."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ganeti import errors
from ganeti.constants import LOG_MESSAGE
from ganeti.jqueue.job import CANCELED_RESULT
from ganeti.opcodes import OpCode

# -- what the work sees ----------------------------------------------------------------


class JobRun:
    """Handed to ``Task.execute``; ``begin`` and ``log`` are the scheduler's."""

    def __init__(
        self,
        job_id: int,
        cancel: threading.Event,
        *,
        begin: Callable[[], None],
        log: Callable[[str, str], None],
    ) -> None:
        self.job_id = job_id
        self._cancel = cancel
        self._begin = begin
        self._log = log

    def begin(self) -> None:
        """Make durable that the work begins now; ``JobCanceled`` if it must not."""
        self.stop_if_cancelled()
        self._begin()

    def log(self, text: str, kind: str = LOG_MESSAGE) -> None:
        """Add a line to the job's log."""
        self._log(text, kind)

    def cancelled(self) -> bool:
        """Return whether the job was told to stop."""
        return self._cancel.is_set()

    def stop_if_cancelled(self) -> None:
        """Raise ``JobCanceled`` if the job was told to stop."""
        if self.cancelled():
            raise errors.JobCanceled(CANCELED_RESULT)

    def pause(self, seconds: float) -> None:
        """Let time pass; returns early when the job is told to stop."""
        self._cancel.wait(seconds)


# -- what comes of it ------------------------------------------------------------------


@dataclass(frozen=True)
class Done:
    """The work succeeded. ``change`` is stored together with the result.

    ``undo`` is called if that commit refuses the change; ``after_commit`` after it.
    ``jobs`` are accepted in the same commit, their ids become the result's
    ``jobs``.
    """

    value: Any = None
    op: OpCode | None = None
    change: Callable[[sqlite3.Connection], None] | None = None
    after_commit: Callable[[], None] = lambda: None
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
        """Return what ``acquire`` waits for, as reasons (see ``live``)."""

    def set_rank(self, rank: float) -> None:
        """Move within the queues for locks."""

    def execute(self, run: JobRun) -> Outcome:
        """Do it, on a worker's thread; must not raise."""


class Executor(Protocol):
    """What carries opcodes out."""

    def begin(self, op: OpCode, job_id: int, rank: float) -> Task:
        """Return a task for an opcode, or raise what is wrong with it. See ``live`` for ranks."""
