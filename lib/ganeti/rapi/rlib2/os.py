"""OS definitions, which can be installed on instances."""

from __future__ import annotations

from typing import Any

from ganeti import constants, ht, luxi, opcodes
from ganeti.http import errors as http_errors
from ganeti.rapi.baserlib import Resource, Steps, verb
from ganeti.rapi.job_wait import JobWait
from ganeti.rapi.submit import reason_trail, submit

_COLUMNS = ["name", "variants", "valid"]


class R_2_os(Resource):
    """The OS definitions of this cluster.

    Example::

        GET /2/os

        ["debian+minimal", "noop"]
    """

    URI = "/2/os"
    SINCE = "2.0.0"

    @verb("os.list")
    def GET(self) -> Steps[list[str]]:
        """List the names of valid OS definitions, an array of strings.

        A definition with variants has an entry ``name+variant`` for each. The request waits for a
        job that asks the nodes, and is answered with 502 if that fails.
        """
        op = opcodes.OpOsDiagnose(output_fields=_COLUMNS, reason=reason_trail(self.request, R_2_os))
        job_id = submit(self.request, [op])
        wait = JobWait(self.request, [job_id], ["opresult"])
        yield from wait.steps()
        return self._result(wait, job_id)

    GET.op = opcodes.OpOsDiagnose

    def _result(self, wait: JobWait, job_id: int) -> list[str]:
        """Return what the job found; cancel it if the client has hung up before."""
        if not wait.ended:
            self.request.master.call(luxi.CancelJob(job_id))
            raise http_errors.ServiceUnavailable(
                "The client does not wait for the answer any more", retry_after=1
            )
        status, (results,) = wait.status(job_id), wait.values(job_id)
        result = results[0] if isinstance(results, list) and results else None
        if status != constants.JobStatus.SUCCESS:
            raise http_errors.BadGateway(
                f"Job {job_id}, which looks for OS definitions, "
                f"ended in {status}: {ht.shorten(result, 200)}"
            )
        return _names(result)


def _names(rows: Any) -> list[str]:
    try:
        return [
            f"{name}+{variant}" if variant else name
            for name, variants, valid in rows
            if valid
            for variant in variants or [""]
        ]
    except (TypeError, ValueError):
        raise http_errors.BadGateway(
            "The master's answer about OS definitions is not a table: " + ht.shorten(rows)
        ) from None
