"""Strict JSON: the only place that loads it.

What people send is read strictly: duplicate keys, NaN and deep nesting are
refused (RFC 8259, sections 4, 6 and 9 leave that to us). What a real luxid
sends is read leniently, since it is known to send broken bytes and control
characters; NaN and infinite numbers, which could not be written out again, are
refused there as well.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn, TypeAlias

#: A value that JSON can carry, as it was parsed.
Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"
#: A parsed JSON object.
JsonObject: TypeAlias = dict[str, Json]

#: Deeper than any body of this API; far from Python's own recursion limit.
MAX_DEPTH = 32
#: Longer numbers cost quadratic time to read and fit no field.
MAX_DIGITS = 19
#: Strings, also one that does not end, and whatever else is neither they nor brackets.
_NO_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[^"\[\]{}]+', re.DOTALL)


class ParseError(ValueError):
    """The text is no JSON that we accept; the words say why and where."""


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ParseError(f"key {key[:80]!r} stands twice in one object")
            seen.add(key)
    return result


def _no_constant(word: str) -> NoReturn:
    raise ParseError(f"{word} is not JSON")


def _short_int(digits: str) -> int:
    count = len(digits.lstrip("-"))
    if count > MAX_DIGITS:
        raise ParseError(f"number of {count} digits; at most {MAX_DIGITS} are read")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ParseError(f"number {digits[:40]} is too large")
    return value


_STRICT = json.JSONDecoder(
    object_pairs_hook=_no_duplicates,
    parse_constant=_no_constant,
    parse_int=_short_int,
    parse_float=_finite,
)
_LENIENT = json.JSONDecoder(strict=False, parse_constant=_no_constant, parse_float=_finite)
_COMPACT = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_OBJECTS = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=vars)
_SORTED = json.JSONEncoder(separators=(",", ":"), allow_nan=False, sort_keys=True)


def _check_depth(text: str) -> None:
    """Count brackets outside of strings; cheaper than recursion going wrong."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _NO_BRACKETS.sub("", text):
        if bracket in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise ParseError(f"nested deeper than {MAX_DEPTH} levels")
        else:
            depth -= 1


def loads(data: bytes | str) -> Any:
    """One JSON value, read strictly; raises ``ParseError``."""
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        _check_depth(text)
        value = _STRICT.decode(text)
        if "\\ud" in text.lower():
            # Half a surrogate pair is no character; it could not be written out again.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except UnicodeEncodeError:
        raise ParseError("half a surrogate pair in a string") from None
    except UnicodeDecodeError as err:
        raise ParseError(f"not UTF-8 at byte {err.start}") from None
    except json.JSONDecodeError as err:
        raise ParseError(f"{err.msg} at line {err.lineno} column {err.colno}") from None
    except RecursionError:
        raise ParseError("nested too deeply") from None


def loads_lenient(data: bytes) -> Any:
    """What a peer of ours sent, bad bytes and all; raises ``ParseError``."""
    try:
        return _LENIENT.decode(data.decode("utf-8", errors="replace"))
    except (ValueError, RecursionError) as err:
        raise ParseError(str(err)) from None


def dumps(value: Any) -> str:
    """Compact ASCII JSON on one line."""
    return _COMPACT.encode(value)


def dumps_object(value: object) -> str:
    """Return compact ASCII JSON of an object's attributes, and of the objects among them."""
    return _OBJECTS.encode(vars(value))


def dumps_sorted(value: Any) -> str:
    """As ``dumps``, with the keys of objects in order: the same value gives the same text."""
    return _SORTED.encode(value)


def dump_bytes(value: Any) -> bytes:
    """Compact ASCII JSON and a newline: the body of an answer."""
    return _COMPACT.encode(value).encode("ascii") + b"\n"
