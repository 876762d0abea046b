"""Job filters: the rules that decide which jobs run when (``qlang.job_filters``)."""

from __future__ import annotations

from typing import Any

from ganeti import errors, ht, luxi
from ganeti.http import errors as http_errors
from ganeti.luxi import dialect
from ganeti.opcodes.base import ReasonTrail
from ganeti.qlang import job_filters
from ganeti.rapi.arguments import flag
from ganeti.rapi.baserlib import Resource, verb
from ganeti.rapi.reading import read
from ganeti.rapi.submit import body_object

FIELDS = ("watermark", "priority", "predicates", "action", "reason_trail", "uuid")

#: Key of the body -> what it is when it is not given, and what it must be.
_KEYS: dict[str, tuple[Any, ht.Check]] = {
    "priority": (0, ht.check_for(ht.NonNegativeInt)),
    "predicates": ([], ht.check_for(list[job_filters.Predicate])),
    "action": (job_filters.CONTINUE, ht.check_for(job_filters.Action)),
    "reason": ([], ht.check_for(ReasonTrail)),
}


class _Filters(Resource):
    """What both resources do."""

    def replace(self, uuid: str | None) -> str:
        """Store the rule of the body under this uuid, or a new one; the uuid."""
        body = body_object(self.request)
        for name, value in body.items():
            if name not in _KEYS:
                raise http_errors.BadRequest(f"Invalid body parameters: unknown parameter '{name}'")
            if not _KEYS[name][1].fits(value):
                raise http_errors.BadRequest(
                    f"Invalid body parameters: parameter '{name}' must be "
                    f"{_KEYS[name][1].expects}, not {ht.shorten(value)}"
                )
        given = [body.get(name, default) for name, (default, _) in _KEYS.items()]
        answer = self.request.master.call(luxi.ReplaceFilter(uuid, *given))
        if not isinstance(answer, str):
            raise errors.RequestError(f"the master answered {ht.shorten(answer)}, not a uuid")
        return answer


class R_2_filters(_Filters):
    """All job filters."""

    URI = "/2/filters"
    SINCE = "2.13.0"

    @verb("filter.list", bulk=flag)
    def GET(self, bulk: bool | None) -> list[dict[str, Any]]:
        """List the rules: ``{"uuid", "uri"}`` each, or all their keys with ``bulk=1``."""
        if bulk:
            return read(self.request, "filter", FIELDS)
        return [
            {"uuid": rule["uuid"], "uri": f"/2/filters/{rule['uuid']}"}
            for rule in read(self.request, "filter", ["uuid"])
        ]

    @verb("filter.create")
    def POST(self) -> str:
        """Add a rule; answers its uuid.

        Body: an object with any of ``priority`` (0 or more, lower ones are asked first; default
        0), ``predicates`` (a list of ``["jobid", FILTER]``, ``["opcode", FILTER]`` and
        ``["reason", FILTER]``, all of which a job must match; default none), ``action``
        (``"ACCEPT"``, ``"PAUSE"``, ``"REJECT"``, ``"CONTINUE"``, which is the default, or
        ``["RATE_LIMIT", n]``) and ``reason`` (a reason trail).
        """
        return self.replace(None)


class R_2_filters_uuid(_Filters):
    """One job filter."""

    URI = "/2/filters/{filter_uuid}"
    SINCE = "2.13.0"

    @verb("filter.query")
    def GET(self) -> dict[str, Any]:
        """Everything about a rule; ``watermark`` is the last job when it was made."""
        uuid = self.request.slots["filter_uuid"]
        found = read(self.request, "filter", FIELDS, ["==", "uuid", uuid])
        if not found:
            raise http_errors.NotFound(detail=f"there is no filter '{uuid}'")
        return found[0]

    @verb("filter.modify")
    def PUT(self) -> str:
        """Replace a rule, or make one with this uuid; body and answer as for a new one."""
        uuid = self.request.slots["filter_uuid"]
        if not ht.is_uuid(uuid.lower()):
            raise http_errors.BadRequest(f"{ht.shorten(uuid)} is no uuid")
        return self.replace(uuid)

    @verb("filter.remove")
    def DELETE(self) -> None:
        """Remove a rule; answers null."""
        try:
            self.request.master.call(luxi.DeleteFilter(self.request.slots["filter_uuid"]))
        except errors.GenericError as err:
            if not dialect.is_missing_filter(err):
                raise
            raise http_errors.NotFound(detail=str(err)) from None
