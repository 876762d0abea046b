"""The table of routes and the reference of all resources, from their classes.

``doc/rapi.rst`` holds both as reStructuredText, each between two marks; a test fails when it
drifts, and ``autotools/rapi-reference`` writes it again. ``ganeti-rapi --routes`` prints the table.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from ganeti.rapi import rlib2
from ganeti.rapi.arguments import Argument, Fixed
from ganeti.rapi.baserlib import SLOT, Resource, Verb

#: Marks around the generated parts of the page: the table of routes, and the resources.
ROUTES = (
    ".. -- routes, written by autotools/rapi-reference --\n",
    ".. -- end of the routes --\n",
)
RESOURCES = (
    ".. -- resources, written by autotools/rapi-reference --\n",
    ".. -- end of the resources --\n",
)


class RouteRow(NamedTuple):
    """One method of one resource, as a row of the table of routes."""

    path: str
    verb: str
    right: str = ""
    opcode: str = ""


def _by_uri() -> list[type[Resource]]:
    return sorted(rlib2.RESOURCES, key=lambda resource: resource.URI)


def _rows() -> list[RouteRow]:
    return [
        RouteRow(
            _uri(resource.URI),
            name,
            verb.access,
            "" if verb.op is None else verb.op.OP_ID,
        )
        for resource in _by_uri()
        for name, verb in resource.verbs().items()
    ]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a line for each row, with columns two blanks apart."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def routes() -> str:
    """Return path, verb, right and opcode of every method, as an aligned table with a heading."""
    rows = [[cell or "-" for cell in row] for row in _rows()]
    return "\n".join(_aligned([("PATH", "VERB", "RIGHT", "OPCODE"), *rows]))


def routes_rst() -> str:
    """Return the same table as reStructuredText; a path is a link to its resource."""
    rows = [RouteRow(f"`{row.path}`_", *row[1:]) for row in _rows()]
    rule = tuple("=" * max(map(len, column)) for column in zip(*rows))
    return "\n".join(_aligned([rule, RouteRow._fields, rule, *rows, rule])) + "\n"


def resources() -> str:
    """Return a section for every resource, sorted by URI."""
    return "\n".join(map(_resource, _by_uri()))


def replace(text: str) -> str:
    """Return a page with its generated parts written anew; raise ``ValueError`` without marks."""
    for (begin, end), part in ((ROUTES, routes_rst()), (RESOURCES, resources())):
        before, found_begin, rest = text.partition(begin)
        _, found_end, after = rest.partition(end)
        if not found_begin or not found_end:
            raise ValueError(f"the page lacks the mark {begin.strip()!r} or its end")
        text = f"{before}{begin}\n{part}\n{end}{after}"
    return text


def _heading(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}\n"


def _uri(uri: str) -> str:
    """Return a URI with its slots as the documentation of the 2.0 API prints them."""
    return SLOT.sub(r"[\1]", uri)


def _resource(resource: type[Resource]) -> str:
    parts = [_heading(_uri(resource.URI), "+"), inspect.getdoc(resource) or ""]
    if resource.SINCE == "ours":
        parts.append("Ganeti has no such resource.")
    if resource.ALIASES:
        parts.append(
            "``GET`` can also be sent to "
            + ", ".join(f"``{_uri(alias)}``" for alias in resource.ALIASES)
            + "."
        )
    if resource.PUBLIC:
        parts.append("Needs no user, even where authentication is required.")
    parts += [_verb(name, verb) for name, verb in resource.verbs().items()]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _verb(name: str, verb: Verb) -> str:
    parts = [_heading(name, "~").rstrip("\n"), inspect.cleandoc(verb.doc)]
    if verb.access:
        parts.append(
            f"Right: ``{verb.access}``"
            + (", where authentication is required." if verb.open else ".")
        )
    words = [
        f"- ``{argument.word or field}``: {argument.kind}{_default(argument)}"
        for field, argument in verb.arguments.items()
        if not isinstance(argument, Fixed)
    ]
    if words:
        parts += ["Query:", "\n".join(words)]
    parts += [
        part if part.startswith("- ") else textwrap.fill(part, 90) for part in verb.body_reference()
    ]
    if verb.large_body:
        parts.append("The body may have up to 10 MiB.")
    if verb.answers_job:
        parts.append("The answer is the number of a job. Takes an ``Idempotency-Key``.")
    return "\n\n".join(parts)


def _default(argument: Argument) -> str:
    return "" if argument.default is None else f"; default ``{argument.default}``"
