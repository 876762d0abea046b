"""Waiting until jobs have ended, without a thread that waits.

A verb that has to wait answers ``Later``: what resolves, and how to go on then. Our own
master and a real one are asked alike, with a ``WaitForJobChange`` for each job.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future, InvalidStateError
from typing import Any

from ganeti import constants, errors, ht, luxi
from ganeti.http import errors as http_errors
from ganeti.rapi.baserlib import Later, ResourceRequest
from ganeti.rapi.reading import read

#: No log entry has so high a number: the log does not end such a wait.
NO_LOG = 2**53
#: Seconds of one call; both masters end it earlier than their clients give up.
LONGEST_CALL = 60.0
#: A connection that breaks is replaced; the master may have been restarted.
RETRIES = 3


def parse_change(answer: Any) -> tuple[list[Any], list[Any]]:
    """A job's values and log entries; raises ``errors.RequestError``."""
    if (
        isinstance(answer, list)
        and len(answer) == 2
        and all(isinstance(part, list) for part in answer)
    ):
        return answer[0], answer[1]
    raise errors.RequestError(f"the master answered {ht.shorten(answer)} in the place of a change")


class JobWait:
    """Waits for the end of ``enough`` of these jobs, or for log entries beyond ``serial``.

    Gives up after ``timeout`` seconds, and when the client hangs up. ``then(wait)`` makes the
    answer. Not for two threads at a time.
    """

    def __init__(
        self,
        request: ResourceRequest,
        ids: Iterable[int],
        fields: Sequence[str],
        then: Callable[[JobWait], Any],
        *,
        enough: int = 1,
        serial: int | None = None,
        timeout: float = float("inf"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ended: set[int] = set()
        self.entries: list[Any] = []
        self._request = request
        self._ids = list(ids)
        self._fields = ["status", *fields]
        self._then = then
        self._enough = enough
        self._serial = NO_LOG if serial is None else serial
        self._clock = clock
        self._deadline = clock() + timeout
        self._values: dict[int, list[Any]] = {}
        self._calls: dict[Future[bytes | None], int] = {}
        self._retries = RETRIES
        self._finished = False

    def begin(self) -> Later:
        """The first answer comes at once: how things stand."""
        return self._wait_on(self._ids)

    def status(self, number: int) -> Any:
        """A job's status, as far as known."""
        return self._values[number][0]

    def values(self, number: int) -> list[Any]:
        """A job's fields, as far as known."""
        return self._values[number][1:]

    def _wait_on(self, ids: Collection[int]) -> Later:
        for number in ids:
            left = max(0.0, min(self._deadline - self._clock(), LONGEST_CALL))
            future = self._request.master.wait(
                luxi.WaitForJobChange(
                    number, self._fields, self._values.get(number), self._serial, left
                ),
                self._is_abandoned,
            )
            self._calls[future] = number
        return Later(first_of(self._calls), self._process_answers)

    def _is_abandoned(self) -> bool:
        """Has any call that is still on its way no purpose left?"""
        return self._finished or self._request.gone()

    def _process_answers(self) -> Any:
        try:
            again = self._collect_answers()
        except BaseException:
            self._finished = True
            raise
        known = len(self._values) == len(self._ids)
        if known and self._has_reason_to_answer():
            self._finished = True
        if not self._finished:
            return self._wait_on(again)
        if not known:
            raise http_errors.ServiceUnavailable("The API is stopping", retry_after=1)
        return self._then(self)

    def _has_reason_to_answer(self) -> bool:
        """Have enough jobs ended, was anything logged, or is the time over?"""
        enough = len(self.ended) >= self._enough
        return enough or bool(self.entries) or self._clock() >= self._deadline

    def _collect_answers(self) -> list[int]:
        """Read the answers that are there; return the jobs to ask about again."""
        again = []
        for future in [call for call in self._calls if call.done()]:
            number = self._calls.pop(future)
            try:
                data = future.result()
                if data is None:
                    self._finished = True
                    continue
                values, entries = parse_change(luxi.parse_answer(data))
                if len(values) != len(self._fields):
                    raise errors.RequestError(
                        f"the master answered {ht.shorten(values)} "
                        f"in the place of {len(self._fields)} values"
                    )
            except errors.JobLost:
                values, entries = archived(self._request, number, self._fields), []
            except errors.ConnectionClosed:
                self._retries -= 1
                if self._retries < 0:
                    raise
                again.append(number)
                continue
            self._values[number] = values
            self.entries += entries
            if values[0] in constants.JOB_FINAL:
                self.ended.add(number)
            else:
                again.append(number)
        return again


def archived(request: ResourceRequest, number: int, fields: Sequence[str]) -> list[Any]:
    """The values of a job that the queue has put away; ``NotFound`` when there is none."""
    for row in read(request, "job", list(dict.fromkeys([*fields, "status"])), ["==", "id", number]):
        if row["status"] is not None:
            return [row[name] for name in fields]
    raise http_errors.NotFound(detail=f"there is no job {number}")


def first_of(futures: Iterable[Future[Any]]) -> Future[None]:
    """Resolved when one of these is."""
    first: Future[None] = Future()

    def resolve_first(_: Future[Any]) -> None:
        with contextlib.suppress(InvalidStateError):
            first.set_result(None)

    for future in list(futures):
        future.add_done_callback(resolve_first)
    return first
