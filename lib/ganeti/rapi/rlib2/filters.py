"""Job filters: the rules that decide which jobs may run (``qlang.job_filters``)."""

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
from ganeti.serializer import JsonObject

FIELDS = ("watermark", "priority", "predicates", "action", "reason_trail", "uuid")

#: Key of the body -> its default, and the check of its value.
_KEYS: dict[str, tuple[Any, ht.Check]] = {
    "priority": (0, ht.check_for(ht.NonNegativeInt)),
    "predicates": ([], ht.check_for(list[job_filters.Predicate])),
    "action": (job_filters.CONTINUE, ht.check_for(job_filters.Action)),
    "reason": ([], ht.check_for(ReasonTrail)),
}


class _Filters(Resource):
    """Base of the resources that store a rule."""

    def replace(self, uuid: str | None) -> str:
        """Store the rule of the body under this UUID, or a new one; return the UUID."""
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
            raise errors.RequestError(f"the master answered {ht.shorten(answer)}, not a UUID")
        return answer


class R_2_filters(_Filters):
    """All job filters.

    Example::

        GET /2/filters

        [{"uuid": "26c6bea0-b226-4059-8388-d9b4f50ee654",
          "uri": "/2/filters/26c6bea0-b226-4059-8388-d9b4f50ee654"}]

    Another, which pauses jobs that create instances::

        POST /2/filters
        {"priority": 10, "action": "PAUSE",
         "predicates": [["opcode", ["==", "OP_ID", "OP_INSTANCE_CREATE"]]]}

        "26c6bea0-b226-4059-8388-d9b4f50ee654"
    """

    URI = "/2/filters"
    SINCE = "2.13.0"

    @verb("filter.list", bulk=flag)
    def GET(self, bulk: bool | None) -> list[JsonObject]:
        """List the rules: an array of ``{"uuid", "uri"}``, or with ``bulk=1`` of all keys."""
        if bulk:
            return read(self.request, "filter", FIELDS)
        return [
            {"uuid": rule["uuid"], "uri": f"/2/filters/{rule['uuid']}"}
            for rule in read(self.request, "filter", ["uuid"])
        ]

    @verb("filter.create")
    def POST(self) -> str:
        """Add a rule; the answer is its UUID.

        Body: nothing, or an object with any of these.

        - ``priority``: integer of 0 or more, lower ones first; default ``0``
        - ``predicates``: array of ``["jobid", FILTER]``, ``["opcode", FILTER]`` and
          ``["reason", FILTER]``, all of which a job must match; default ``[]``
        - ``action``: ``"ACCEPT"``, ``"PAUSE"``, ``"REJECT"``, ``"CONTINUE"`` or
          ``["RATE_LIMIT", n]``; default ``"CONTINUE"``
        - ``reason``: array of ``[source, reason, nanoseconds]``; default ``[]``
        """
        return self.replace(None)


class R_2_filters_uuid(_Filters):
    """One job filter.

    Example::

        GET /2/filters/26c6bea0-b226-4059-8388-d9b4f50ee654

        {"uuid": "26c6bea0-b226-4059-8388-d9b4f50ee654", "watermark": 3, "priority": 10,
         "predicates": [["opcode", ["==", "OP_ID", "OP_INSTANCE_CREATE"]]], "action": "PAUSE",
         "reason_trail": [["luxid", "", 1796060867358333440]]}

    Others::

        PUT /2/filters/26c6bea0-b226-4059-8388-d9b4f50ee654
        {"action": "REJECT"}

        "26c6bea0-b226-4059-8388-d9b4f50ee654"

        DELETE /2/filters/26c6bea0-b226-4059-8388-d9b4f50ee654

        null
    """

    URI = "/2/filters/{filter_uuid}"
    SINCE = "2.13.0"

    @verb("filter.query")
    def GET(self) -> JsonObject:
        """Describe a rule; ``watermark`` is the number of the last job when it was made."""
        uuid = self.request.slots["filter_uuid"]
        found = read(self.request, "filter", FIELDS, ["==", "uuid", uuid])
        if not found:
            raise http_errors.NotFound(detail=f"there is no filter '{uuid}'")
        return found[0]

    @verb("filter.modify")
    def PUT(self) -> str:
        """Replace a rule, or make one with this UUID; body and answer are those of a new one."""
        uuid = self.request.slots["filter_uuid"]
        if not ht.is_uuid(uuid.lower()):
            raise http_errors.BadRequest(f"{ht.shorten(uuid)} is not a UUID")
        return self.replace(uuid)

    @verb("filter.remove")
    def DELETE(self) -> None:
        """Remove a rule; the answer is null."""
        try:
            self.request.master.call(luxi.DeleteFilter(self.request.slots["filter_uuid"]))
        except errors.GenericError as err:
            if not dialect.is_missing_filter(err):
                raise
            raise http_errors.NotFound(detail=str(err)) from None
