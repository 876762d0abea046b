"""Reinstalling an instance: stop, install, start, as one job.

2.0.2 has words in the query (``os``, ``nostartup``), 2.4 a body (``os``,
``start``, ``osparams``). One form at a time.
"""

from __future__ import annotations

from typing import Any

from ganeti import ht, opcodes
from ganeti.http import errors as http_errors
from ganeti.rapi.arguments import flag, text
from ganeti.rapi.baserlib import Exchange
from ganeti.rapi.submit import COMMON, Submit, body_object, build, reason_trail, rename

_JOB_FIELDS = ("priority", "comment", "debug_level")


class SubmitReinstall(Submit):
    """Two or three opcodes in one job."""

    def __init__(self, *, access: str) -> None:
        super().__init__(
            opcodes.OpInstanceReinstall,
            access=access,
            renames={"os": "os_type"},
            doc="Stop an instance, run its OS create script again, and start it.",
        )
        self.arguments = {"os": text, "nostartup": flag, **COMMON}

    def ops(self, exchange: Exchange) -> list[opcodes.OpCode]:
        words = self.read_arguments(exchange)
        body = rename(body_object(exchange), self.renames)
        if body and any(words[name] is not None for name in ("os", "nostartup")):
            raise http_errors.BadRequest(
                "Parameters 'os' and 'nostartup' of the query cannot be combined with a body"
            )
        self.refuse_overwriting(body, {*exchange.slots, "dry_run", "reason"})
        start = body.pop("start", None)
        if start is None:
            start = not words["nostartup"]
        elif not isinstance(start, bool):
            raise http_errors.BadRequest(
                "Invalid body parameters: parameter 'start' must be "
                f"true or false, not {ht.shorten(start)}"
            )
        if words["os"] is not None:
            body["os_type"] = words["os"]
        return self._chain(exchange, words, body, start)

    def _chain(
        self, exchange: Exchange, words: dict[str, Any], body: dict[str, Any], start: bool
    ) -> list[opcodes.OpCode]:
        """The opcodes; what the whole job depends on, its first one does."""
        shared = {
            "instance_name": exchange.slots["instance_name"],
            "reason": reason_trail(exchange, self.resource, words["reason"]),
            "dry_run": words["dry_run"],
            **{name: body.pop(name, None) for name in _JOB_FIELDS},
        }
        ops = [
            build(opcodes.OpInstanceShutdown, {**shared, "depends": body.pop("depends", None)}),
            build(self.op, {**body, **shared}),
        ]
        if start:
            ops.append(build(opcodes.OpInstanceStartup, shared))
        return ops

    def body_reference(self) -> list[str]:
        """One field more than the opcode has."""
        first, fields = super().body_reference()
        return [
            first + " Not together with ``os`` or ``nostartup`` in the query.",
            fields + "\n- ``start``: true or false; default ``true``",
        ]
