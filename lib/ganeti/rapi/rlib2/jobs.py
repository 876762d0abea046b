"""Jobs, which make all changes of the cluster: listing them, reading one, waiting for them.

A request may ask for a page of the list: which jobs, in which order, after which one, how many.
Our master is sent all of that and answers with just the page. A real one ignores it and answers
with every job, so the answer is filtered, sorted and cut here as well, which leaves the answer
of our master unchanged.
"""

from __future__ import annotations

import array
import re
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
from ganeti.rapi.reading import BATCH, StreamedList, any_of, objects, read
from ganeti.rapi.submit import body_object
from ganeti.serializer import JsonObject

# -- pages -----------------------------------------------------------------------------


#: Most jobs of a page.
MAX_LIMIT = 1000
_MICROSECONDS = 1_000_000
_SECONDS = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?", re.ASCII)


class Since(Argument):
    """A time in seconds, read as whole microseconds, the precision of the jobs' times."""

    kind = "number of seconds since 1970"

    def parse(self, values: list[str]) -> int:
        text = values[0].strip()
        if _SECONDS.fullmatch(text) is None:
            raise ValueError(
                f"give seconds since 1970, as 1700000000 or 1700000000.5, not {ht.shorten(text)}"
            )
        return int((Decimal(text) * _MICROSECONDS).to_integral_value(ROUND_CEILING))


#: The words that describe a page.
STATUS = Words([str(status) for status in JobStatus])
SINCE_TIME = Since()
AFTER = Integer(least=0)
ORDER = choice("asc", "desc")
LIMIT = Integer(least=1, most=MAX_LIMIT)
ARCHIVED = flag


@dataclass(frozen=True)
class JobPaging:
    """The page that the query describes; a word that is missing is None."""

    status: list[str] | None = None
    since: int | None = None
    after: int | None = None
    order: str | None = None
    limit: int | None = None
    archived: bool | None = None

    def __bool__(self) -> bool:
        """Return whether the query describes a page."""
        return any(getattr(self, item.name) is not None for item in fields(self))

    @property
    def descending(self) -> bool:
        """Return whether the newest job comes first."""
        return self.order == "desc"

    def to_wire(self) -> JsonObject:
        """Return the paging of a Query; it asks for one job more, to see whether there are more."""
        words: JsonObject = {
            "status": None if self.status is None else [*self.status],
            "since": None if self.since is None else _as_seconds(self.since),
            "after": self.after,
            "descending": None if self.order is None else self.descending,
            "archived": self.archived,
            "limit": None if self.limit is None else self.limit + 1,
        }
        return {word: value for word, value in words.items() if value is not None}

    def matches(self, job: JsonObject) -> bool:
        """Return whether the status and time of a job match, regardless of its number."""
        return (self.status is None or job["status"] in self.status) and (
            self.since is None or _microseconds(job["received_ts"]) >= self.since
        )

    def cut(self, ids: list[int]) -> tuple[list[int], bool]:
        """Return the jobs of the page in their order, and whether more follow."""
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
    """Return ``[seconds, microseconds]`` in microseconds; -1 if it is something else."""
    try:
        seconds, rest = timestamp
        return int(seconds) * _MICROSECONDS + int(rest)
    except (TypeError, ValueError):
        return -1


def number_of(job: JsonObject) -> int:
    """Return the job id of a row; raise ``errors.RequestError`` if it is not one."""
    number = luxi.parse_job_id(job["id"])
    if number is None:
        raise errors.RequestError(f"the master's answer has a job {ht.shorten(job['id'])}")
    return number


def find_page(request: ResourceRequest, page: JobPaging, uri: str) -> list[int]:
    """Return the ids of a page; add headers with the total and the URI of the next page."""
    # A real master lists archived jobs only if this field is requested.
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


#: Ganeti's keys, then ours, for which a real master answers with cells without a value.
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
    """Return the job's number; raise ``NotFound`` for one that no queue ever reaches."""
    number = luxi.parse_job_id(request.slots["job_id"])
    if number is None:
        raise http_errors.NotFound(detail=f"there is no job {request.slots['job_id'][:40]}")
    return number


def _shape(job: JsonObject) -> JsonObject:
    """Return a job whose ``waiting_for`` is an empty list if it waits for nothing."""
    return {**job, "waiting_for": job["waiting_for"] or []}


def _living(jobs: list[JsonObject]) -> list[JsonObject]:
    """Return the live jobs with ``archived`` false.

    The field is not requested, as a real master would list archived jobs as well then.
    """
    return [{**_shape(job), "archived": False} for job in jobs if job["status"] is not None]


def _entry(job_id: int) -> JsonObject:
    return {"id": job_id, "uri": f"/2/jobs/{job_id}"}


class R_2_jobs(Resource):
    """All jobs that are not archived, or a page of all jobs.

    Example::

        GET /2/jobs

        [{"id": 1, "uri": "/2/jobs/1"}]

    Another::

        GET /2/jobs?status=queued,waiting,running&order=desc&limit=20

        []
    """

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
    def GET(self, bulk: bool | None, **words: Any) -> list[JsonObject] | StreamedList:
        """List the jobs by ascending number: an array of ``{"id", "uri"}``.

        With ``bulk=1`` each object has all keys except the log and the results.

        The other words select a page: jobs with one of the statuses, received at ``since`` or
        later, with numbers above ``after`` (below it with ``order=desc``, which lists the newest
        first), with archived jobs, and at most ``limit`` of them. The answer then has a header
        ``X-Total-Count``, the number of jobs without ``after`` and ``limit``, and if more follow
        a header ``Link: </2/jobs?...>; rel="next"``.
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
        # An array takes a quarter of the memory of a list, and slow clients hold it for long.
        numbers = array.array("Q", ids)
        return StreamedList(
            self.request,
            len(ids),
            (
                luxi.Query("job", list(FIELDS_LIVE), any_of("id", numbers[start : start + BATCH]))
                for start in range(0, len(numbers), BATCH)
            ),
            lambda _, answer: _living(objects("job", FIELDS_LIVE, answer().result)),
        )

    def _named(self, ids: list[int]) -> list[JsonObject]:
        """Return these jobs in their order, without those that have vanished meanwhile."""
        if not ids:
            return []
        found = {
            job["id"]: _shape(job)
            for job in read(self.request, "job", FIELDS_BULK, any_of("id", ids))
            if job["status"] is not None
        }
        return [found[number] for number in ids if number in found]


class R_2_jobs_id(Resource):
    """One job.

    Example (of the answer only some keys are shown)::

        GET /2/jobs/1

        {"id": 1, "status": "success", "summary": ["INSTANCE_CREATE(web.example.com)"],
         "opstatus": ["success"], "opresult": [["node1.example.com"]], "waiting_for": []}

    Another::

        DELETE /2/jobs/2

        [true, "Job 2 canceled"]
    """

    URI = "/2/jobs/{job_id}"
    SINCE = "2.0.0"

    @verb("jobs.query")
    def GET(self) -> JsonObject:
        """Describe a job, archived or not; 404 if no job had this number.

        ``status`` is one of queued, waiting, canceling, running, canceled, success
        and error. ``opstatus``, ``opresult`` and ``oplog`` have an entry for each
        opcode of ``ops``. The result of an opcode that failed is
        ``["OpPrereqError", [text, code]]`` or similar.

        ``waiting_for`` says why a job does not run yet, as an array of ``{"kind", "name",
        "mode", "jobs"}``; ``kind`` is ``lock``, ``job``, ``filter``, ``limit`` or ``drain``,
        and ``jobs`` are the jobs that it waits for. ``user`` and ``request_id`` are those of
        the request that submitted it. With a real Ganeti master the array is empty, and
        these two are null.
        """
        number = _job_id(self.request)
        # For an unknown number the master answers with a row that has only the number.
        found = [
            job
            for job in read(self.request, "job", FIELDS, ["==", "id", number])
            if job["status"] is not None
        ]
        if not found:
            raise http_errors.NotFound(detail=f"there is no job {number}")
        return _shape(found[0])

    @verb("jobs.cancel", urgent=True)
    def DELETE(self) -> object:
        """Cancel a job; the answer is ``[canceled, text]``.

        ``[true, "Job N canceled"]``: it was queued or waiting, and will never run.
        ``[true, "Job N will be canceled"]``: it is running, and stops at its next safe point,
        which its status shows. ``[false, text]``: it cannot be canceled, because it has ended or
        does not exist. A real Ganeti master has other texts, and does not cancel running jobs.
        """
        return self.request.master.call(luxi.CancelJob(_job_id(self.request)))


# -- waiting ---------------------------------------------------------------------------


#: Seconds that a wait takes by default with the body of Ganeti, by default without, and at most.
GANETI_TIMEOUT = 10
TIMEOUT = 60
MAX_TIMEOUT = 300
#: Each job of a wait needs a connection to the master.
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
    """A long poll for one job.

    Example::

        GET /2/jobs/1/wait?fields=status&serial=3&timeout=30

        {"job_info": ["success"],
         "log_entries": [[4, [1796060867, 309209], "message", "Starting the instance"]]}
    """

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
    ) -> Steps[JsonObject | None]:
        """Answer when the job has ended, or after ``timeout`` seconds (60, at most 300).

        The answer is ``{"job_info": [...], "log_entries": [...]}``. ``job_info`` has the values of
        ``fields`` (by default ``status``) in their order. With ``serial`` the request is answered
        as soon as there are log entries above this number (0: any); the first item of an entry is
        its number. 404 if there is no such job; 503 if too many requests are waiting.

        A body makes it the long poll of Ganeti: ``{"fields": [name, ...], "previous_job_info":
        [...] or null, "previous_log_serial": integer or null}``, where ``fields`` is required. The
        request is answered when the values or the log differ from those in the body, or after
        ``timeout`` seconds (10; a master answers within about a minute) with the values of the
        body, or with null if the master reports that nothing has changed.
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
    ) -> JsonObject | None:
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
    """A long poll for several jobs.

    Example::

        GET /2/jobs/wait?ids=1,2&for=all&fields=summary

        [{"id": 1, "status": "success", "summary": ["INSTANCE_CREATE(web.example.com)"]},
         {"id": 2, "status": "success", "summary": ["TAGS_SET"]}]
    """

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
    ) -> Steps[list[JsonObject]]:
        """Answer when any (``for=any``) or all (``for=all``) of these jobs have ended.

        After ``timeout`` seconds (60, at most 300) the request is answered in any case. The answer
        is an array of objects in the order of ``ids``, each with the job's ``id``, its ``status``
        and the other ``fields``. 404 names a job that does not exist.
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
                "Parameter 'ids' is missing: give the numbers of jobs, separated by commas"
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
