"""What a field is, what a kind of thing is, and what one query has read so far."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from ganeti import errors
from ganeti.config.config import Config
from ganeti.constants import FieldKind, ResultStatus
from ganeti.hypervisor.hv_base import Guest, NodeResources
from ganeti.jqueue.queue import JobQueue
from ganeti.locking import LockManager
from ganeti.node.agents import Nodes
from ganeti.objects import Group, Node
from ganeti.qlang.filters import Comparison

Row = TypeVar("Row")
_Answer = TypeVar("_Answer")

UNAVAIL, NODATA, OFFLINE = ResultStatus.UNAVAIL, ResultStatus.NODATA, ResultStatus.OFFLINE


@dataclass(frozen=True)
class Sources:
    """Where everything comes from."""

    config: Config
    nodes: Nodes
    queue: JobQueue
    locks: LockManager


@dataclass(frozen=True)
class FieldDef(Generic[Row]):
    """One field: ``getter`` gives its value in a row, or a ``ResultStatus`` where it has none.

    ``live`` says that nodes have to be asked for it; a getter of another field
    cannot ask them.
    """

    name: str
    title: str
    kind: FieldKind
    doc: str
    getter: Callable[[Row], Any]
    live: bool = False
    comparison: Comparison = Comparison.PLAIN

    def definition(self) -> dict[str, str]:
        """As clients see it: exactly these keys, or Ganeti's tools fail."""
        return {"name": self.name, "title": self.title, "kind": str(self.kind), "doc": self.doc}


def unknown(name: str) -> FieldDef[Any]:
    """The place of a field that does not exist."""
    return FieldDef(
        name,
        name or "?",
        FieldKind.UNKNOWN,
        f"There is no field '{name}'",
        lambda row: ResultStatus.UNKNOWN,
    )


def table(*groups: Iterable[FieldDef[Row]]) -> dict[str, FieldDef[Row]]:
    """Fields by name, from several lists."""
    return {item.name: item for group in groups for item in group}


@dataclass(frozen=True)
class Kind(Generic[Row]):
    """A kind of thing that can be asked for.

    ``rows`` are all of them in order; it is told the fields that were asked
    for. ``named`` finds some by their ``key``, in the order of the keys, with
    None for an unknown one; kinds without ``key`` cannot do that.
    """

    name: str
    label: str  # in "Instance name x not found"
    fields: Mapping[str, FieldDef[Row]]
    rows: Callable[[Reading, Collection[str]], list[Row]]
    key: str | None = None
    key_type: type = str
    named: Callable[[Reading, Sequence[Any]], Sequence[Row | None]] | None = None


class once(Generic[Row, _Answer]):
    """A property that is made when it is first looked at, as ``cached_property`` is.

    That of Python 3.11 takes a lock each time: in lists of thousands of rows, which one
    thread makes, a tenth of all work.
    """

    def __init__(self, make: Callable[[Row], _Answer]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    def __get__(self, row: Row, owner: object) -> _Answer:
        value = row.__dict__[self._name] = self._make(row)
        return value


class Reading:
    """What one query reads: each node is asked once, and only if ``live``.

    ``needed`` are the fields that will be looked at, in rows and by the filter.
    """

    def __init__(self, sources: Sources, *, live: bool, needed: Collection[str]) -> None:
        self.sources = sources
        self.needed = needed
        self.config = sources.config
        self._live = live
        self._nodes: dict[str, Node] = {}
        self._groups: dict[str, Group] = {}
        self._guests: dict[str, dict[str, Guest] | ResultStatus] = {}
        self._figures: dict[str, NodeResources | ResultStatus] = {}

    def node(self, uuid: str) -> Node:
        """The node with this uuid."""
        if uuid not in self._nodes:
            self._nodes[uuid] = self.config.node_by_uuid(uuid)
        return self._nodes[uuid]

    def group(self, uuid: str) -> Group:
        """The group with this uuid."""
        if uuid not in self._groups:
            self._groups[uuid] = self.config.group_by_uuid(uuid)
        return self._groups[uuid]

    def guests(self, node: Node) -> dict[str, Guest] | ResultStatus:
        """The guests that run on a node by name; OFFLINE, or NODATA if it does not answer."""
        if node.uuid not in self._guests:
            self._guests[node.uuid] = self._ask(node, lambda: self._running_guests(node))
        return self._guests[node.uuid]

    def _running_guests(self, node: Node) -> dict[str, Guest]:
        guests = self.sources.nodes.agent(node).guests()
        return {name: guest for name, guest in guests.items() if guest.running}

    @once
    def guests_anywhere(self) -> dict[str, Guest]:
        """The guests that run on any node that answers."""
        found: dict[str, Guest] = {}
        for node in self.config.nodes():
            guests = self.guests(node)
            if not isinstance(guests, ResultStatus):
                found.update(guests)
        return found

    def figures(self, node: Node) -> NodeResources | ResultStatus:
        """A node's size and what is free; OFFLINE, or NODATA if it does not answer."""
        if node.uuid not in self._figures:
            self._figures[node.uuid] = self._ask(
                node, lambda: self.sources.nodes.agent(node).resources()
            )
        return self._figures[node.uuid]

    def _ask(self, node: Node, question: Callable[[], _Answer]) -> _Answer | ResultStatus:
        if not self._live:
            raise errors.ProgrammerError(f"a field asks node {node.name} and is not declared live")
        if node.offline:
            return OFFLINE
        try:
            return question()
        except errors.GenericError:
            return NODATA


# -- fields that all stored objects have ----------------------------------------------


class _Stored(Protocol):
    @property
    def uuid(self) -> str: ...

    @property
    def serial_no(self) -> int: ...

    @property
    def ctime(self) -> float: ...

    @property
    def mtime(self) -> float: ...

    @property
    def tags(self) -> list[str]: ...


def common(what: str, stored: Callable[[Row], _Stored]) -> list[FieldDef[Row]]:
    """uuid, serial number, times and tags; ``what`` is the word for the thing."""
    return [
        FieldDef(
            "uuid",
            "UUID",
            FieldKind.TEXT,
            f"What identifies the {what} for good",
            lambda row: stored(row).uuid,
        ),
        FieldDef(
            "serial_no",
            "SerialNo",
            FieldKind.NUMBER,
            f"Grows by one with each change of the {what}",
            lambda row: stored(row).serial_no,
        ),
        FieldDef(
            "ctime",
            "CTime",
            FieldKind.TIMESTAMP,
            f"When the {what} was created",
            lambda row: stored(row).ctime,
        ),
        FieldDef(
            "mtime",
            "MTime",
            FieldKind.TIMESTAMP,
            f"When the {what} was last changed",
            lambda row: stored(row).mtime,
        ),
        FieldDef(
            "tags",
            "Tags",
            FieldKind.OTHER,
            f"Tags of the {what}",
            lambda row: list(stored(row).tags),
        ),
    ]
