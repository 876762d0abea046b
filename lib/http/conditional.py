"""Conditional GET: a client that has the answer already gets 304 (RFC 9110, 13).

Tags are weak: they say that two answers mean the same, whatever their coding.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

#: Begins a tag of a state; no tag of a body begins so.
STATE = "state-"

_TAG = r'(?:W/)?"[!#-~\x80-\xff]*"'
_LIST = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_OPAQUE = re.compile(r'(?:W/)?("[!#-~\x80-\xff]*")')


class BodyTag:
    """The tag of a body that comes in pieces."""

    def __init__(self, body: bytes = b"") -> None:
        self._digest = hashlib.blake2b(body, digest_size=12)
        self.add = self._digest.update

    def __str__(self) -> str:
        return f'W/"{self._digest.hexdigest()}"'


def body_tag(body: bytes) -> str:
    """The tag of these bytes."""
    return str(BodyTag(body))


def state_tag(*words: str) -> str:
    """The tag of what follows from these words: of an answer that is not made yet."""
    digest = hashlib.blake2b("\n".join(words).encode(), digest_size=12).hexdigest()
    return f'W/"{STATE}{digest}"'


def has_state_tag(lines: Sequence[str]) -> bool:
    """May an ``If-None-Match`` of these lines name one of ``state_tag``?"""
    return any('"' + STATE in line for line in lines)


def matches(tag: str, lines: Sequence[str]) -> bool:
    """Does an ``If-None-Match`` of these lines name the tag (weak comparison, 8.8.3.2)?

    A value that is malformed matches nothing: the client gets the answer.
    """
    value = ", ".join(lines).strip(" \t")
    if value == "*":
        return True
    if not lines or _LIST.fullmatch(value) is None:
        return False
    return tag.removeprefix("W/") in _OPAQUE.findall(value)
