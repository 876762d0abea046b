"""Jobs, by which every change of the cluster is done: their list, one of them, waiting for them.

A page of the list says which jobs, in which order, from where, how many. Our master is told
all of it and answers the page alone. A real one passes the words over and answers every job, so
what it answered is filtered, sorted and cut here, too; of our master's answer that changes
nothing.
"""

from __future__ import annotations

import array
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from decimal import ROUND_CEILING, Decimal
from typing import Any

from ganeti import errors, ht, luxi
from ganeti.constants import JobStatus
from ganeti.http import errors as http_errors
from ganeti.luxi import dialect
from ganeti.rapi.arguments import Argument, Fields, Integer, Words, check_fields, choice, flag
from ganeti.rapi.baserlib import Resource, ResourceRequest, Steps, verb
from ganeti.rapi.job_wait import JobWait, archived, parse_change
from ganeti.rapi.reading import BATCH, StreamedList, objects, read
from ganeti.rapi.submit import body_object

# -- pages -----------------------------------------------------------------------------


#: More jobs than this are no page.
MAX_LIMIT = 1000
_MICROSECONDS = 1_000_000
_SECONDS = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?", re.ASCII)


class Since(Argument):
    """A time in seconds, read as whole microseconds: what jobs are stamped with."""

    kind = "seconds since 1970"

    def parse(self, values: list[str]) -> int:
        text = values[0].strip()
        if _SECONDS.fullmatch(text) is None:
            raise ValueError(
                f"give seconds since 1970, as 1700000000 or 1700000000.5, not {ht.shorten(text)}"
            )
        return int((Decimal(text) * _MICROSECONDS).to_integral_value(ROUND_CEILING))


#: The words that ask for a page.
STATUS = Words([str(status) for status in JobStatus])
SINCE_TIME = Since()
AFTER = Integer(least=0)
ORDER = choice("asc", "desc")
LIMIT = Integer(least=1, most=MAX_LIMIT)
ARCHIVED = flag


@dataclass(frozen=True)
class JobPaging:
    """What the query says; None where it says nothing."""

    status: list[str] | None = None
    since: int | None = None
    after: int | None = None
    order: str | None = None
    limit: int | None = None
    archived: bool | None = None

    def __bool__(self) -> bool:
        """Does the query say anything of it?"""
        return any(getattr(self, item.name) is not None for item in fields(self))

    @property
    def descending(self) -> bool:
        """From the newest down?"""
        return self.order == "desc"

    def to_wire(self) -> dict[str, Any]:
        """The paging of a Query; one job more than the limit shows that there are more."""
        words = {
            "status": self.status,
            "since": None if self.since is None else _as_seconds(self.since),
            "after": self.after,
            "descending": None if self.order is None else self.descending,
            "archived": self.archived,
            "limit": None if self.limit is None else self.limit + 1,
        }
        return {word: value for word, value in words.items() if value is not None}

    def matches(self, job: Mapping[str, Any]) -> bool:
        """Is the job one of these, wherever the page begins and ends?"""
        return (self.status is None or job["status"] in self.status) and (
            self.since is None or _microseconds(job["received_ts"]) >= self.since
        )

    def cut(self, ids: list[int]) -> tuple[list[int], bool]:
        """The jobs of the page in their order, and whether more come after them."""
        after = self.after
        if after is not None:
            ids = [
                number for number in ids if (number < after if self.descending else number > after)
            ]
        ids = sorted(ids, reverse=self.descending)
        return ids[: self.limit], self.limit is not None and len(ids) > self.limit


def _as_seconds(microseconds: int) -> int | float:
    seconds, rest = divmod(microseconds, _MICROSECONDS)
    return microseconds / _MICROSECONDS if rest else seconds


def _microseconds(timestamp: Any) -> int:
    """A pair of seconds and microseconds as one number; before all times when it is none."""
    try:
        seconds, rest = timestamp
        return int(seconds) * _MICROSECONDS + int(rest)
    except (TypeError, ValueError):
        return -1


def number_of(job: Mapping[str, Any]) -> int:
    """The id of a row; raises ``errors.RequestError`` when it is none."""
    number = luxi.parse_job_id(job["id"])
    if number is None:
        raise errors.RequestError(f"the master's answer has a job {ht.shorten(job['id'])}")
    return number


def find_page(request: ResourceRequest, page: JobPaging, uri: str) -> list[int]:
    """The ids of a page; its total and where the next one is become headers of the answer."""
    # A real master lists archived jobs only to those who ask for this field.
    columns = ["id", "status", "received_ts", *(["archived"] if page.archived else [])]
    reply = request.master.ask(luxi.Query("job", columns, None, page.to_wire()))
    matching = [
        number_of(job) for job in objects("job", columns, reply.result) if page.matches(job)
    ]
    total = reply.notes.get("total")
    request.headers.append(("X-Total-Count", str(total if type(total) is int else len(matching))))
    shown, more = page.cut(matching)
    if more:
        words = request.query.with_word("after", shown[-1])
        request.headers.append(("Link", f'<{uri}?{words}>; rel="next"'))
    return shown


# -- the list and one job --------------------------------------------------------------


#: Ganeti's keys, and then ours, which a real master answers with cells that have no value.
FIELDS_LIVE = (
    "id",
    "ops",
    "status",
    "summary",
    "opstatus",
    "received_ts",
    "start_ts",
    "end_ts",
    "priority",
    "waiting_for",
    "user",
    "request_id",
)
FIELDS_BULK = (*FIELDS_LIVE, "archived")
FIELDS = (*FIELDS_BULK, "oplog", "opresult")


def _job_id(request: ResourceRequest) -> int:
    """The job's number; one that no queue ever reaches is unknown at once."""
    number = luxi.parse_job_id(request.slots["job_id"])
    if number is None:
        raise http_errors.NotFound(detail=f"there is no job {request.slots['job_id'][:40]}")
    return number


def _shape(job: dict[str, Any]) -> dict[str, Any]:
    """Nothing that it waits for is an empty list, whatever the master calls it."""
    return {**job, "waiting_for": job["waiting_for"] or []}


def _living(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Jobs of which nobody asked whether they are archived, as a master would list those
    that are as well."""
    return [{**_shape(job), "archived": False} for job in jobs if job["status"] is not None]


def _these(ids: Iterable[int]) -> list[Any]:
    """A filter for these jobs."""
    return ["|", *(["==", "id", number] for number in ids)]


def _entry(job_id: Any) -> dict[str, Any]:
    return {"id": job_id, "uri": f"/2/jobs/{job_id}"}


class R_2_jobs(Resource):
    """All jobs that are not archived, or some of all."""

    URI = "/2/jobs"
    SINCE = "2.0.0"
    LATER = {
        "bulk": "2.5.0",
        **dict.fromkeys(("status", "since", "after", "order", "limit", "archived"), "ours"),
    }

    @verb(
        "jobs.list",
        long=True,
        bulk=flag,
        status=STATUS,
        since=SINCE_TIME,
        after=AFTER,
        order=ORDER,
        limit=LIMIT,
        archived=ARCHIVED,
    )
    def GET(self, bulk: bool | None, **words: Any) -> list[dict[str, Any]] | StreamedList:
        """List the jobs by rising number.

        ``{"id", "uri"}`` each, or with ``bulk=1`` all their keys but log and results.

        The other words choose a part of the list: jobs with one of these statuses,
        received at ``since`` or later, numbers beyond ``after`` (below it with
        ``order=desc``, which lists the newest first), archived ones too, and no more than
        ``limit``. The answer then has a header ``X-Total-Count``, how many jobs there are
        without ``after`` and ``limit``, and where more come after these a header
        ``Link: </2/jobs?...>; rel="next"``.
        """
        page = JobPaging(**words)
        if page:
            ids = find_page(self.request, page, self.URI)
            return self._named(ids) if bulk else [_entry(number) for number in ids]
        ids = [number_of(job) for job in read(self.request, "job", ["id"])]
        if not bulk:
            return [_entry(number) for number in ids]
        if len(ids) <= BATCH:
            return _living(read(self.request, "job", FIELDS_LIVE)) if ids else []
        # Numbers in one piece take a quarter of the memory, which slow clients hold on to.
        numbers = array.array("Q", ids)
        return StreamedList(
            self.request,
            len(ids),
            (
                luxi.Query("job", list(FIELDS_LIVE), _these(numbers[start : start + BATCH]))
                for start in range(0, len(numbers), BATCH)
            ),
            lambda _, answer: _living(objects("job", FIELDS_LIVE, answer().result)),
        )

    def _named(self, ids: list[int]) -> list[dict[str, Any]]:
        """All about these jobs, in their order; what vanished meanwhile is left out."""
        if not ids:
            return []
        found = {
            job["id"]: _shape(job)
            for job in read(self.request, "job", FIELDS_BULK, _these(ids))
            if job["status"] is not None
        }
        return [found[number] for number in ids if number in found]


class R_2_jobs_id(Resource):
    """One job."""

    URI = "/2/jobs/{job_id}"
    SINCE = "2.0.0"

    @verb("jobs.query")
    def GET(self) -> dict[str, Any]:
        """Everything about a job, archived or not; 404 when there was none of this number.

        ``status`` is one of queued, waiting, canceling, running, canceled, success
        and error. ``opstatus``, ``opresult`` and ``oplog`` have an entry for each
        opcode of ``ops``. The result of an opcode that failed is
        ``["OpPrereqError", [text, code]]`` or the like.

        ``waiting_for`` says why a job does not run yet, as a list of ``{"kind", "name",
        "mode", "jobs"}``; ``kind`` is ``lock``, ``job``, ``filter``, ``limit`` or ``drain``,
        and ``jobs`` are those that stand in the way. ``user`` and ``request_id`` are those of
        the request that submitted it. In front of a real Ganeti master the list is empty, and
        these two are null.
        """
        number = _job_id(self.request)
        # A number that no job has gives a row with nothing but itself.
        found = [
            job
            for job in read(self.request, "job", FIELDS, ["==", "id", number])
            if job["status"] is not None
        ]
        if not found:
            raise http_errors.NotFound(detail=f"there is no job {number}")
        return _shape(found[0])

    @verb("jobs.cancel", urgent=True)
    def DELETE(self) -> Any:
        """Cancel a job: answers ``[done, text]``, whether it could or not.

        ``[true, "Job N canceled"]``: it was queued or waiting, and will never run.
        ``[true, "Job N will be canceled"]``: it runs, and stops at its next safe point; its
        status tells when. ``[false, text]``: it cannot be canceled, since it has ended or
        there is none of this number. A real Ganeti master has other texts, and cancels
        nothing that runs.
        """
        return self.request.master.call(luxi.CancelJob(_job_id(self.request)))


# -- waiting ---------------------------------------------------------------------------


#: Seconds: as long as Ganeti's waits, for those who send its body; ours; and at most.
GANETI_TIMEOUT = 10
TIMEOUT = 60
MAX_TIMEOUT = 300
#: Each has a connection to the master.
MAX_JOBS = 50

WAIT_FIELDS = (
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
_WAIT_BODY = ("fields", "previous_job_info", "previous_log_serial")


def _bad_wait(text: str) -> http_errors.BadRequest:
    return http_errors.BadRequest(f"Invalid body parameters: {text}")


class R_2_jobs_id_wait(Resource):
    """Waits for one job; no connection should be kept waiting by a loop of questions."""

    URI = "/2/jobs/{job_id}/wait"
    SINCE = "2.1.3"
    LATER = dict.fromkeys(("fields", "serial", "timeout"), "ours")

    @verb(
        "jobs.wait",
        open=False,
        fields=Fields(WAIT_FIELDS),
        serial=Integer(least=0),
        timeout=Integer(least=0, most=MAX_TIMEOUT),
    )
    def GET(
        self, fields: list[str] | None, serial: int | None, timeout: int | None
    ) -> Steps[dict[str, Any] | None]:
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
        number = luxi.parse_job_id(self.request.slots["job_id"])
        if number is None:
            raise http_errors.NotFound(
                detail=f"there is no job {self.request.slots['job_id'][:40]}"
            )
        if self.request.body is not None:
            call = self._read(number, GANETI_TIMEOUT if timeout is None else timeout)
            future = self.request.master.wait(call, self.request.gone)
            yield future
            return self._as_ganeti(number, call, future.result())
        wait = JobWait(
            self.request,
            [number],
            fields or ["status"],
            serial=serial,
            timeout=TIMEOUT if timeout is None else timeout,
        )
        yield from wait.steps()
        return {"job_info": wait.values(number), "log_entries": wait.entries}

    def _as_ganeti(
        self, number: int, call: luxi.WaitForJobChange, data: bytes | None
    ) -> dict[str, Any] | None:
        """Return the change that the master reports; None if nothing has changed.

        ``data`` is its answer, None if the wait ended without one.
        """
        try:
            change = [call.previous or [], []] if data is None else luxi.parse_answer(data)
        except errors.JobLost:
            change = None
        if change is None:
            return {"job_info": archived(self.request, number, call.fields), "log_entries": []}
        if dialect.is_no_change(change):
            return None
        values, entries = parse_change(change)
        return {"job_info": values, "log_entries": entries}

    def _read(self, number: int, timeout: int) -> luxi.WaitForJobChange:
        body = body_object(self.request)
        strange = sorted(body.keys() - set(_WAIT_BODY))
        if strange:
            raise _bad_wait(
                f"there is no {ht.shorten(strange[0])}; a wait has {', '.join(_WAIT_BODY)}"
            )
        fields, previous, serial = map(body.get, _WAIT_BODY)
        if not isinstance(fields, list) or not all(isinstance(name, str) for name in fields):
            raise _bad_wait(f"fields must be a list of strings, not {ht.shorten(fields)}")
        check_fields(fields)
        if previous is not None and not isinstance(previous, list):
            raise _bad_wait(f"previous_job_info must be a list or null, not {ht.shorten(previous)}")
        if serial is not None and type(serial) is not int:
            raise _bad_wait(
                f"previous_log_serial must be an integer or null, not {ht.shorten(serial)}"
            )
        return luxi.WaitForJobChange(number, fields, previous, serial, timeout)


class R_2_jobs_wait(Resource):
    """Waits for several jobs at once."""

    URI = "/2/jobs/wait"
    SINCE = "ours"

    @verb(
        "jobs.wait",
        open=False,
        ids=Words(),
        enough=choice("any", "all", word="for", default="any"),
        fields=Fields(WAIT_FIELDS),
        timeout=Integer(least=0, most=MAX_TIMEOUT),
    )
    def GET(
        self, ids: list[str] | None, enough: str, fields: list[str] | None, timeout: int | None
    ) -> Steps[list[dict[str, Any]]]:
        """Answer when any (``for=any``) or all (``for=all``) of these jobs have ended.

        Or after ``timeout`` seconds (60, at most 300), however they stand then: a list of
        objects in the order of ``ids``, each with the job's ``id``, its ``status`` and the
        other ``fields``. 404 names a job that there is not.
        """
        numbers = self._numbers(ids)
        names = ["id", "status", *(name for name in fields or [] if name not in ("id", "status"))]
        wait = JobWait(
            self.request,
            numbers,
            names[1:],
            enough=len(numbers) if enough == "all" else 1,
            timeout=TIMEOUT if timeout is None else timeout,
        )
        yield from wait.steps()
        return [dict(zip(names, [number, *wait.values(number)])) for number in numbers]

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
