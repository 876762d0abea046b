"""Checks whether values fit types, made from annotations, and named refinements of types.

``check_for(annotation)`` turns an annotation of an opcode's field into a
``Check``. It understands ``str``, ``bool``, ``int``, ``float``, ``None``,
``Any``, ``object``, ``Json``, ``X | Y``, ``list[X]``, ``dict[str, X]``, ``tuple[X, ...]``,
``Literal[...]`` and ``Annotated[X, Refinement]``. Unlike in Python, a bool is
not a number here. (Ganeti 2.0 accepted ``true`` as a disk size.)
"""

from __future__ import annotations

import inspect
import json
import math
import re
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from ganeti import constants
from ganeti.serializer import Json

#: Functions of a value whose type is known where they are written, and not here.
Predicate = Callable[[Any], bool]
FindProblem = Callable[[Any], str | None]


@dataclass(frozen=True)
class Check:
    """A test of values, and what it expects in words.

    ``problem``, for values that have parts, returns what is wrong with one of them, or None.
    """

    expects: str
    fits: Predicate
    problem: FindProblem | None = None


@dataclass(frozen=True)
class Refinement:
    """A narrower type, to be used in ``Annotated``; only values of the base type are tested.

    ``problem`` is that of ``Check``.
    """

    expects: str
    fits: Predicate
    problem: FindProblem | None = None


def without_problem(expects: str, problem: FindProblem) -> Refinement:
    """Return the refinement for values for which ``problem`` returns None."""
    return Refinement(expects, lambda value: problem(value) is None, problem)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_ANYTHING = Check("anything", lambda value: True)
_PLAIN: dict[object, Check] = {
    Any: _ANYTHING,
    object: _ANYTHING,
    Json: _ANYTHING,
    None: Check("null", lambda value: value is None),
    type(None): Check("null", lambda value: value is None),
    str: Check("a string", lambda value: isinstance(value, str)),
    bool: Check("true or false", lambda value: isinstance(value, bool)),
    int: Check("an integer", _is_int),
    float: Check("a number", _is_number),
    list: Check("a list", lambda value: isinstance(value, (list, tuple))),
    dict: Check("an object", lambda value: isinstance(value, dict)),
}


@cache
def check_for(annotation: object) -> Check:
    """Return the check for an annotation; raises ``TypeError`` for an unknown kind of one."""
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _refined(check_for(args[0]), args[1:])
    if origin is Literal:
        return Check(
            "one of " + ", ".join(repr(arg) for arg in args),
            lambda value: any(value == arg and type(value) is type(arg) for arg in args),
        )
    if origin in (Union, types.UnionType):
        return _either([check_for(arg) for arg in args])
    if origin is list:
        return _list_of(check_for(args[0]))
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        return _list_of(check_for(args[0]))
    if origin is dict:
        return _dict_of(check_for(args[1]))
    raise TypeError(f"no check for the annotation {annotation!r}")


@cache
def _check_of(text: str, module: str) -> Check:
    return check_for(eval(text, vars(sys.modules[module])))


def checks_of(cls: type) -> dict[str, Check]:
    """Return the checks for a class's own annotations, of names in lower case.

    The annotations are text, since the class's module postpones their evaluation (PEP 563). Most
    texts occur many times in a module, and are evaluated once. ``get_type_hints``, which evaluates
    every annotation of the class and of its bases, would make each start several times as long.
    """
    return {
        name: _check_of(text, cls.__module__)
        for name, text in inspect.get_annotations(cls).items()
        if name.islower()
    }


def _refined(base: Check, refinements: tuple[object, ...]) -> Check:
    rules = [rule for rule in refinements if isinstance(rule, Refinement)]
    if not rules:
        return base
    if len(rules) == 1:  # written without loops: most checks of values run through this one
        fits_base, fits_rule, problem = base.fits, rules[0].fits, rules[0].problem
        return Check(
            rules[0].expects,
            lambda value: fits_base(value) and fits_rule(value),
            problem and (lambda value: problem(value) if fits_base(value) else None),
        )
    return Check(
        " and ".join(rule.expects for rule in rules),
        lambda value: base.fits(value) and all(rule.fits(value) for rule in rules),
    )


def _either(checks: list[Check]) -> Check:
    expects = " or ".join(check.expects for check in checks)
    if len(checks) == 2:
        first, second = (check.fits for check in checks)
        return Check(expects, lambda value: first(value) or second(value), checks[0].problem)
    return Check(expects, lambda value: any(check.fits(value) for check in checks))


def _list_of(item: Check) -> Check:
    if item is _ANYTHING:
        return Check(
            f"a list, each item {item.expects}", lambda value: isinstance(value, (list, tuple))
        )
    return Check(
        f"a list, each item {item.expects}",
        lambda value: isinstance(value, (list, tuple)) and all(map(item.fits, value)),
    )


def _dict_of(item: Check) -> Check:
    if item is _ANYTHING:
        return Check(
            "an object",
            lambda value: isinstance(value, dict) and all(isinstance(key, str) for key in value),
        )
    return Check(
        f"an object, each value {item.expects}",
        lambda value: (
            isinstance(value, dict)
            and all(isinstance(key, str) and item.fits(val) for key, val in value.items())
        ),
    )


def shorten(value: object, limit: int = 80) -> str:
    """Return a value for an error message: a string in single quotes, anything else as JSON.

    Clients sent JSON, so they recognize their value.
    """
    text = repr(str(value)) if isinstance(value, str) else _as_json(value)
    text = text if len(text) <= limit else text[: limit - 3] + "..."
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _as_json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return repr(value)


# -- named refinements ----------------------------------------------------------

NonEmptyString = Annotated[str, Refinement("a non-empty string", bool)]
NonNegativeInt = Annotated[int, Refinement("an integer of 0 or more", lambda n: n >= 0)]
PositiveInt = Annotated[int, Refinement("an integer of 1 or more", lambda n: n >= 1)]
NonNegativeFloat = Annotated[float, Refinement("a number of 0 or more", lambda n: n >= 0)]
JobId = Annotated[int, Refinement("a job id", lambda n: n >= 0)]

RebootType = Literal["soft", "hard", "full"]
CreateMode = Literal["create", "import", "remote-import"]
MigrationMode = Literal["live", "non-live"]
TagKind = Literal["cluster", "node", "instance", "nodegroup", "network"]

# Host names by RFC 1123 (2.1), with underscores. No label is empty or begins with a dash, so names
# are safe in paths and on command lines.
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)


def is_host_name(value: object) -> bool:
    """Return whether a value can be the name of a node, an instance or a cluster."""
    return isinstance(value, str) and len(value) <= 253 and _HOST_NAME.fullmatch(value) is not None


def stored_name(name: str) -> str:
    """Return a host name as it is stored: in lower case, without the dot of the DNS root."""
    return name.lower().removesuffix(".")


#: The name of a new object, which is stored as ``stored_name`` returns it.
NewHostName = Annotated[
    str, Refinement("a host name", lambda name: is_host_name(name.removesuffix(".")))
]

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


def is_uuid(text: str) -> bool:
    """Return whether a text is a uuid in the form that luxid 3.0 takes: in lower case."""
    return _UUID.fullmatch(text) is not None


_OS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}(?:\+[A-Za-z0-9_.-]{1,128})?", re.ASCII)


def is_os_name(value: object) -> bool:
    """Return whether a value is the name of an OS definition, perhaps with ``+variant``."""
    return isinstance(value, str) and _OS_NAME.fullmatch(value) is not None


def fits_environment(text: str) -> bool:
    """Return whether a program can get a text in an argument or an environment variable.

    A NUL would end the text there, and half of a surrogate pair, which JSON can have, cannot be
    encoded in UTF-8.
    """
    if "\0" in text:
        return False
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


_TAG = re.compile(r"[A-Za-z0-9_.+*/:@-]+", re.ASCII)


def tag_problem(tag: str) -> str | None:
    """Return what is wrong with a tag, or None; the valid characters are Ganeti 3.1's."""
    if not tag:
        return "Tags cannot be empty"
    if len(tag) > constants.MAX_TAG_LENGTH:
        return f"Tag {shorten(tag, 40)} is longer than {constants.MAX_TAG_LENGTH} characters"
    if _TAG.fullmatch(tag) is None:
        return f"Tag {shorten(tag, 40)} contains invalid characters"
    return None


# -- sizes ------------------------------------------------------------------------

_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})\s*([a-zA-Z]*)", re.ASCII)
_UNITS = {
    "": 1,
    "m": 1,
    "mb": 1,
    "mib": 1,
    "g": 1024,
    "gb": 1024,
    "gib": 1024,
    "t": 1024**2,
    "tb": 1024**2,
    "tib": 1024**2,
}
#: MiB. Sums of a few sizes must still fit into 64 bits.
_MAX_SIZE = 10**18
#: MiB. Ganeti rounds sizes of disks and memory up to multiples of it.
_SIZE_STEP = 4


def parse_size(value: object) -> int:
    """Return the MiB of 512, 512.0, "512", "512M", "1G" or "1.5t"; raises ``ValueError``.

    Fractions of a MiB are rounded up, as in Ganeti: the result is never smaller than requested.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not 0 <= value < _MAX_SIZE:
            raise ValueError(f"size {shorten(value)} is {'negative' if value < 0 else 'too large'}")
        return math.ceil(value)
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None or found[2].lower() not in _UNITS:
        raise ValueError(
            f"{shorten(value)} is not a size: "
            'give MiB as a number, or a string such as "512M" or "1G"'
        )
    size = math.ceil(float(found[1]) * _UNITS[found[2].lower()])
    if size >= _MAX_SIZE:
        raise ValueError(f"size {shorten(value)} is too large")
    return size


def parse_guest_size(value: object) -> int:
    """Return the MiB that an instance gets for a size: a multiple of 4, as in Ganeti; raises
    ``ValueError``."""
    return -(-parse_size(value) // _SIZE_STEP) * _SIZE_STEP


def is_size(value: object) -> bool:
    """Return whether ``parse_size`` accepts a value."""
    try:
        parse_size(value)
    except ValueError:
        return False
    return True
