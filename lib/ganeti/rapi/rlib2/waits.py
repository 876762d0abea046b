"""Waiting for jobs."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from ganeti import errors, ht, luxi
from ganeti.http import errors as http_errors
from ganeti.rapi.arguments import Fields, Integer, Words, check_fields, choice
from ganeti.rapi.baserlib import Later, Resource, verb
from ganeti.rapi.submit import body_object
from ganeti.rapi.waiting import Vigil, archived, parse_change

#: Seconds: as long as Ganeti's waits, for those who send its body; ours; and at most.
GANETI_TIMEOUT = 10
TIMEOUT = 60
MAX_TIMEOUT = 300
#: Each has a connection to the master.
MAX_JOBS = 50

FIELDS = (
    "id",
    "status",
    "priority",
    "archived",
    "ops",
    "opresult",
    "opstatus",
    "oplog",
    "opstart",
    "opexec",
    "opend",
    "oppriority",
    "summary",
    "received_ts",
    "start_ts",
    "end_ts",
)
_BODY = ("fields", "previous_job_info", "previous_log_serial")


def _bad(text: str) -> http_errors.BadRequest:
    return http_errors.BadRequest(f"Invalid body parameters: {text}")


class R_2_jobs_id_wait(Resource):
    """Waits for one job; no connection should be kept waiting by a loop of questions."""

    URI = "/2/jobs/{job_id}/wait"

    @verb(
        "jobs.wait",
        open=False,
        fields=Fields(FIELDS),
        serial=Integer(least=0),
        timeout=Integer(least=0, most=MAX_TIMEOUT),
    )
    def GET(self, fields: list[str] | None, serial: int | None, timeout: int | None) -> Any:
        """Answer when the job has ended, or after ``timeout`` seconds (60, at most 300).

        ``{"job_info": [...], "log_entries": [...]}``: ``job_info`` has the values of ``fields``
        (``status``, unless given) in their order. With ``serial`` log entries
        beyond this number (0: all) are an answer as well; the first item of each is its number.
        404 when there is no such job; 503 when too many requests wait already.

        With a body it is Ganeti's: ``{"fields": [name, ...], "previous_job_info": [...] or null,
        "previous_log_serial": number or null}``, where ``fields`` is required. It is answered
        when values of these fields or the log are not what the body says any more, or after
        ``timeout`` seconds (10; a master answers after a minute or so at the latest) with what
        the body says; with null when the master says that
        nothing has changed.
        """
        number = luxi.parse_job_id(self.exchange.slots["job_id"])
        if number is None:
            raise http_errors.NotFound(
                detail=f"there is no job {self.exchange.slots['job_id'][:40]}"
            )
        if self.exchange.body is not None:
            return self._as_ganeti(number, GANETI_TIMEOUT if timeout is None else timeout)
        return Vigil(
            self.exchange,
            [number],
            fields or ["status"],
            lambda vigil: {"job_info": vigil.values(number), "log_entries": vigil.entries},
            serial=serial,
            timeout=TIMEOUT if timeout is None else timeout,
        ).begin()

    def _as_ganeti(self, number: int, timeout: int) -> Later:
        call = self._read(number, timeout)
        future = self.exchange.master.wait(call, self.exchange.gone)
        return Later(future, lambda: self._answer(number, call, future))

    def _answer(
        self, number: int, call: luxi.WaitForJobChange, future: Future[bytes | None]
    ) -> Any:
        """As the master says it: also that nothing has changed, as of a job that has ended."""
        data = future.result()
        try:
            change = [call.previous or [], []] if data is None else luxi.parse_answer(data)
        except errors.JobLost:
            change = None
        if change is None:
            return {"job_info": archived(self.exchange, number, call.fields), "log_entries": []}
        if change == "nochange":
            return None
        values, entries = parse_change(change)
        return {"job_info": values, "log_entries": entries}

    def _read(self, number: int, timeout: int) -> luxi.WaitForJobChange:
        body = body_object(self.exchange)
        strange = sorted(body.keys() - set(_BODY))
        if strange:
            raise _bad(f"there is no {ht.shorten(strange[0])}; a wait has {', '.join(_BODY)}")
        fields, previous, serial = map(body.get, _BODY)
        if not isinstance(fields, list) or not all(isinstance(name, str) for name in fields):
            raise _bad(f"fields must be a list of strings, not {ht.shorten(fields)}")
        check_fields(fields)
        if previous is not None and not isinstance(previous, list):
            raise _bad(f"previous_job_info must be a list or null, not {ht.shorten(previous)}")
        if serial is not None and type(serial) is not int:
            raise _bad(f"previous_log_serial must be an integer or null, not {ht.shorten(serial)}")
        return luxi.WaitForJobChange(number, fields, previous, serial, timeout)


class R_2_jobs_wait(Resource):
    """Waits for several jobs at once."""

    URI = "/2/jobs/wait"

    @verb(
        "jobs.wait",
        open=False,
        ids=Words(),
        enough=choice("any", "all", word="for", default="any"),
        fields=Fields(FIELDS),
        timeout=Integer(least=0, most=MAX_TIMEOUT),
    )
    def GET(
        self, ids: list[str] | None, enough: str, fields: list[str] | None, timeout: int | None
    ) -> Later:
        """Answer when any (``for=any``) or all (``for=all``) of these jobs have ended.

        Or after ``timeout`` seconds (60, at most 300), however they stand then: a list of
        objects in the order of ``ids``, each with the job's ``id``, its ``status`` and the
        other ``fields``. 404 names a job that there is not.
        """
        numbers = self._numbers(ids)
        names = ["id", "status", *(name for name in fields or [] if name not in ("id", "status"))]
        return Vigil(
            self.exchange,
            numbers,
            names[1:],
            lambda vigil: [dict(zip(names, [number, *vigil.values(number)])) for number in numbers],
            enough=len(numbers) if enough == "all" else 1,
            timeout=TIMEOUT if timeout is None else timeout,
        ).begin()

    @staticmethod
    def _numbers(ids: list[str] | None) -> list[int]:
        if not ids:
            raise http_errors.BadRequest(
                "Parameter 'ids' is missing: give the numbers of jobs, with commas between"
            )
        if len(ids) > MAX_JOBS:
            raise http_errors.BadRequest(
                f"One request waits for {MAX_JOBS} jobs at most, not {len(ids)}"
            )
        numbers = []
        for text in ids:
            if not (text.isascii() and text.isdigit()):
                raise http_errors.BadRequest(
                    "Invalid value for the 'ids' parameter: give the "
                    f"numbers of jobs, not {ht.shorten(text)}"
                )
            number = luxi.parse_job_id(text)
            if number is None:
                raise http_errors.NotFound(detail=f"there is no job {text[:40]}")
            numbers.append(number)
        return list(dict.fromkeys(numbers))
