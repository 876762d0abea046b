"""The base of all opcodes: fields that are checked when an opcode is built, and its wire form.

An opcode is a request for work. It has no behaviour: it is a class with annotated
fields, registered by ``@opcode``. Its OP_ID follows from its name (``OpTagsSet`` is
``OP_TAGS_SET``). An instance that could be built is valid.

An opcode remembers which fields were *given*. Only these are sent to a master, so that
a real one applies its own defaults to the others; they differ between versions of Ganeti.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self, TypeVar, dataclass_transform

from ganeti import constants, errors, ht

#: JSON whose inner types no annotation says; refinements and logical units check them.
Object = dict[str, Any]
Array = list[Any]

#: Values of common fields that a job shows if they were not given.
_COMMON_VIEW = {
    "debug_level": 0,
    "priority": constants.PRIORITY_DEFAULT,
    "depends": None,
    "comment": None,
}

#: The text of the entry that the queue appends to the reason trail.
_OF_JOB = re.compile(r"job=[0-9]+;index=([0-9]{1,9})", re.ASCII)

_WORD = re.compile(r"(?<!^)(?=[A-Z])")

ReasonTrail = Annotated[
    Array,
    ht.Refinement(
        "a list of [source, reason, nanoseconds]",
        lambda trail: all(
            isinstance(entry, (list, tuple))
            and len(entry) == 3
            and isinstance(entry[0], str)
            and isinstance(entry[1], str)
            and ht.check_for(int).fits(entry[2])
            for entry in trail
        ),
    ),
]


def _is_dependency(entry: object) -> bool:
    """Return whether this is ``[job, [status, ...]]``.

    ``job`` is an id, its digits (blanks around them are allowed), or a negative number that
    counts back from the new job.
    """
    if not isinstance(entry, (list, tuple)) or len(entry) != 2:
        return False
    job, statuses = entry
    if type(job) is int and not statuses and isinstance(statuses, list):
        return True
    if isinstance(job, str):
        if not re.fullmatch(r"\s*[0-9]{1,18}\s*", job, re.ASCII):
            return False
    elif not ht.check_for(int).fits(job):
        return False
    return isinstance(statuses, (list, tuple)) and all(
        isinstance(status, str) and status in constants.JOB_FINAL for status in statuses
    )


Dependencies = Annotated[
    Array,
    ht.Refinement(
        "a list of [job, [final status, ...]]", lambda entries: all(map(_is_dependency, entries))
    ),
]

SubmitPriority = Annotated[
    int, ht.Refinement("-10, 0 or 10", lambda number: number in constants.PRIORITIES_SUBMIT)
]


class FieldError(ValueError):
    """A field of an opcode is missing, unknown or of the wrong type."""

    def __init__(self, op_id: str, field: str, problem: str) -> None:
        super().__init__(f"{op_id}: {problem}")
        self.field = field
        self.problem = problem


def _type_problem(name: str, check: ht.Check, value: object) -> str:
    """Return the problem with the value of a field; it names the wrong part if the check can."""
    problem = check.problem(value) if check.problem else None
    if problem:
        return f"parameter '{name}': {problem}"
    return f"parameter '{name}' must be {check.expects}, not {ht.shorten(value)}"


#: Fields of every opcode; on the wire they follow its own.
COMMON_FIELDS = ("dry_run", "debug_level", "priority", "depends", "comment", "reason")


@dataclass_transform(kw_only_default=True)
class _Declared:
    """A marker for type checkers: annotations make the constructor."""


class OpCode(_Declared):
    """Base of all opcodes, with the fields that each of them takes."""

    OP_ID: ClassVar[str]
    #: The release of Ganeti 3.x that introduced it, or "ours" if no release has it.
    SINCE: ClassVar[str] = "3.0"
    #: Name of the field that the summary shows in parentheses.
    SUMMARY_FIELD: ClassVar[str] = ""
    #: Fields whose values only the work itself may see.
    SECRET: ClassVar[frozenset[str]] = frozenset()
    CHECKS: ClassVar[dict[str, ht.Check]]
    DEFAULTS: ClassVar[dict[str, object]]
    #: Fields without a default, and defaults that each opcode needs a copy of.
    REQUIRED: ClassVar[tuple[str, ...]]
    MUTABLE_DEFAULTS: ClassVar[dict[str, object]]

    dry_run: bool | None = None
    debug_level: ht.NonNegativeInt | None = None
    priority: SubmitPriority | None = None
    depends: Dependencies | None = None
    comment: str | None = None
    reason: ReasonTrail = []

    def __init__(self, **values: object) -> None:
        #: Names of the fields that were given; null means "not given" (LUXI of 3.0).
        self.given: frozenset[str] = frozenset()
        for name in values:
            if name not in self.CHECKS:
                raise FieldError(self.OP_ID, name, f"unknown parameter '{name}'")
        for name in self.REQUIRED:
            if name not in values:
                raise FieldError(self.OP_ID, name, f"parameter '{name}' is missing")
        self._set_fields(values)

    def _set_fields(self, values: Mapping[str, object]) -> None:
        """Check and set these fields; the others keep their values or the class's defaults."""
        own, given = self.__dict__, []
        for name, value in values.items():
            if value is None and name in self.DEFAULTS:
                own.pop(name, None)
                continue
            check = self.CHECKS[name]
            if not check.fits(value):
                problem = (
                    f"parameter '{name}' must be {check.expects}"
                    if name in self.SECRET
                    else _type_problem(name, check, value)
                )
                raise FieldError(self.OP_ID, name, problem)
            own[name] = value
            given.append(name)
        for name, default in self.MUTABLE_DEFAULTS.items():
            if name not in self.given and name not in given:
                own[name] = copy.copy(default)
        own["given"] = self.given.difference(values).union(given)

    def replace(self, **values: object) -> Self:
        """Return a copy with other values; fields that were given stay given."""
        # __init__ would take every value for a given one.
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        for name in values:
            if name not in self.CHECKS:
                raise FieldError(self.OP_ID, name, f"unknown parameter '{name}'")
        twin._set_fields(values)
        return twin

    def with_trail(self, reason: Array, depends: Array | None) -> Self:
        """Return a copy with values that the queue made itself, which are not checked again."""
        twin = object.__new__(type(self))
        own = twin.__dict__
        own.update(self.__dict__)
        own["reason"] = reason
        own["given"] = self.given | {"reason"}
        if depends is not None:
            own["depends"] = depends
        return twin

    @property
    def index(self) -> int:
        """Return the position in the job, counted from 0; 0 outside of a job.

        The queue records it in the last entry of the reason trail.
        """
        found = _OF_JOB.fullmatch(self.reason[-1][1]) if self.reason else None
        return int(found[1]) if found else 0

    def to_wire(self) -> Object:
        """Return OP_ID, the reason trail and the given fields, as SubmitJob sends them."""
        wire: Object = {"OP_ID": self.OP_ID}
        for name in self.CHECKS:
            if name in self.given:
                wire[name] = getattr(self, name)
        wire.setdefault("reason", self.reason)
        return wire

    def to_view(self) -> Object:
        """Return the form that a job shows in ``ops``: all fields with a value, secrets redacted.

        Common fields appear even without a value, except ``dry_run`` (as with luxid 3.0).
        """
        view: Object = {"OP_ID": self.OP_ID, **_COMMON_VIEW}
        for name in self.CHECKS:
            value = getattr(self, name)
            if value is None:
                continue
            view[name] = redact(value) if name in self.SECRET else value
        return view

    def summary(self) -> str:
        """Return OP_ID without its prefix, and the summary field: ``INSTANCE_CREATE(web)``."""
        value = getattr(self, self.SUMMARY_FIELD) if self.SUMMARY_FIELD else None
        words = self.OP_ID.removeprefix("OP_")
        return words if value is None else f"{words}({value})"

    def __eq__(self, other: object) -> bool:
        return (
            type(self) is type(other)
            and isinstance(other, OpCode)
            and all(getattr(self, name) == getattr(other, name) for name in self.CHECKS)
        )

    def __hash__(self) -> int:
        # Values may be lists and objects, which have no hash.
        return hash(self.OP_ID)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.summary()})"


def redact(value: object) -> object:
    """Return the replacement of a secret value; objects keep their keys (as in Ganeti 3.0)."""
    if isinstance(value, dict):
        return {key: "<redacted>" for key in value}
    return "<redacted>"


_COMMON_CHECKS = {
    name: check for name, check in ht.checks_of(OpCode).items() if name in COMMON_FIELDS
}

#: OP_ID -> class.
BY_ID: dict[str, type[OpCode]] = {}

_OpClass = TypeVar("_OpClass", bound=type[OpCode])


@dataclass_transform(kw_only_default=True)
def opcode(cls: _OpClass) -> _OpClass:
    """Make a class an opcode: read its fields, derive its OP_ID, and register it."""
    cls.OP_ID = "_".join(part.upper() for part in _WORD.split(cls.__name__))
    cls.CHECKS = {}
    # From the bases down, so that inherited fields come first on the wire.
    for base in reversed(cls.__mro__[: cls.__mro__.index(OpCode)]):
        cls.CHECKS |= ht.checks_of(base)
    cls.CHECKS |= _COMMON_CHECKS
    cls.DEFAULTS = {name: getattr(cls, name) for name in cls.CHECKS if hasattr(cls, name)}
    cls.REQUIRED = tuple(name for name in cls.CHECKS if name not in cls.DEFAULTS)
    # Sharing these would let a change of one opcode reach all others.
    cls.MUTABLE_DEFAULTS = {
        name: default for name, default in cls.DEFAULTS.items() if isinstance(default, (list, dict))
    }
    BY_ID[cls.OP_ID] = cls
    return cls


def load(wire: object) -> OpCode:
    """Return the opcode of a wire object; raise ``FieldError`` or ``OpCodeUnknown``."""
    if not isinstance(wire, Mapping):
        raise errors.OpCodeUnknown(f"an opcode is an object, not {ht.shorten(wire)}")
    op_id = wire.get("OP_ID")
    cls = BY_ID.get(op_id) if isinstance(op_id, str) else None
    if cls is None:
        raise errors.OpCodeUnknown(f"unknown opcode {ht.shorten(op_id)}")
    values = dict(wire)
    del values["OP_ID"]
    return cls(**values)
