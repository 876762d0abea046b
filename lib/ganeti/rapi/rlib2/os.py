"""OS definitions: what can be installed."""

from __future__ import annotations

from typing import Any

from ganeti import constants, ht, luxi, opcodes
from ganeti.http import errors as http_errors
from ganeti.rapi.baserlib import Resource, Steps, verb
from ganeti.rapi.job_wait import JobWait
from ganeti.rapi.submit import reason_trail, submit

_COLUMNS = ["name", "variants", "valid"]


class R_2_os(Resource):
    """The OS definitions of this cluster."""

    URI = "/2/os"
    SINCE = "2.0.0"

    @verb("os.list")
    def GET(self) -> Steps[list[str]]:
        """List the names of valid OS definitions, those with variants as ``name+variant``.

        A job finds out; 502 when it fails.
        """
        op = opcodes.OpOsDiagnose(output_fields=_COLUMNS, reason=reason_trail(self.request, R_2_os))
        job_id = submit(self.request, [op])
        wait = JobWait(self.request, [job_id], ["opresult"])
        yield from wait.steps()
        return self._result(wait, job_id)

    GET.op = opcodes.OpOsDiagnose

    def _result(self, wait: JobWait, job_id: int) -> list[str]:
        """What the job found; it is canceled when the client hung up before."""
        if not wait.ended:
            self.request.master.call(luxi.CancelJob(job_id))
            raise http_errors.ServiceUnavailable("Nobody waits for it any more", retry_after=1)
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
            "The master's answer about OS definitions is no table: " + ht.shorten(rows)
        ) from None
