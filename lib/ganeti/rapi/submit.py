"""A verb that submits a job: words of the query and fields of the body become opcodes.

A field has one source. The URI gives the fields that its slots and the
declared words name, the body gives the rest; a body that names a field of the
URI is refused, as Ganeti does since 2.4. Few words are shared: query or body,
but not both. What the client did not give is not sent: a master has its own defaults.

What of an opcode depends on the version of Ganeti's master is one table. The opcodes here
are those of 3.0 and 3.1 together (Ganeti 3.0.2 and 3.1.1, ``src/Ganeti/OpCodes.hs``). A front
asks which version its master has only where something is used that not all of them know, so
that an upgrade is noticed at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ganeti import errors, ht, luxi, opcodes, serializer
from ganeti.http import errors as http_errors
from ganeti.luxi.dialect import OLDEST_VERSION, Version, parse_version
from ganeti.opcodes import json_types
from ganeti.opcodes.base import COMMON_FIELDS
from ganeti.rapi import arguments
from ganeti.rapi.arguments import Argument
from ganeti.rapi.baserlib import SLOT, Resource, ResourceRequest, Verb

# -- from a request to opcodes ---------------------------------------------------------


#: Words that every submission takes.
COMMON: Mapping[str, Argument] = {
    "dry_run": arguments.DryRun(),
    "reason": arguments.text,
}

#: Header of an answer: what became of the request's ``Idempotency-Key``.
KEY_STATUS = "Idempotency-Status"
#: What our master says of it; a real one knows no keys and says nothing.
_KEY_STATUSES = ("stored", "replayed")


def body_object(request: ResourceRequest) -> dict[str, Any]:
    """The body as an object; null counts as an empty one."""
    if request.body is None:
        return {}
    if not isinstance(request.body, dict):
        raise http_errors.BadRequest(f"The body must be an object, not {ht.shorten(request.body)}")
    return dict(request.body)


def rename(body: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Move values to the names that opcodes use; two values are refused, null is none."""
    for old, new in names.items():
        if old not in body:
            continue
        value = body.pop(old)
        if body.get(new) is None:
            body[new] = value
        elif value is not None:
            raise http_errors.BadRequest(
                f"Parameters '{old}' and '{new}' mean the same; give one of them"
            )
    return body


def build(op: type[opcodes.OpCode], fields: Mapping[str, Any]) -> opcodes.OpCode:
    """An opcode; raises ``BadRequest`` that names the field."""
    try:
        return op(**fields)
    except opcodes.FieldError as err:
        raise http_errors.BadRequest(f"Invalid body parameters: {err.problem}") from None


def reason_trail(
    request: ResourceRequest, resource: type[Resource], reason: str | None = None
) -> list[list[Any]]:
    """Why the job is: the user's words and the resource, as Ganeti since 2.8 has it.

    The resource's entry has no words there; here it says who asked, and in which request.
    """
    now = request.clock_ns()
    words = (("user", request.context.user), ("request", request.context.request_id))
    who = ";".join(f"{word}={_escaped(value)}" for word, value in words if value)
    trail: list[list[Any]] = [["gnt:user", reason, now]] if reason else []
    trail.append([f"gnt:library:rlib2:{resource.__name__.removeprefix('R_2_')}", who, now])
    return trail


def _escaped(value: str) -> str:
    """A user's name may hold what ends a pair here."""
    return value.replace("%", "%25").replace(";", "%3B")


def submit(request: ResourceRequest, ops: list[opcodes.OpCode]) -> int:
    """Submit one job, or find the one that has the request's key already; its id."""
    check_version(request, ops)
    reply = request.master.ask(luxi.SubmitJob([op.to_wire() for op in ops]))
    job_id = luxi.parse_job_id(reply.result)
    if job_id is None:
        raise errors.RequestError(f"the master answered {ht.shorten(reply.result)}, not a job id")
    if request.context.idempotency_key is not None:
        status = reply.notes.get("idempotency")
        request.headers.append((KEY_STATUS, status if status in _KEY_STATUSES else "not-honoured"))
    return job_id


def check_version(request: ResourceRequest, ops: list[opcodes.OpCode]) -> None:
    """Raise ``NotImplementedMethod`` for an opcode, ``BadRequest`` for a field, that the
    master's version does not know. It is asked for its version only where that matters."""
    wanted = [
        (versions, op.OP_ID, "")
        for op in ops
        if (versions := opcode_versions(op.SINCE)) != VersionRange()
    ]
    wanted += [
        (FIELD_VERSIONS[op.OP_ID, name], op.OP_ID, name)
        for op in ops
        for name in op.given
        if (op.OP_ID, name) in FIELD_VERSIONS
    ]
    if not wanted:
        return
    info = request.master.call(luxi.QueryClusterInfo())
    says = info.get("software_version") if isinstance(info, dict) else None
    version = parse_version(says)
    for span, op_id, name in wanted:
        if version is None or span.holds(version):
            continue
        if name:
            raise http_errors.BadRequest(
                f"Invalid body parameters: {op_id}: Ganeti {says} has no parameter '{name}'"
            )
        raise http_errors.NotImplementedMethod(f"Ganeti {says} has no opcode {op_id}")


class Submit(Verb):
    """Submits one opcode; answers the job's id.

    ``renames`` maps names of the body to fields of the opcode. The opcode's
    docstring is the verb's, unless ``doc`` is given.
    """

    answers_job = True
    op: type[opcodes.OpCode]

    def __init__(
        self,
        op: type[opcodes.OpCode],
        *,
        access: str,
        doc: str = "",
        renames: Mapping[str, str] | None = None,
        urgent: bool = False,
        names_object: tuple[str, ...] = (),
        **words: Argument,
    ) -> None:
        super().__init__(access, doc or (op.__doc__ or ""), {**words, **COMMON})
        self.urgent = urgent
        self.names_object = names_object
        unknown = [name for name in words if name not in op.CHECKS]
        if unknown:
            raise TypeError(f"{op.__name__} has no field {unknown[0]}")
        self.op = op
        self.renames = dict(renames or {})

    def answer(self, request: ResourceRequest) -> int:
        return submit(request, self.ops(request))

    def ops(self, request: ResourceRequest) -> list[opcodes.OpCode]:
        """The opcodes of the job."""
        fixed = self.uri_fields(request)
        body = self.body_fields(request)
        given = {name: value for name, value in fixed.items() if value is not None}
        self.refuse_overwriting(
            body, {name for name in fixed if name in given or not self._is_shared(name)}
        )
        return [build(self.op, body | given)]

    def uri_fields(self, request: ResourceRequest) -> dict[str, Any]:
        """Fields that slots and words name; null for what was not given."""
        fields: dict[str, Any] = dict(request.slots)
        fields.update(self.read_arguments(request))
        fields["reason"] = reason_trail(request, self.resource, fields["reason"])
        return fields

    def body_fields(self, request: ResourceRequest) -> dict[str, Any]:
        """Fields that the body gives."""
        return rename(body_object(request), self.renames)

    def _is_shared(self, name: str) -> bool:
        return name in self.arguments and self.arguments[name].shared

    def refuse_overwriting(self, body: Mapping[str, Any], fixed: set[str]) -> None:
        """Raise ``BadRequest`` when the body names a field that belongs to the URI."""
        clash = sorted(fixed.intersection(body))
        if clash:
            raise http_errors.BadRequest(
                "Can't overwrite static parameters: "
                + ", ".join(clash)
                + " cannot be given in the body"
            )

    def _default_in_words(self, name: str) -> str:
        """Return what the reference says of a field's default; '' where it is null."""
        if name not in self.op.DEFAULTS:
            return "; required"
        default = self.op.DEFAULTS[name]
        return "" if default is None else f"; default ``{serializer.dumps(default)}``"

    def body_reference(self) -> list[str]:
        """The opcode's fields that the URI does not give; common ones are told once."""
        others = {new: old for old, new in self.renames.items()}
        items = []
        types = json_types.describe(self.op)
        for name in self.op.CHECKS:
            is_argument = name in self.arguments and not self._is_shared(name)
            if is_argument or name in COMMON_FIELDS or name in SLOT.findall(self.resource.URI):
                continue
            words = f"``{others[name]}`` or ``{name}``" if name in others else f"``{name}``"
            items.append(f"- {words}: {types[name]}{self._default_in_words(name)}")
        if not items:
            return ["Body: nothing, or an object with any of the common fields."]
        return [
            "Body: nothing, or an object with any of these and of the common fields.",
            "\n".join(items),
        ]


# -- what depends on the version of the master -----------------------------------------


class VersionRange(NamedTuple):
    """The versions that know something: from one on, and up to another, exclusive."""

    since: Version = OLDEST_VERSION
    until: Version | None = None

    def holds(self, version: Version) -> bool:
        """Does this version know it?"""
        return self.since <= version and (self.until is None or version < self.until)


def opcode_versions(since: str) -> VersionRange:
    """Return the versions that know an opcode of this ``SINCE``."""
    if since == "ours":
        return VersionRange(until=OLDEST_VERSION)  # none
    major, minor = since.split(".")
    return VersionRange((int(major), int(minor)))


#: (OP_ID, field) -> who knows it, where that is not everybody.
FIELD_VERSIONS: Mapping[tuple[str, str], VersionRange] = {
    ("OP_INSTANCE_SET_PARAMS", "hotplug_if_possible"): VersionRange(until=(3, 1)),
}
