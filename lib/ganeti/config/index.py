"""Objects of one kind in memory: found by name, uuid, short name or reference.

No step looks at all objects: adding or changing one costs the same in a large
cluster as in a small one (but for moving a list of pointers).
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from ganeti.constants import DiskTemplate
from ganeti.objects import Group, Instance, Node
from ganeti.utils.text import NiceKey, nice_key

_Named = TypeVar("_Named", Node, Group, Instance)


class ObjectIndex(Generic[_Named]):
    """The objects of one kind: by uuid, by name, in order, and by what they refer to.

    ``links`` answers the keys under which an object is found by ``linked``.
    """

    def __init__(self, links: Callable[[_Named], Iterable[tuple[str, object]]]) -> None:
        self._links: Callable[[_Named], Iterable[tuple[str, object]]] = links
        self._by_uuid: dict[str, _Named] = {}
        self._by_name: dict[str, _Named] = {}
        self._by_label: dict[str, set[str]] = {}
        self._order: list[NiceKey] = []
        self._linked: dict[tuple[str, object], dict[str, None]] = {}

    def put(self, value: _Named) -> None:
        """Add an object, or replace the one with its uuid."""
        self.drop(value.uuid, renamed=value.name)
        if value.name not in self._by_name:
            bisect.insort(self._order, nice_key(value.name))
            self._by_label.setdefault(_label(value.name), set()).add(value.name)
        self._by_uuid[value.uuid] = self._by_name[value.name] = value
        for key in self._links(value):
            self._linked.setdefault(key, {})[value.uuid] = None

    def drop(self, uuid: str, *, renamed: str = "") -> None:
        """Remove an object if it is there; its name stays listed if it is ``renamed``."""
        old = self._by_uuid.pop(uuid, None)
        if old is None:
            return
        for key in self._links(old):
            found = self._linked.get(key, {})
            found.pop(uuid, None)
            if not found:
                self._linked.pop(key, None)
        if old.name != renamed:
            del self._by_name[old.name]
            del self._order[bisect.bisect_left(self._order, nice_key(old.name))]
            names = self._by_label[_label(old.name)]
            names.discard(old.name)
            if not names:
                del self._by_label[_label(old.name)]

    def all(self) -> list[_Named]:
        """All of them, in the order of their names."""
        return [self._by_name[name] for _, name in self._order]

    def get(self, uuid: str) -> _Named | None:
        """The one with this uuid."""
        return self._by_uuid.get(uuid)

    def find(self, name: str) -> _Named | None:
        """By exact name, else uuid, else by the only name that it begins, up to a dot."""
        found = self._by_name.get(name) or self._by_uuid.get(name)
        if found is None:
            wanted = name.lower()
            names = [
                other
                for other in self._by_label.get(_label(name), ())
                if f"{other.lower()}.".startswith(f"{wanted}.")
            ]
            found = self._by_name[names[0]] if len(names) == 1 else None
        return found

    def linked(self, what: str, key: object) -> list[_Named]:
        """Those that refer to something, in the order of their names."""
        found = [self._by_uuid[uuid] for uuid in self._linked.get((what, key), ())]
        return sorted(found, key=lambda value: nice_key(value.name))

    def has_link(self, what: str, key: object) -> bool:
        """Does any object refer to this?"""
        return (what, key) in self._linked


def _label(name: str) -> str:
    return name.partition(".")[0].lower()


def instance_links(instance: Instance) -> Iterator[tuple[str, object]]:
    """What an instance is found by: its nodes, MAC addresses and ports."""
    yield "primary", instance.primary_node
    for node in instance.secondary_nodes:
        yield "secondary", node
    for nic in instance.nics:
        yield "mac", nic.mac
    for port in _ports(instance):
        yield "port", port


def _ports(instance: Instance) -> list[int]:
    """Network ports that an instance has: its console's and its mirrored disks'."""
    ports = [] if instance.network_port is None else [instance.network_port]
    return ports + [
        disk.logical_id[2] for disk in instance.disks if disk.dev_type == DiskTemplate.DRBD
    ]
