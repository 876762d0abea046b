"""OS definitions: what can be installed."""

from __future__ import annotations

from typing import Any

from ganeti import constants, errors, ht, luxi, opcodes
from ganeti.http import errors as http_errors
from ganeti.rapi.baserlib import Exchange, Resource, verb
from ganeti.rapi.submit import reason_trail, submit

#: Seconds between two looks at whether the client is still there.
_LOOK = 5.0
_COLUMNS = ["name", "variants", "valid"]


class R_2_os(Resource):
    """The OS definitions of this cluster."""

    URI = "/2/os"

    @verb()
    def GET(self) -> list[str]:
        """List the names of valid OS definitions, those with variants as ``name+variant``.

        A job finds out; 502 when it fails.
        """
        op = opcodes.OpOsDiagnose(output_fields=_COLUMNS,
                                  reason=reason_trail(self.exchange, R_2_os))
        job_id = submit(self.exchange, [op])
        try:
            status, result = _wait(self.exchange, job_id)
        except errors.JobLost:
            raise http_errors.BadGateway(f"Job {job_id}, which looks for OS definitions, "
                                         "is gone") from None
        if status != constants.JobStatus.SUCCESS:
            raise http_errors.BadGateway(f"Job {job_id}, which looks for OS definitions, "
                                         f"ended in {status}: {ht.shorten(result, 200)}")
        return _names(result)


def _wait(exchange: Exchange, job_id: int) -> tuple[str, Any]:
    """Status and result of the job's end; cancels it when the client hangs up."""
    previous: list[Any] | None = None
    while True:
        if exchange.gone():
            exchange.master.call(luxi.CancelJob(job_id))
            raise http_errors.ServiceUnavailable("The client is gone")
        # No log line has so high a number: logs do not end the wait.
        answer = exchange.master.call(luxi.WaitForJobChange(
            job_id, ["status", "opresult"], previous, 2 ** 53, _LOOK))
        try:
            (status, results), _ = answer
        except (TypeError, ValueError):
            raise errors.RequestError(f"the master answered {ht.shorten(answer)} "
                                      "in the place of a change") from None
        if status in constants.JOB_FINAL:
            return status, results[0] if isinstance(results, list) and results else None
        previous = [status, results]


def _names(rows: Any) -> list[str]:
    try:
        return [f"{name}+{variant}" if variant else name
                for name, variants, valid in rows if valid for variant in variants or [""]]
    except (TypeError, ValueError):
        raise http_errors.BadGateway("The master's answer about OS definitions is no table: "
                                     + ht.shorten(rows)) from None
