"""Text for people: order of names."""

from __future__ import annotations

import re

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
