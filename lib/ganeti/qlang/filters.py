"""The language of query filters: parsing a filter, and making a test of it.

A filter is a JSON list that begins with an operator, as in Ganeti 3.0:

    ["&", f, ...]  ["|", f, ...]  ["!", f]     all of them, any of them, not
    ["?", field]                               the field is true
    [op, field, value]                         ==, =, !=, <, <=, >, >=
    ["=~", field, pattern]                     the pattern is found in the field
    ["=[]", field, value]                      the list contains the value

Everything passes ``null``. Values are strings and whole numbers. If an operator cannot be applied
to the value of a field, a ``ParameterError`` is raised when a row gets there: ``&`` and ``|`` stop
as soon as their result is known. A cell without a value (unknown field, no data, node offline)
passes every test but ``!=``, which is ``!`` of ``==``. All this was measured on Ganeti 3.0.

Patterns have Python's syntax with ASCII classes. Ganeti's PCRE differs in details only. The limits
of ``safe_regex`` apply.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

from ganeti import ht
from ganeti.constants import ResultStatus
from ganeti.errors import ParameterError
from ganeti.qlang import safe_regex

Row = TypeVar("Row")
Value = str | int

#: Deepest nesting of filters, which bounds the depth of recursion.
DEPTH_MAX = 100


class Comparison(Enum):
    """Ways to compare the values of a field."""

    PLAIN = "plain"
    HOST_NAME = "host name"  # equal also to the name up to one of its dots
    SECONDS = "seconds"  # a pair of seconds and microseconds, of which the seconds are compared


# -- the tree -----------------------------------------------------------------------


@dataclass(frozen=True)
class And:
    """True if all parts are true."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True)
class Or:
    """True if at least one part is true."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True)
class Not:
    """True if the part is false."""

    part: Filter


@dataclass(frozen=True)
class Truth:
    """True if the field is true."""

    field: str


@dataclass(frozen=True)
class Compare:
    """True if the operator holds between the field and the value."""

    op: str
    field: str
    value: Value


@dataclass(frozen=True)
class RegexMatch:
    """True if the pattern is found in the field."""

    field: str
    pattern: re.Pattern[str]


@dataclass(frozen=True)
class Contains:
    """True if the field is a list that contains the value."""

    field: str
    value: Value


Filter = And | Or | Not | Truth | Compare | RegexMatch | Contains

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


# -- reading ------------------------------------------------------------------------


def parse(data: object, depth: int = 0) -> Filter | None:
    """Return the tree of a filter, None for ``null``; raises ``ParameterError``."""
    if data is None:
        return None
    if not isinstance(data, list) or not data or not isinstance(data[0], str):
        raise ParameterError(
            f"A filter is a list that begins with an operator, not {ht.shorten(data)}"
        )
    if depth >= DEPTH_MAX:
        raise ParameterError(f"A filter must not be nested more than {DEPTH_MAX} times")
    op, args = data[0], data[1:]
    if op in ("&", "|"):
        parts = tuple(parse(arg, depth + 1) or And(()) for arg in args)
        return And(parts) if op == "&" else Or(parts)
    if op == "!":
        (arg,) = _operands(data, "filter")
        return Not(parse(arg, depth + 1) or And(()))
    if op == "?":
        return Truth(_field(data, "field"))
    if op in ("=", "!=", *_ORDER, "=~", "=[]"):
        return _binary(op, data)
    raise ParameterError(f"Unknown filter operator {ht.shorten(op)}")


def _operands(data: list[Any], *names: str) -> list[object]:
    """Return an operator's operands; raises ``ParameterError`` unless each name has one."""
    if len(data) != len(names) + 1:
        raise ParameterError(
            f"The filter operator {data[0]!r} takes {' and '.join(names)}, "
            f"not {ht.shorten(data[1:])}"
        )
    return data[1:]


def _field(data: list[Any], *names: str) -> str:
    """Return the first operand, a field's name."""
    name = _operands(data, *names)[0]
    if not isinstance(name, str):
        raise ParameterError(f"A filter's field is a string, not {ht.shorten(name)}")
    return name


def _binary(op: str, data: list[Any]) -> Filter:
    name, value = _field(data, "field", "value"), data[2]
    if op == "=~":
        return RegexMatch(name, _read_pattern(value))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ParameterError(
            f"A filter compares with a string or a whole number, not with {ht.shorten(value)}"
        )
    if op == "=[]":
        return Contains(name, value)
    if op == "!=":
        return Not(Compare("==", name, value))
    return Compare("==" if op == "=" else op, name, value)


def _read_pattern(value: object) -> re.Pattern[str]:
    if not isinstance(value, str):
        raise ParameterError(f"A pattern is a string, not {ht.shorten(value)}")
    try:
        return safe_regex.compile_pattern(value)
    except ValueError as err:
        raise ParameterError(str(err)) from None


# -- inspecting ---------------------------------------------------------------------


def fields(tree: Filter | None) -> set[str]:
    """Return every field that a filter mentions."""
    return set(_fields(tree)) if tree is not None else set()


def _fields(tree: Filter) -> Iterator[str]:
    if isinstance(tree, (And, Or)):
        for part in tree.parts:
            yield from _fields(part)
    elif isinstance(tree, Not):
        yield from _fields(tree.part)
    else:
        yield tree.field


def keys(tree: Filter | None, name: str) -> list[Value] | None:
    """Return the values to which a filter compares the field ``name``, if it does nothing else.

    That is a single ``==`` on this field, or ``|`` of such comparisons; None for other filters.
    """
    if isinstance(tree, Compare) and tree.op == "==" and tree.field == name:
        return [tree.value]
    if not isinstance(tree, Or) or not tree.parts:
        return None
    found: list[Value] = []
    for part in tree.parts:
        values = keys(part, name)
        if values is None:
            return None
        found += values
    return found


# -- evaluating ---------------------------------------------------------------------

#: A test of a field's value; raises ``ParameterError`` for a type that it cannot test.
_ValueTest = Callable[[object], bool]


@dataclass(frozen=True)
class FieldAccess(Generic[Row]):
    """Access to a field: ``get`` returns its value in a row, or a ``ResultStatus`` without one."""

    get: Callable[[Row], object]
    comparison: Comparison = Comparison.PLAIN


def make_test(tree: Filter, access: Callable[[str], FieldAccess[Row]]) -> Callable[[Row], bool]:
    """Return a function that returns whether a row passes the filter.

    ``access`` finds a field by name, or raises. The returned function raises ``ParameterError`` if
    an operator cannot be applied to a value.
    """
    if isinstance(tree, (And, Or)):
        return _join(tree, [make_test(part, access) for part in tree.parts])
    if isinstance(tree, Not):
        part = make_test(tree.part, access)
        return lambda row: not part(row)
    found = access(tree.field)
    return _on_value(found.get, _leaf(tree, found.comparison))


def _join(tree: And | Or, tests: list[Callable[[Row], bool]]) -> Callable[[Row], bool]:
    if isinstance(tree, And):
        return lambda row: all(test(row) for test in tests)
    return lambda row: any(test(row) for test in tests)


def _on_value(get: Callable[[Row], object], test: _ValueTest) -> Callable[[Row], bool]:
    def passes(row: Row) -> bool:
        value = get(row)
        return isinstance(value, ResultStatus) or test(value)

    return passes


def _leaf(tree: Truth | Compare | RegexMatch | Contains, how: Comparison) -> _ValueTest:
    if isinstance(tree, Truth):
        return _is_true(tree)
    if isinstance(tree, RegexMatch):
        return _matches_pattern(tree)
    if isinstance(tree, Contains):
        return _contains(tree)
    return _compares(tree, how)


def _mismatch(
    tree: Truth | Compare | RegexMatch | Contains, value: object, problem: str
) -> ParameterError:
    return ParameterError(f"Field '{tree.field}' is {ht.shorten(value)}, which {problem}")


def _is_true(tree: Truth) -> _ValueTest:
    def test(value: object) -> bool:
        if not isinstance(value, bool):
            raise _mismatch(tree, value, "is neither true nor false")
        return value

    return test


def _matches_pattern(tree: RegexMatch) -> _ValueTest:
    search = tree.pattern.search

    def test(value: object) -> bool:
        if not isinstance(value, str):
            raise _mismatch(tree, value, "no pattern can match")
        return search(value) is not None

    return test


def _contains(tree: Contains) -> _ValueTest:
    wanted, has_type = tree.value, _type_check(tree.value)

    def test(value: object) -> bool:
        if not isinstance(value, (list, tuple)):
            raise _mismatch(tree, value, "is not a list")
        return any(has_type(item) and item == wanted for item in value)

    return test


def _type_check(wanted: Value) -> _ValueTest:
    """Return a test of whether a value has a type that can be compared with ``wanted``."""
    if isinstance(wanted, str):
        return lambda value: isinstance(value, str)
    return lambda value: isinstance(value, (int, float)) and not isinstance(value, bool)


def _compares(tree: Compare, how: Comparison) -> _ValueTest:
    wanted, has_type, relation = tree.value, _type_check(tree.value), _ORDER[tree.op]
    begins = f"{wanted}." if how is Comparison.HOST_NAME and tree.op == "==" else None

    def test(value: object) -> bool:
        if how is Comparison.SECONDS and isinstance(value, (list, tuple)):
            value = value[0]
        if not has_type(value):
            raise _mismatch(tree, value, f"cannot be compared with {ht.shorten(wanted)}")
        if relation(value, wanted):
            return True
        return begins is not None and isinstance(value, str) and value.startswith(begins)

    return test
