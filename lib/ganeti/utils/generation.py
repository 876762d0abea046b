"""A counter of changes, which names each state and caches what is computed from it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TypeVar, cast

T = TypeVar("T")


class Generation:
    """Counter of the changes of something that others read at the same time.

    Call ``advance`` when a change is complete. A value that was computed during the change
    is then cached for the old state, and never used for the new one.
    """

    def __init__(self) -> None:
        self._process = secrets.token_hex(8)
        self._number = 0
        self._cached: dict[str, tuple[int, object]] = {}

    def advance(self) -> None:
        """Record a change; callers must not do so from two threads at once."""
        self._number += 1

    @property
    def token(self) -> str:
        """Return a text that no other state has, in this process or another."""
        return f"{self._process}.{self._number}"

    def cached(self, name: str, make: Callable[[], T]) -> T:
        """Return the value that ``make`` computed for this state; callers must not change it."""
        number = self._number
        found = self._cached.get(name)
        if found is not None and found[0] == number:
            return cast("T", found[1])
        value = make()
        self._cached[name] = number, value
        return value
