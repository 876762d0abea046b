"""A verb that submits a job: words of the query and fields of the body become opcodes.

A field has one source. The URI gives the fields of its slots and of the declared words, the body
gives the rest; a body that names a field of the URI is refused, as in Ganeti since 2.4. A few words
are shared: the query or the body may give them, but not both. A field that the client does not
give is not sent, as the master has its own defaults.

The opcodes are those of Ganeti 3.0.2 and 3.1.1 together (``src/Ganeti/OpCodes.hs``). Where a
request uses something that not every version knows, the master is asked for its version each time,
so that an upgrade is noticed at once.
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


#: A JSON object on its way to an opcode, whose checks read the values.
Body = dict[str, Any]
#: The words that every submission takes.
COMMON: Mapping[str, Argument] = {
    "dry_run": arguments.DryRun(),
    "reason": arguments.text,
}

#: The header of an answer that tells what was done with the request's ``Idempotency-Key``.
KEY_STATUS = "Idempotency-Status"
#: The values that our master reports; a real master ignores keys and reports nothing.
_KEY_STATUSES = ("stored", "replayed")


def body_object(request: ResourceRequest) -> Body:
    """Return the body as an object, null as an empty one; raises ``BadRequest``."""
    if request.body is None:
        return {}
    if not isinstance(request.body, dict):
        raise http_errors.BadRequest(f"The body must be an object, not {ht.shorten(request.body)}")
    return dict(request.body)


def rename(body: Body, names: Mapping[str, str]) -> Body:
    """Move values to the names that opcodes use, and return the body.

    Raises ``BadRequest`` if both names have a value; null counts as no value.
    """
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


def build(op: type[opcodes.OpCode], fields: Mapping[str, object]) -> opcodes.OpCode:
    """Return an opcode; raises ``BadRequest`` that names the invalid field."""
    try:
        return op(**fields)
    except opcodes.FieldError as err:
        raise http_errors.BadRequest(f"Invalid body parameters: {err.problem}") from None


def reason_trail(
    request: ResourceRequest, resource: type[Resource], reason: str | None = None
) -> list[list[str | int]]:
    """Return a job's reason trail: the user's words, then the resource, as in Ganeti since 2.8.

    The text of the resource's entry, which is empty in Ganeti, names the user and the request.
    """
    now = request.clock_ns()
    words = (("user", request.context.user), ("request", request.context.request_id))
    who = ";".join(f"{word}={_escaped(value)}" for word, value in words if value)
    trail: list[list[str | int]] = [["gnt:user", reason, now]] if reason else []
    trail.append([f"gnt:library:rlib2:{resource.__name__.removeprefix('R_2_')}", who, now])
    return trail


def _escaped(value: str) -> str:
    """Escape the characters that would end a pair."""
    return value.replace("%", "%25").replace(";", "%3B")


def submit(request: ResourceRequest, ops: list[opcodes.OpCode]) -> int:
    """Submit one job and return its id; with a key that a job has already, return that job's."""
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
    """Check that the master's version knows the opcodes and their fields.

    Raises ``NotImplementedMethod`` for an opcode and ``BadRequest`` for a field. The master is
    asked for its version only if that matters.
    """
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
    """A verb that submits one opcode and answers the job's id.

    ``renames`` maps names in the body to fields of the opcode. The verb's documentation is the
    opcode's docstring, unless ``doc`` is given.
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
        """Return the opcodes of the job."""
        fixed = self.uri_fields(request)
        body = self.body_fields(request)
        given = {name: value for name, value in fixed.items() if value is not None}
        self.refuse_overwriting(
            body, {name for name in fixed if name in given or not self._is_shared(name)}
        )
        return [build(self.op, body | given)]

    def uri_fields(self, request: ResourceRequest) -> Body:
        """Return the fields of the slots and words, None for a word that was not given."""
        fields: Body = dict(request.slots)
        fields.update(self.read_arguments(request))
        fields["reason"] = reason_trail(request, self.resource, fields["reason"])
        return fields

    def body_fields(self, request: ResourceRequest) -> Body:
        """Return the fields that the body gives."""
        return rename(body_object(request), self.renames)

    def _is_shared(self, name: str) -> bool:
        return name in self.arguments and self.arguments[name].shared

    def refuse_overwriting(self, body: Mapping[str, object], fixed: set[str]) -> None:
        """Raise ``BadRequest`` if the body names a field that belongs to the URI."""
        clash = sorted(fixed.intersection(body))
        if clash:
            raise http_errors.BadRequest(
                "Can't overwrite static parameters: "
                + ", ".join(clash)
                + " cannot be given in the body"
            )

    def _default_in_words(self, name: str) -> str:
        """Return the reference's words about a field's default; '' if it is null."""
        if name not in self.op.DEFAULTS:
            return "; required"
        default = self.op.DEFAULTS[name]
        return "" if default is None else f"; default ``{serializer.dumps(default)}``"

    def body_reference(self) -> list[str]:
        """Return the opcode's fields that the URI does not give, without those of all opcodes."""
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
        optional = not any(item.endswith("; required") for item in items)
        return [
            ("Body: nothing, or an object" if optional else "Body: an object")
            + " with any of these and of the common fields.",
            "\n".join(items),
        ]


# -- what depends on the version of the master -----------------------------------------


class VersionRange(NamedTuple):
    """The versions that know something: from ``since`` on, before ``until``."""

    since: Version = OLDEST_VERSION
    until: Version | None = None

    def holds(self, version: Version) -> bool:
        """Return whether this version is in the range."""
        return self.since <= version and (self.until is None or version < self.until)


def opcode_versions(since: str) -> VersionRange:
    """Return the versions that know an opcode of this ``SINCE``."""
    if since == "ours":
        return VersionRange(until=OLDEST_VERSION)  # an empty range
    major, minor = since.split(".")
    return VersionRange((int(major), int(minor)))


#: (OP_ID, field) -> the versions that know the field, if not all that know the opcode.
FIELD_VERSIONS: Mapping[tuple[str, str], VersionRange] = {
    ("OP_INSTANCE_SET_PARAMS", "hotplug_if_possible"): VersionRange(until=(3, 1)),
}
