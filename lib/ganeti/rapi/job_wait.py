"""Waiting until jobs have ended, without a thread that waits.

A verb that waits yields the future that it waits for (``baserlib.Steps``). Our own master and a
real one are asked alike, with a ``WaitForJobChange`` for each job.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, InvalidStateError
from typing import Any

from ganeti import constants, errors, ht, luxi
from ganeti.http import errors as http_errors
from ganeti.rapi.baserlib import ResourceRequest, Steps
from ganeti.rapi.reading import read
from ganeti.serializer import Json

#: A number that no log entry reaches, so that entries do not end the wait.
NO_LOG = 2**53
#: Seconds of one call. Both masters end a call before their clients give it up.
LONGEST_CALL = 60.0
#: How many broken connections are replaced; the master may have been restarted.
RETRIES = 3


def parse_change(answer: object) -> tuple[list[Json], list[Json]]:
    """Return a job's values and log entries; raises ``errors.RequestError``."""
    if (
        isinstance(answer, list)
        and len(answer) == 2
        and all(isinstance(part, list) for part in answer)
    ):
        return answer[0], answer[1]
    raise errors.RequestError(f"the master answered {ht.shorten(answer)} instead of a change")


class JobWait:
    """A wait for the end of ``enough`` of these jobs, or for log entries beyond ``serial``.

    It ends after ``timeout`` seconds at the latest, and when the client hangs up. ``steps`` is to
    be run once; afterwards ``status``, ``values``, ``ended`` and ``entries`` tell what is known.
    """

    def __init__(
        self,
        request: ResourceRequest,
        ids: Iterable[int],
        fields: Sequence[str],
        *,
        enough: int = 1,
        serial: int | None = None,
        timeout: float = float("inf"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ended: set[int] = set()
        self.entries: list[Json] = []
        self._request = request
        self._ids = list(ids)
        self._fields = ["status", *fields]
        self._enough = enough
        self._serial = NO_LOG if serial is None else serial
        self._clock = clock
        self._deadline = clock() + timeout
        self._values: dict[int, list[Json]] = {}
        self._calls: dict[Future[bytes | None], int] = {}
        self._retries = RETRIES
        self._finished = False

    def status(self, number: int) -> Json:
        """Return a job's status, as far as known."""
        return self._values[number][0]

    def values(self, number: int) -> list[Json]:
        """Return the values of a job's fields, as far as known."""
        return self._values[number][1:]

    def steps(self) -> Steps[None]:
        """Yield futures until there is a reason to answer.

        Raises ``NotFound`` for an unknown job, ``ServiceUnavailable`` if the API stops before
        anything is known, and what the master answers.
        """
        try:
            asked = self._ids
            while not self._finished:
                for number in asked:
                    self._begin_call(number)
                yield first_of(self._calls)
                asked = self._collect_answers()
                if self._has_reason_to_answer():
                    return
            if not self._is_known():
                raise http_errors.ServiceUnavailable("The API is stopping", retry_after=1)
        finally:
            self._finished = True  # calls that are still on their way are abandoned

    def _begin_call(self, number: int) -> None:
        """Ask for a job's next change; the first answer comes at once, with its present state."""
        left = max(0.0, min(self._deadline - self._clock(), LONGEST_CALL))
        call = luxi.WaitForJobChange(
            number, self._fields, self._values.get(number), self._serial, left
        )
        self._calls[self._request.master.wait(call, self._is_abandoned)] = number

    def _is_abandoned(self) -> bool:
        """Return whether calls that are still on their way have no purpose left."""
        return self._finished or self._request.gone()

    def _is_known(self) -> bool:
        """Return whether every job's state is known."""
        return len(self._values) == len(self._ids)

    def _has_reason_to_answer(self) -> bool:
        """Return whether enough jobs have ended, anything was logged, or the time is over."""
        if not self._is_known():
            return False
        enough = len(self.ended) >= self._enough
        return enough or bool(self.entries) or self._clock() >= self._deadline

    def _collect_answers(self) -> list[int]:
        """Read the answers that have come; return the jobs to ask about again."""
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
                        f"instead of {len(self._fields)} values"
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


def archived(request: ResourceRequest, number: int, fields: Sequence[str]) -> list[Json]:
    """Return the values of an archived job; raises ``NotFound`` if there is no such job."""
    for row in read(request, "job", list(dict.fromkeys([*fields, "status"])), ["==", "id", number]):
        if row["status"] is not None:
            return [row[name] for name in fields]
    raise http_errors.NotFound(detail=f"there is no job {number}")


def first_of(futures: Iterable[Future[Any]]) -> Future[None]:
    """Return a future that is resolved as soon as one of these is."""
    first: Future[None] = Future()

    def resolve_first(_: Future[Any]) -> None:
        with contextlib.suppress(InvalidStateError):
            first.set_result(None)

    for future in list(futures):
        future.add_done_callback(resolve_first)
    return first
