"""What an opcode's execution sees of its job."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ganeti import errors
from ganeti.constants import LOG_MESSAGE
from ganeti.jqueue.job import CANCELED_RESULT


class JobRun:
    """Handed to ``Task.execute``; ``begin`` and ``log`` are the runner's."""

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
        """Was the job told to stop?"""
        return self._cancel.is_set()

    def stop_if_cancelled(self) -> None:
        """Raise ``JobCanceled`` if the job was told to stop."""
        if self.cancelled():
            raise errors.JobCanceled(CANCELED_RESULT)

    def pause(self, seconds: float) -> None:
        """Let time pass; returns early when the job is told to stop."""
        self._cancel.wait(seconds)
