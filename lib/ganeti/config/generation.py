"""How often something has changed: a word for its state, and what was made of that."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Generation:
    """Counts the changes of something that others read at the same time.

    Whoever changes it calls ``count`` when that is done: so what was read in between belongs
    to the state before, and is not taken for that afterwards.
    """

    def __init__(self) -> None:
        self._boot = secrets.token_hex(8)
        self._number = 0
        self._derived: dict[str, tuple[int, Any]] = {}

    def count(self) -> None:
        """It has changed. Not for two threads at a time."""
        self._number += 1

    @property
    def word(self) -> str:
        """What no other state has, in this process or another."""
        return f"{self._boot}.{self._number}"

    def derived(self, name: str, make: Callable[[], T]) -> T:
        """What ``make`` makes of the present state alone: made once, and changed by nobody."""
        number = self._number
        found = self._derived.get(name)
        if found is None or found[0] != number:
            found = self._derived[name] = number, make()
        value: T = found[1]
        return value
