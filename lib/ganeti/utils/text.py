"""Text for people: the order of names, words for an ``OSError``, words for one use."""

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
    """Sort key that puts node2 before node10: runs of digits compare as numbers.

    A number is compared by its length without leading zeros, then its digits,
    so that no run of digits is too long. Names that differ in leading zeros
    only keep a fixed order.
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
    """The names in the order that people expect."""
    return sorted(names, key=nice_key)


def describe_os_error(err: OSError) -> str:
    """The words of an ``OSError`` for people: ``FILE: reason``, without the number.

    ``str(err)`` would begin with "[Errno 13]", which tells an administrator nothing.
    """
    reason = err.strerror or str(err) or type(err).__name__
    files = [
        os.fsdecode(name)
        for name in (err.filename, err.filename2)
        if isinstance(name, (str, bytes))
    ]
    return ": ".join([" -> ".join(files), reason] if files else [reason])


def unique_words() -> Callable[[], str]:
    """Makes words of 16 letters and digits or more, each only once, in any process; from any
    thread. They follow each other, and so are no secrets."""
    mine, numbers = secrets.token_hex(5), itertools.count()
    return lambda: f"{mine}{next(numbers):06x}"
