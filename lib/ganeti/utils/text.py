"""Text: natural order of names, messages for ``OSError``, unique words."""

from __future__ import annotations

import itertools
import os
import re
import secrets
from collections.abc import Callable

#: Names that a user of the remote API may have.
USER_NAME = re.compile(r"[A-Za-z0-9_.@+-]{1,128}", re.ASCII)

_DIGITS = re.compile(r"([0-9]+)", re.ASCII)

NiceKey = tuple[tuple[str | tuple[int, str], ...], str]


def nice_key(name: str) -> NiceKey:
    """Return a sort key that puts node2 before node10: runs of digits compare as numbers.

    Numbers are compared by their length without leading zeros, then by their digits, so that
    a run of digits may have any length (int() has a limit). The name itself comes last: names
    that differ only in leading zeros have a fixed order.
    """
    parts = _DIGITS.split(name)
    key: list[str | tuple[int, str]] = []
    for index, part in enumerate(parts):
        if index % 2:
            digits = part.lstrip("0")
            key.append((len(digits), digits))
        else:
            key.append(part)
    return tuple(key), name


def nice_sorted(names: list[str]) -> list[str]:
    """Return names in natural order; see ``nice_key``."""
    return sorted(names, key=nice_key)


def describe_os_error(err: OSError) -> str:
    """Return the message of an ``OSError`` as ``FILE: reason``.

    ``str(err)`` would begin with "[Errno 13]", which does not help an administrator.
    """
    reason = err.strerror or str(err) or type(err).__name__
    files = [
        os.fsdecode(name)
        for name in (err.filename, err.filename2)
        if isinstance(name, (str, bytes))
    ]
    return ": ".join([" -> ".join(files), reason] if files else [reason])


def unique_words() -> Callable[[], str]:
    """Return a function that returns a new word of at least 16 hexadecimal digits each time.

    No other process makes the same words. Any thread may call it. The words are consecutive,
    so they must not be used as secrets.
    """
    mine, numbers = secrets.token_hex(5), itertools.count()
    return lambda: f"{mine}{next(numbers):06x}"
