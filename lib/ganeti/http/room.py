"""Memory for bodies that are not whole yet: bounded for all clients together.

Theory. A body is read before anybody asks who sends it, and two thousand clients could
each hold back the last byte of a large one. So what is here of such bodies is counted.
When it is too much, one of them gives way: that which began first, among those of clients
that never proved who they are if there is one. An honest body is whole within moments;
one that is held back for the memory that it takes has been here the longest.

For the loop's thread alone.
"""

from __future__ import annotations

from typing import Protocol

#: Bytes of all large bodies together.
SIZE = 64 * 1024 * 1024
#: A body of so few bytes is not counted: two thousand of them are half of that.
SMALL = 16 * 1024


class Holder(Protocol):
    """Whoever receives a body."""

    #: Has its client ever proved who it is?
    authenticated: bool

    def give_way(self) -> None:
        """Refuse the body, forget what is here of it, and leave the room."""


class Room:
    """Who holds how much; ``size`` is in bytes."""

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._total = 0
        #: In the order in which they came.
        self._held: dict[Holder, int] = {}

    @property
    def total(self) -> int:
        """Bytes at this moment."""
        return self._total

    def hold(self, holder: Holder, amount: int) -> None:
        """So much of its body is here now. Somebody may have to give way, it itself perhaps."""
        if amount <= SMALL:
            return
        self._total += amount - self._held.get(holder, 0)
        self._held[holder] = amount
        while self._total > self._size:
            min(self._held, key=lambda one: one.authenticated).give_way()

    def leave(self, holder: Holder) -> None:
        """Its body is whole, or not wanted any more."""
        self._total -= self._held.pop(holder, 0)
