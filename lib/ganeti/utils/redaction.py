"""Replaces secret values in a program's output before others read it.

A program may print a secret unchanged, as a shell traces it (``set -x``), as JSON, with blanks
instead of line ends (``echo $X``), or only one of its lines. Each of these forms is replaced
wherever it occurs. A value of one or two characters is replaced only where it is a whole word
or number: otherwise the text would become illegible, and the gaps would show the value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

#: Replaces a secret.
REDACTED = "<redacted>"
#: Values of fewer characters are replaced only where they are whole words.
_ANYWHERE_MIN = 3

#: Class of a short value's first or last character -> characters that must not be next to it.
_OPENING = {"letter": r"(?<![^\W\d_])", "digit": r"(?<!\d)", "other": r"(?<![^\s=:,'\"])"}
_CLOSING = {"letter": r"(?![^\W\d_])", "digit": r"(?!\d)", "other": r"(?![^\s=:,;'\"])"}


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return the text with the values of ``secrets`` replaced; a value may have several lines."""
    patterns = {form: _pattern(form) for secret in secrets for form in _forms(secret)}
    if not patterns:
        return text
    # The longest first: a value may be part of another one.
    longest_first = sorted(patterns, key=len, reverse=True)
    return re.sub("|".join(patterns[form] for form in longest_first), REDACTED, text)


def _forms(secret: str) -> Iterator[str]:
    """Yield the forms in which a program may print a value; none for a blank value."""
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
