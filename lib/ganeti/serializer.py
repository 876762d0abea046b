"""JSON: the only module that parses it.

Requests of clients are parsed strictly: duplicate keys, NaN and deep nesting are refused (RFC
8259, sections 4, 6 and 9, leaves that to parsers). Answers of a real luxid are parsed leniently, as
it is known to send invalid UTF-8 and control characters. NaN and infinite numbers are refused there
as well, since they could not be written again.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn, TypeAlias

#: A value that JSON can carry, as it was parsed.
Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"
#: A parsed JSON object.
JsonObject: TypeAlias = dict[str, Json]

#: Deeper than any body of this API, and far below Python's recursion limit.
MAX_DEPTH = 32
#: Parsing longer numbers takes quadratic time, and no field holds them.
MAX_DIGITS = 19
#: Text without brackets: strings (the last one may be unterminated), and anything else.
_NO_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[^"\[\]{}]+', re.DOTALL)


class ParseError(ValueError):
    """The text is not JSON, or breaks a rule of ours; the message says why and where."""


def _no_duplicates(pairs: list[tuple[str, Json]]) -> JsonObject:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ParseError(f"key {key[:80]!r} occurs twice in one object")
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
    """Raise ``ParseError`` for deep nesting, before the decoder recurses that far."""
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
    """Return a JSON value that was parsed strictly; raises ``ParseError``."""
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        _check_depth(text)
        value = _STRICT.decode(text)
        if "\\ud" in text.lower():
            # Half a surrogate pair is not a character: it could not be written as UTF-8.
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
    """Return a JSON value from a master, with replacement characters for bytes that are not UTF-8;
    raises ``ParseError``."""
    try:
        return _LENIENT.decode(data.decode("utf-8", errors="replace"))
    except (ValueError, RecursionError) as err:
        raise ParseError(str(err)) from err


def dumps(value: object) -> str:
    """Return compact ASCII JSON on one line.

    Raises ``TypeError`` or ``ValueError`` for a value that JSON does not have.
    """
    return _COMPACT.encode(value)


def dumps_object(value: object) -> str:
    """Return compact ASCII JSON of an object's attributes, and of the objects among them."""
    return _OBJECTS.encode(vars(value))


def dumps_sorted(value: object) -> str:
    """Return JSON as ``dumps`` does, with sorted keys: equal values give equal texts."""
    return _SORTED.encode(value)


def dump_bytes(value: object) -> bytes:
    """Return compact ASCII JSON with a newline: the body of an answer."""
    return _COMPACT.encode(value).encode("ascii") + b"\n"
