"""Who is connected, and who makes room when there are too many.

The connection that has waited longest, for a request or for its client to take an answer,
without ever having authenticated makes room for a new one, whether it is idle or half
through a request: else a flood of half requests would stay, and who has just come would go.
Where there is none, the authenticated one that has been idle longest does.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar


class Guest(Protocol):
    """Who has a seat."""

    authenticated: bool

    def close(self) -> None:
        """Go at once."""

    def drain(self) -> None:
        """Go, unless a request has come in this moment."""


G = TypeVar("G", bound=Guest)


class Seats(Generic[G]):
    """At most ``limit``, but for who came while another one was just served."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.taken: set[G] = set()
        #: Those who may have to go, who has waited longest first: strangers, and the others.
        self._strangers: dict[G, None] = {}
        self._idle: dict[G, None] = {}

    def __len__(self) -> int:
        return len(self.taken)

    @property
    def full(self) -> bool:
        """Is there room for nobody, and nobody who could make some?"""
        return len(self.taken) >= self._limit and not (self._strangers or self._idle)

    def make_room(self) -> None:
        """Have somebody go, if all seats are taken."""
        if len(self.taken) >= self._limit:
            self.evict()

    def evict(self) -> bool:
        """Have whoever comes first go; is there anybody?"""
        for guest in self._strangers:
            guest.close()
            return True
        for guest in self._idle:
            guest.drain()
            return True
        return False

    def take(self, guest: G) -> None:
        """Somebody new, who waits."""
        self.taken.add(guest)
        self._strangers[guest] = None

    def waits(self, guest: G, idle: bool) -> bool:
        """It waits for its client, and is ``idle`` if for a request; can it make room now?"""
        if not guest.authenticated:
            self._strangers[guest] = None
        elif idle:
            self._idle[guest] = None
        else:
            return False
        return True

    def works(self, guest: G) -> None:
        """It is busy, and stays."""
        self._strangers.pop(guest, None)
        self._idle.pop(guest, None)

    def leave(self, guest: G) -> None:
        """It has gone."""
        self.taken.discard(guest)
        self.works(guest)
