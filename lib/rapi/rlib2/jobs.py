"""Jobs: what every change of the cluster is done by."""

from __future__ import annotations

from typing import Any

from ganeti import luxi
from ganeti.http import errors as http_errors
from ganeti.rapi.arguments import flag
from ganeti.rapi.baserlib import Exchange, Resource, verb
from ganeti.rapi.reading import read

FIELDS_BULK = ("id", "ops", "status", "summary", "opstatus", "received_ts", "start_ts", "end_ts")
FIELDS = (*FIELDS_BULK, "oplog", "opresult")


def _job_id(exchange: Exchange) -> int:
    """The job's number; one that no queue ever reaches is unknown at once."""
    number = luxi.parse_job_id(exchange.slots["job_id"])
    if number is None:
        raise http_errors.NotFound(detail=f"there is no job {exchange.slots['job_id'][:40]}")
    return number


class R_2_jobs(Resource):
    """All jobs that are not archived."""

    URI = "/2/jobs"

    @verb(bulk=flag)
    def GET(self, bulk: bool | None) -> list[dict[str, Any]]:
        """List the jobs by rising number.

        ``{"id", "uri"}`` each, or with ``bulk=1`` all their keys but log and results.
        """
        if bulk:
            return read(self.exchange, "job", FIELDS_BULK)
        return [{"id": job["id"], "uri": f"/2/jobs/{job['id']}"}
                for job in read(self.exchange, "job", ["id"])]


class R_2_jobs_id(Resource):
    """One job."""

    URI = "/2/jobs/{job_id}"

    @verb()
    def GET(self) -> dict[str, Any]:
        """Everything about a job, archived or not; 404 when there was none of this number.

        ``status`` is one of queued, waiting, canceling, running, canceled, success
        and error. ``opstatus``, ``opresult`` and ``oplog`` have an entry for each
        opcode of ``ops``. The result of an opcode that failed is
        ``["OpPrereqError", [text, code]]`` or the like.
        """
        number = _job_id(self.exchange)
        # A number that no job has gives a row with nothing but itself.
        found = [job for job in read(self.exchange, "job", FIELDS, ["==", "id", number])
                 if job["status"] is not None]
        if not found:
            raise http_errors.NotFound(detail=f"there is no job {number}")
        return found[0]

    @verb(access="jobs.cancel")
    def DELETE(self) -> Any:
        """Cancel a job that has not started: answers ``[done, text]``, whether it could or not."""
        return self.exchange.master.call(luxi.CancelJob(_job_id(self.exchange)))
