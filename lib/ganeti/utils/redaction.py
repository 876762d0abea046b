"""Secret values taken out of a program's output before others read it.

A program prints a secret as it is, or as a shell traces it (``set -x``), as JSON, with its
line ends turned into blanks (``echo $X``), or one line of it. Each of these is replaced,
wherever it is. A value of one or two characters is different: replaced wherever it is, it
would leave nothing to read, and show by the gaps what it was. It is replaced where it is a
word or number of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

#: What others read in place of a secret.
REDACTED = "<redacted>"
#: Values of fewer characters are replaced only where they are a word of their own.
_ANYWHERE_MIN = 3

#: By the class of a short value's first or last character: what must not be next to it.
_OPENING = {"letter": r"(?<![^\W\d_])", "digit": r"(?<!\d)", "other": r"(?<![^\s=:,'\"])"}
_CLOSING = {"letter": r"(?![^\W\d_])", "digit": r"(?!\d)", "other": r"(?![^\s=:,;'\"])"}


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text without the values of ``secrets``, which may have any number of lines."""
    patterns = {form: _pattern(form) for secret in secrets for form in _forms(secret)}
    if not patterns:
        return text
    # The longest first: one value may be a part of another.
    longest_first = sorted(patterns, key=len, reverse=True)
    return re.sub("|".join(patterns[form] for form in longest_first), REDACTED, text)


def _forms(secret: str) -> Iterator[str]:
    """How a program may print a value; blank values tell nothing."""
    if not secret.strip():
        return
    lines = (line.strip() for line in secret.splitlines())
    for text in (
        secret,
        secret.strip(),
        " ".join(secret.split()),
        *(line for line in lines if len(line) >= _ANYWHERE_MIN),
    ):
        yield text
        yield text.replace("'", "'\\''")  # bash -x
        yield text.replace("'", "'\"'\"'")  # dash -x
        yield json.dumps(text)[1:-1]
        yield json.dumps(text, ensure_ascii=False)[1:-1]


def _pattern(form: str) -> str:
    if len(form) >= _ANYWHERE_MIN:
        return re.escape(form)
    return _OPENING[_class_of(form[0])] + re.escape(form) + _CLOSING[_class_of(form[-1])]


def _class_of(character: str) -> str:
    if character.isalpha():
        return "letter"
    return "digit" if character.isdigit() else "other"
