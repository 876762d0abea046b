"""Text for people: the order of names, words that stand for one thing each."""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Callable

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


def unique_words() -> Callable[[], str]:
    """Makes words of 16 letters and digits or more, each only once, in any process; from any
    thread. They follow each other, and so are no secrets."""
    mine, numbers = secrets.token_hex(5), itertools.count()
    return lambda: f"{mine}{next(numbers):06x}"
