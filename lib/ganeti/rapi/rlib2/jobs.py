"""Jobs: what every change of the cluster is done by."""

from __future__ import annotations

import array
from collections.abc import Iterable
from typing import Any

from ganeti import luxi
from ganeti.http import errors as http_errors
from ganeti.rapi.arguments import flag
from ganeti.rapi.baserlib import Exchange, Resource, verb
from ganeti.rapi.reading import BATCH, Rows, objects, read
from ganeti.rapi.rlib2 import paging

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


def _job_id(exchange: Exchange) -> int:
    """The job's number; one that no queue ever reaches is unknown at once."""
    number = luxi.parse_job_id(exchange.slots["job_id"])
    if number is None:
        raise http_errors.NotFound(detail=f"there is no job {exchange.slots['job_id'][:40]}")
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

    @verb(
        "jobs.list",
        long=True,
        bulk=flag,
        status=paging.STATUS,
        since=paging.SINCE,
        after=paging.AFTER,
        order=paging.ORDER,
        limit=paging.LIMIT,
        archived=paging.ARCHIVED,
    )
    def GET(self, bulk: bool | None, **words: Any) -> list[dict[str, Any]] | Rows:
        """List the jobs by rising number.

        ``{"id", "uri"}`` each, or with ``bulk=1`` all their keys but log and results.

        The other words choose a part of the list: jobs with one of these statuses,
        received at ``since`` or later, numbers beyond ``after`` (below it with
        ``order=desc``, which lists the newest first), archived ones too, and no more than
        ``limit``. The answer then has a header ``X-Total-Count``, how many jobs there are
        without ``after`` and ``limit``, and where more come after these a header
        ``Link: </2/jobs?...>; rel="next"``.
        """
        page = paging.Page(**words)
        if page:
            ids = paging.find(self.exchange, page, self.URI)
            return self._named(ids) if bulk else [_entry(number) for number in ids]
        ids = [paging.number_of(job) for job in read(self.exchange, "job", ["id"])]
        if not bulk:
            return [_entry(number) for number in ids]
        if len(ids) <= BATCH:
            return _living(read(self.exchange, "job", FIELDS_LIVE)) if ids else []
        # Numbers in one piece take a quarter of the memory, which slow clients hold on to.
        numbers = array.array("Q", ids)
        return Rows(
            self.exchange,
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
            for job in read(self.exchange, "job", FIELDS_BULK, _these(ids))
            if job["status"] is not None
        }
        return [found[number] for number in ids if number in found]


class R_2_jobs_id(Resource):
    """One job."""

    URI = "/2/jobs/{job_id}"

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
        number = _job_id(self.exchange)
        # A number that no job has gives a row with nothing but itself.
        found = [
            job
            for job in read(self.exchange, "job", FIELDS, ["==", "id", number])
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
        return self.exchange.master.call(luxi.CancelJob(_job_id(self.exchange)))
