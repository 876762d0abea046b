"""The reference of all resources as reStructuredText, from their classes.

``doc/rapi.rst`` holds the text between two marks; a test fails when it drifts, and
``autotools/rapi-reference`` writes it again.
"""

from __future__ import annotations

import inspect
import textwrap

from ganeti.rapi import rlib2
from ganeti.rapi.arguments import Argument, Fixed
from ganeti.rapi.baserlib import SLOT, Resource, Verb

BEGIN = ".. -- resources, written by autotools/rapi-reference --\n"
END = ".. -- end of the resources --\n"


def resources() -> str:
    """Every resource that can be reached, sorted by URI."""
    return "\n".join(_resource(one) for one in sorted(rlib2.RESOURCES, key=lambda one: one.URI))


def replace(text: str) -> str:
    """A page with the part between the marks written anew."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no marks for the resources")
    return f"{before}{BEGIN}\n{resources()}\n{END}{after}"


def _heading(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}\n"


def _uri(uri: str) -> str:
    """Slots as the page of the 2.0 API prints them."""
    return SLOT.sub(r"[\1]", uri)


def _resource(resource: type[Resource]) -> str:
    parts = [_heading(_uri(resource.URI), "+"), inspect.getdoc(resource) or ""]
    if resource.ALIASES:
        parts.append(
            "Also read as " + ", ".join(f"``{_uri(alias)}``" for alias in resource.ALIASES) + "."
        )
    if resource.PUBLIC:
        parts.append("Answers without a user, also where authentication is required.")
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
        parts.append("Takes a body of up to 10 MiB.")
    if verb.answers_job:
        parts.append("Answers the number of a job; takes an ``Idempotency-Key``.")
    return "\n\n".join(parts)


def _default(argument: Argument) -> str:
    return "" if argument.default is None else f"; default ``{argument.default}``"
