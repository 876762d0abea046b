"""The types of opcodes' fields in the words of JSON, for people who send them.

``describe(OpInstanceReboot)["shutdown_timeout"]`` is ``integer of 0 or more``. The words follow
from the annotation: its JSON type, then what its refinements narrow it to.
"""

from __future__ import annotations

import re
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from ganeti import ht
from ganeti.opcodes.base import OpCode

_TYPES: dict[object, str] = {
    Any: "any value",
    object: "any value",
    None: "null",
    type(None): "null",
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
}
_PLURALS = re.compile(r"\b(string|boolean|integer|number|array|object|value)\b")
_LONG = 40
_ARTICLE = re.compile(r"(an?) ")


def describe(op: type[OpCode]) -> dict[str, str]:
    """Return the JSON type of each field, with what its values are limited to."""
    annotations = get_type_hints(op, include_extras=True)
    return {name: ", ".join(filter(None, _parts(annotations[name]))) for name in op.CHECKS}


def _parts(annotation: object) -> tuple[str, str]:
    """Return the JSON type of an annotation, and the limits that the type cannot carry."""
    if annotation in _TYPES:
        return _TYPES[annotation], ""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _refined(arguments[0], arguments[1:])
    if origin is Literal:
        return "string", "one of " + ", ".join(f'``"{word}"``' for word in arguments)
    if origin in (Union, types.UnionType):
        kinds = [_parts(argument) for argument in arguments]
        details = [detail for _, detail in kinds if detail]
        # "null" behind a long description would seem to belong to its last word.
        names = sorted((kind for kind, _ in kinds), key=lambda kind: len(kind) > _LONG)
        return " or ".join(names), ", ".join(details)
    if origin is list:
        return _of_many("array", arguments[0])
    if origin is dict:
        return _of_many("object", arguments[1])
    raise TypeError(f"no JSON type for the annotation {annotation!r}")


def _refined(base: object, refinements: tuple[object, ...]) -> tuple[str, str]:
    kind, detail = _parts(base)
    texts = [rule.expects for rule in refinements if isinstance(rule, ht.Refinement)]
    if not texts:
        return kind, detail
    text = " and ".join(texts)
    short = _ARTICLE.sub("", text, count=1).replace("list of", "array of", 1)
    word = kind.partition(" ")[0]
    # "an integer of 0 or more" names the type itself; "a host name" does not.
    return (short, "") if re.search(rf"\b{word}\b", short) else (word, text)


def _of_many(container: str, item: object) -> tuple[str, str]:
    """Return an array or object in which every value is an ``item``."""
    kind, detail = _parts(item)
    if kind == "any value":
        return container, ""
    plural = _PLURALS.sub(r"\1s", kind, count=1)
    return f"{container} of {plural}", f"each {detail}" if detail else ""
