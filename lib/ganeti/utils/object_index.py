"""Objects in memory, found by uuid, name, short name or reference.

No step looks at all objects, so adding or changing one costs the same in a large
cluster as in a small one, except for moving a list of pointers. Callers lock.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from ganeti.utils.text import NiceKey, nice_key


class Named(Protocol):
    """An object that an index can hold."""

    @property
    def uuid(self) -> str: ...

    @property
    def name(self) -> str: ...


_Object = TypeVar("_Object", bound=Named)


class ObjectIndex(Generic[_Object]):
    """Objects of one kind, indexed by uuid, by name and by the keys that ``links`` returns.

    ``by_uuid`` and ``in_order`` (sorted by name) are attributes because lists of
    thousands of objects read them; only ``put`` and ``drop`` change them.
    """

    def __init__(self, links: Callable[[_Object], Iterable[tuple[str, object]]]) -> None:
        self._links: Callable[[_Object], Iterable[tuple[str, object]]] = links
        self.by_uuid: dict[str, _Object] = {}
        self.in_order: list[_Object] = []
        self._by_name: dict[str, _Object] = {}
        self._by_label: dict[str, set[str]] = {}
        self._order: list[NiceKey] = []  # the sort keys of ``in_order``
        self._linked: dict[tuple[str, object], dict[str, None]] = {}

    def put(self, value: _Object) -> None:
        """Add an object, or replace the one with its uuid."""
        self.drop(value.uuid, keep_name=value.name)
        key = nice_key(value.name)
        position = bisect.bisect_left(self._order, key)
        if value.name in self._by_name:  # it replaces an object, and the order stays
            self.in_order[position] = value
        else:
            self._order.insert(position, key)
            self.in_order.insert(position, value)
            self._by_label.setdefault(_label(value.name), set()).add(value.name)
        self.by_uuid[value.uuid] = self._by_name[value.name] = value
        for link in self._links(value):
            self._linked.setdefault(link, {})[value.uuid] = None

    def drop(self, uuid: str, *, keep_name: str = "") -> None:
        """Remove an object if it exists; its name stays listed if it equals ``keep_name``."""
        old = self.by_uuid.pop(uuid, None)
        if old is None:
            return
        for link in self._links(old):
            found = self._linked.get(link, {})
            found.pop(uuid, None)
            if not found:
                self._linked.pop(link, None)
        if old.name != keep_name:
            del self._by_name[old.name]
            position = bisect.bisect_left(self._order, nice_key(old.name))
            del self._order[position], self.in_order[position]
            names = self._by_label[_label(old.name)]
            names.discard(old.name)
            if not names:
                del self._by_label[_label(old.name)]

    def find(self, name: str) -> _Object | None:
        """Return the object with this name, else this uuid, else this unambiguous short name.

        A short name is a name up to one of its dots, in any case of letters.
        """
        found = self._by_name.get(name) or self.by_uuid.get(name)
        if found is None:
            wanted = name.lower()
            names = [
                other
                for other in self._by_label.get(_label(name), ())
                if f"{other.lower()}.".startswith(f"{wanted}.")
            ]
            found = self._by_name[names[0]] if len(names) == 1 else None
        return found

    def linked(self, what: str, key: object) -> list[_Object]:
        """Return the objects that refer to something, in the order of their names."""
        found = [self.by_uuid[uuid] for uuid in self._linked.get((what, key), ())]
        return sorted(found, key=lambda value: nice_key(value.name))

    def has_link(self, what: str, key: object) -> bool:
        """Return whether any object refers to this."""
        return (what, key) in self._linked


def _label(name: str) -> str:
    return name.partition(".")[0].lower()
