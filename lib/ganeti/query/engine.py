"""The query engine: fields, kinds of things, and how a query is answered.

Theory. A *kind* is something that can be listed, such as instances or jobs. It has a
table of fields, and functions that return its rows. A *field* has a getter, which takes
a row and returns its value, or a ``ResultStatus`` that says why there is none. A
*reading* holds what one query has read so far. Its rows refer to it, so each node is
asked once, however many rows and fields need the answer, and only if a field that is
declared ``live`` is wanted.

A module for each kind registers it, and ``ganeti.query`` imports all of them; the
engine knows none by name.

A filter that only names things (``qlang.filters.keys``) is a list of keys to look up:
rows come in its order, and an unknown name is an error. With any other filter, rows
come in the kind's own order, and unknown names simply do not match. Clients of Ganeti
3.0 rely on both.

The state of a kind is one word that is cheap to compute. It changes with the whole
configuration and with the state of every guest. If the state was the same before two
answers to the same question, then the answers are the same; the reverse does not hold,
and another process has other states.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ganeti import errors, ht, luxi
from ganeti.config.config import Config
from ganeti.constants import ErrorCode, FieldKind, ResultStatus
from ganeti.hypervisor.hv_base import Guest, NodeResources
from ganeti.jqueue.queue import JobQueue
from ganeti.locking import LockManager
from ganeti.node.agents import Nodes
from ganeti.objects import ConfigObject, Group, Node
from ganeti.qlang import filters
from ganeti.qlang.filters import Comparison
from ganeti.utils.text import nice_key, nice_sorted

Row = TypeVar("Row")
_Answer = TypeVar("_Answer")

UNAVAIL, NODATA, OFFLINE = ResultStatus.UNAVAIL, ResultStatus.NODATA, ResultStatus.OFFLINE
_NORMAL = int(ResultStatus.NORMAL)

#: Kinds that Ganeti asks through opcodes only.
_BY_OPCODE = frozenset({"cluster", "os", "extstorage"})


@dataclass(frozen=True)
class Sources:
    """The parts of the master that queries read."""

    config: Config
    nodes: Nodes
    queue: JobQueue
    locks: LockManager


# -- fields and kinds ------------------------------------------------------------------


@dataclass(frozen=True)
class FieldDef(Generic[Row]):
    """A field: ``getter`` returns its value in a row, or a ``ResultStatus`` for none.

    Only the getter of a ``live`` field may ask nodes.
    """

    name: str
    title: str
    kind: FieldKind
    doc: str
    getter: Callable[[Row], object]
    live: bool = False
    comparison: Comparison = Comparison.PLAIN

    def definition(self) -> dict[str, str]:
        """Return the field as clients see it; Ganeti's tools fail on any other key."""
        return {"name": self.name, "title": self.title, "kind": str(self.kind), "doc": self.doc}


def unknown(name: str) -> FieldDef[Row]:
    """Return the field that answers for a name that does not exist."""
    return FieldDef(
        name,
        name or "?",
        FieldKind.UNKNOWN,
        f"There is no field '{name}'",
        lambda row: ResultStatus.UNKNOWN,
    )


def table(*groups: Iterable[FieldDef[Row]]) -> dict[str, FieldDef[Row]]:
    """Return the fields of several lists by name."""
    return {item.name: item for group in groups for item in group}


def common(what: str, stored: Callable[[Row], ConfigObject]) -> list[FieldDef[Row]]:
    """Return the fields that all stored objects have; ``what`` is the word for the object."""

    def field(name: str, title: str, kind: FieldKind, doc: str) -> FieldDef[Row]:
        value = operator.attrgetter(name)
        return FieldDef(name, title, kind, f"{doc} of the {what}", lambda row: value(stored(row)))

    return [
        field("uuid", "UUID", FieldKind.TEXT, "UUID"),
        field("serial_no", "SerialNo", FieldKind.NUMBER, "Number of the current version"),
        field("ctime", "CTime", FieldKind.TIMESTAMP, "Creation time"),
        field("mtime", "MTime", FieldKind.TIMESTAMP, "Time of the last change"),
        field("tags", "Tags", FieldKind.OTHER, "Tags"),
    ]


@dataclass(frozen=True)
class Kind(Generic[Row]):
    """A kind of thing that can be listed.

    ``rows`` returns all rows in order; it is passed the names of the selected fields.
    ``named`` returns the rows with some keys (values of the field ``key``), in the order
    of the keys, with None for an unknown one. Kinds without a ``key`` cannot look rows up.
    """

    name: str
    label: str  # in "Instance name x not found"
    fields: Mapping[str, FieldDef[Row]]
    rows: Callable[[Reading, Collection[str]], list[Row]]
    key: str | None = None
    key_type: type = str
    named: Callable[[Reading, Sequence[Any]], Sequence[Row | None]] | None = None
    #: Answers a query of one page, with the fields, the filter and ``Query.paging``.
    run_page: (
        Callable[[Sources, Sequence[str], object, Mapping[str, object]], luxi.Reply] | None
    ) = None
    #: All fields depend on the configuration and on running guests only.
    has_state: bool = False


#: Kinds by name.
KINDS: dict[str, Kind[Any]] = {}


def register(kind: Kind[Row]) -> Kind[Row]:
    """Make a kind known to queries, and return it."""
    KINDS[kind.name] = kind
    return kind


# -- what one query reads --------------------------------------------------------------


class once(Generic[Row, _Answer]):
    """A property that is computed when it is first read, like ``cached_property``.

    The latter takes a lock each time in Python 3.11, which costs a tenth of a list of
    thousands of rows. One thread makes a list, so no lock is needed.
    """

    def __init__(self, make: Callable[[Row], _Answer]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    def __get__(self, row: Row, owner: object) -> _Answer:
        value = row.__dict__[self._name] = self._make(row)
        return value


class Reading:
    """The data that one query reads; each node is asked once, and only if ``live``.

    ``needed`` are the names of the fields that rows and filter will look at.
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
        """Return the node with this uuid, which is looked up only once."""
        if uuid not in self._nodes:
            self._nodes[uuid] = self.config.node_by_uuid(uuid)
        return self._nodes[uuid]

    def group(self, uuid: str) -> Group:
        """Return the group with this uuid, which is looked up only once."""
        if uuid not in self._groups:
            self._groups[uuid] = self.config.group_by_uuid(uuid)
        return self._groups[uuid]

    def guests(self, node: Node) -> dict[str, Guest] | ResultStatus:
        """Return a node's running guests by name; OFFLINE, or NODATA if it does not answer."""
        if node.uuid not in self._guests:
            self._guests[node.uuid] = self._ask(node, self._running_guests)
        return self._guests[node.uuid]

    def _running_guests(self, node: Node) -> dict[str, Guest]:
        nodes = self.sources.nodes
        listings: list[Mapping[str, Guest]]
        if node.simulated:
            listings = [nodes.agent(node).guests()]
        else:
            # The master itself runs on this node and reads the drivers without an agent.
            listings = [driver.guests() for driver in nodes.drivers.values()]
        return {
            name: guest for guests in listings for name, guest in guests.items() if guest.running
        }

    @once
    def guests_anywhere(self) -> dict[str, Guest]:
        """The running guests of all nodes that answer, by name."""
        found: dict[str, Guest] = {}
        for node in self.config.nodes():
            guests = self.guests(node)
            if not isinstance(guests, ResultStatus):
                found.update(guests)
        return found

    def figures(self, node: Node) -> NodeResources | ResultStatus:
        """Return a node's size and free resources; OFFLINE, or NODATA if it does not answer."""
        if node.uuid not in self._figures:
            self._figures[node.uuid] = self._ask(
                node, lambda node: self.sources.nodes.agent(node).resources()
            )
        return self._figures[node.uuid]

    def _ask(self, node: Node, question: Callable[[Node], _Answer]) -> _Answer | ResultStatus:
        if not self._live:
            raise errors.ProgrammerError(f"a field asks node {node.name} and is not declared live")
        if node.offline:
            return OFFLINE
        try:
            return question(node)
        except errors.GenericError:
            return NODATA


# -- queries ---------------------------------------------------------------------------


def answer(sources: Sources, call: luxi.Query) -> dict[str, object] | luxi.Reply:
    """Answer Query, with the note that its ``paging`` or ``state`` asks for."""
    if call.paging is not None and call.what in KINDS:
        run_page = KINDS[call.what].run_page
        if run_page is not None:
            return run_page(sources, call.fields, call.qfilter, call.paging)
    # The state is read before the rows: after a change in between, a client knows a state
    # that is older than the rows and asks again, but never misses the change.
    state = None if call.state is None else state_of(sources, call.state)
    found = run(sources, call.what, call.fields, call.qfilter)
    return found if state is None else luxi.Reply(found, {"state": state})


def run(
    sources: Sources,
    what: str,
    fields: Sequence[str],
    filter_: object,
    page: Callable[[Reading], Iterable[Any]] | None = None,
) -> dict[str, object]:
    """Answer Query: ``{"fields": [definition, ...], "data": [[[status, value], ...], ...]}``.

    ``page`` returns the rows to filter; the default is all rows of the kind. Raise
    ``ParameterError`` for an invalid kind or filter, ``OpPrereqError`` (unknown_entity)
    for a name that is looked up and not found.
    """
    kind = _kind(what)
    chosen = [kind.fields.get(name) or unknown(name) for name in fields]
    tree = None if filter_ is None else filters.parse(filter_)
    rows: Iterable[Any]
    if tree is None:
        reading = Reading(sources, live=_is_live(kind, fields), needed=fields)
        rows = kind.rows(reading, fields) if page is None else page(reading)
    else:
        rows = _filtered_rows(sources, kind, fields, tree, page)
    getters = [item.getter for item in chosen]
    # This loop is most of the work of a long list. A comparison of classes is cheaper than
    # a call of ``isinstance`` for each cell, and ResultStatus has no subclasses.
    return {
        "fields": [item.definition() for item in chosen],
        "data": [
            [
                [int(value), None] if value.__class__ is ResultStatus else [_NORMAL, value]
                for value in [get(row) for get in getters]
            ]
            for row in rows
        ],
    }


def _filtered_rows(
    sources: Sources,
    kind: Kind[Row],
    fields: Sequence[str],
    tree: filters.Filter,
    page: Callable[[Reading], Iterable[Row]] | None,
) -> list[Row]:
    test = filters.make_test(tree, lambda name: _access(kind, name))
    needed = {*fields, *filters.fields(tree)}
    reading = Reading(sources, live=_is_live(kind, needed), needed=needed)
    if page is not None:
        return list(filter(test, page(reading)))
    keys = _keys(kind, tree)
    if keys is not None:
        return _look_up(kind, reading, keys)
    return list(filter(test, kind.rows(reading, fields)))


def field_list(what: str, names: Sequence[str] | None) -> dict[str, object]:
    """Answer QueryFields: ``{"fields": [definition, ...]}``, of these fields or of all."""
    kind = _kind(what)
    return {
        "fields": [
            (kind.fields.get(name) or unknown(name)).definition()
            for name in names or nice_sorted(list(kind.fields))
        ]
    }


def classic(
    sources: Sources, what: str, names: Sequence[str], fields: Sequence[str]
) -> list[list[object]]:
    """Answer a classic query: rows of plain values, in the kind's order.

    Rows are those with these names, or all if there are no names; an unknown name has no
    row. Raise ``OpPrereqError`` for an unknown field.
    """
    kind = _kind(what)
    getters = known_getters(kind, fields)
    reading = Reading(sources, live=_is_live(kind, fields), needed=fields)
    if not names or kind.named is None:
        return plain_rows(getters, kind.rows(reading, fields))
    assert kind.key is not None
    key = kind.fields[kind.key].getter
    found = {str(key(row)): row for row in kind.named(reading, names) if row is not None}
    return plain_rows(getters, [found[name] for name in sorted(found, key=nice_key)])


def known_getters(kind: Kind[Row], fields: Sequence[str]) -> list[Callable[[Row], object]]:
    """Return the getters of these fields; raise ``OpPrereqError`` for an unknown one."""
    unknown_names = [name for name in fields if name not in kind.fields]
    if unknown_names:
        raise errors.OpPrereqError(
            "Unknown output fields selected: " + ", ".join(unknown_names), ErrorCode.INVAL
        )
    return [kind.fields[name].getter for name in fields]


def plain_rows(
    getters: Sequence[Callable[[Row], object]], rows: Iterable[Row]
) -> list[list[object]]:
    """Return the values of each row, with None for any ``ResultStatus``."""
    found = [[get(row) for get in getters] for row in rows]
    return [[None if isinstance(value, ResultStatus) else value for value in row] for row in found]


def state_of(sources: Sources, what: str) -> str | None:
    """Return the state of a kind, or None for kinds that depend on more than this."""
    if what not in KINDS or not KINDS[what].has_state:
        return None
    config = sources.config.generation.token
    reading = Reading(sources, live=True, needed=())
    guests = 0
    for member in sources.config.nodes():
        found = reading.guests(member)
        # XOR, because the order in which nodes are listed must not matter.
        guests ^= hash(
            (member.uuid, found if isinstance(found, ResultStatus) else frozenset(found.items()))
        )
    return f"{config}.{guests & (2**64 - 1):x}"


def _kind(what: str) -> Kind[Any]:
    if what in _BY_OPCODE:
        raise errors.GenericError(f"Queries for '{what}' are not supported")
    if what not in KINDS:
        raise errors.ParameterError(
            f"Cannot query {ht.shorten(what)}; the kinds are {', '.join(sorted(KINDS))}"
        )
    return KINDS[what]


def _is_live(kind: Kind[Row], fields: Collection[str]) -> bool:
    return any(name in kind.fields and kind.fields[name].live for name in fields)


# -- filters ---------------------------------------------------------------------------


def _access(kind: Kind[Row], name: str) -> filters.FieldAccess[Row]:
    found = kind.fields.get(name)
    if found is None:
        raise errors.ParameterError(f"There is no field '{name}' to filter by")
    return filters.FieldAccess(found.getter, found.comparison)


def _keys(kind: Kind[Row], tree: filters.Filter) -> list[object] | None:
    """Return the keys to look up, or None if the filter does more than name things."""
    if kind.key is None:
        return None
    keys = filters.keys(tree, kind.key)
    if keys is None:
        return None
    for key in keys:
        if not isinstance(key, kind.key_type):
            raise errors.ParameterError(
                f"Field '{kind.key}' cannot be compared with {ht.shorten(key)}: it is "
                + ("a number" if kind.key_type is int else "a string")
            )
    return list(keys)


def _look_up(kind: Kind[Row], reading: Reading, keys: Sequence[object]) -> list[Row]:
    assert kind.named is not None
    rows = []
    for key, row in zip(keys, kind.named(reading, keys)):
        if row is None:
            raise errors.OpPrereqError(f"{kind.label} name {key} not found", ErrorCode.NOENT)
        rows.append(row)
    return rows
