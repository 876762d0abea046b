"""Memory and disk of nodes: does it fit, and where is room.

Creations and starts run side by side, and what one of them is about to take
the node does not show yet. So each one reserves what it needs, in memory, as
long as its job works; free is what the node says less what is reserved. Asking
and reserving is one step under one lock: two jobs never count the same room.

When nobody says where an instance shall live, it goes to the node with the
most free memory that has room for it; among equals to the first by name. Groups
that are a last resort come last, unallocable ones never. This stands in for
Ganeti's allocator ``hail``, whose name we therefore accept.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ganeti import constants, errors
from ganeti.config.config import Config
from ganeti.constants import ErrorCode
from ganeti.node.agents import Nodes
from ganeti.objects import Node

#: Names of allocators that mean the one described above; "." is Ganeti's for the default.
ALLOCATORS = frozenset({"hail", "."})

_asking = threading.Lock()


@dataclass(frozen=True)
class Need:
    """What an instance takes, in MiB; ``disk`` on each of its nodes."""

    memory: int
    disk: int
    purpose: str


@dataclass(frozen=True)
class NodeCapacity:
    """What is free on a node, in MiB."""

    node: Node
    memory: int
    disk: int

    def shortage(self, need: Need, *, memory: bool) -> str | None:
        """What is missing, in words, or None; a secondary node needs no memory."""
        if memory and need.memory > self.memory:
            return (
                f"{need.purpose} needs {need.memory} MiB of memory, node "
                f"'{self.node.name}' has {max(0, self.memory)} MiB free"
            )
        if need.disk > self.disk:
            return (
                f"{need.purpose} needs {need.disk} MiB of disk, node "
                f"'{self.node.name}' has {max(0, self.disk)} MiB free"
            )
        return None


def room_on(config: Config, nodes: Nodes, node: Node) -> NodeCapacity:
    """What a node has free, less what is reserved; ``OpPrereqError`` if it does not say."""
    try:
        figures = nodes.agent(node).figures()
    except errors.GenericError as err:
        raise errors.OpPrereqError(
            f"Node '{node.name}' does not answer: {err}", ErrorCode.ENVIRON
        ) from err
    memory, disk = config.reservations.reserved(node.uuid)
    return NodeCapacity(node, figures.memory_free - memory, figures.disk_free - disk)


def reserve_memory(
    config: Config, nodes: Nodes, job_id: int, node: Node, memory: int, purpose: str
) -> None:
    """Set memory aside for a start; ``OpPrereqError`` (insufficient_resources) if it is short."""
    reserve(config, nodes, job_id, [node], Need(memory, 0, purpose))


def reserve(config: Config, nodes: Nodes, job_id: int, members: Sequence[Node], need: Need) -> None:
    """Set aside what an instance needs on its primary node and, disk only, on the others."""
    with _asking:
        for node in members:
            problem = room_on(config, nodes, node).shortage(need, memory=node is members[0])
            if problem:
                raise errors.OpPrereqError(problem, ErrorCode.NORES)
        _set_aside(config, job_id, members, need)


def choose(
    config: Config, nodes: Nodes, job_id: int, need: Need, count: int, fits: Callable[[Node], bool]
) -> list[Node]:
    """Find ``count`` nodes, the primary first, and set aside what the instance needs.

    ``fits`` says whether a node can be one at all. ``OpPrereqError``
    (insufficient_resources) if there are not enough.
    """
    with _asking:
        rooms = _by_preference(config, nodes, fits)
        for primary in rooms:
            mates = [
                room.node
                for room in rooms
                if room is not primary
                and room.node.group == primary.node.group
                and not room.shortage(need, memory=False)
            ]
            if not primary.shortage(need, memory=True) and len(mates) >= count - 1:
                chosen = [primary.node, *mates[: count - 1]]
                _set_aside(config, job_id, chosen, need)
                return chosen
    shortages = [room.shortage(need, memory=True) for room in rooms]
    why = "; ".join(filter(None, shortages)) or f"{len(rooms)} node(s) can be used"
    wanted = "No node" if count == 1 else f"No {count} nodes"
    raise errors.OpPrereqError(f"{wanted} can take this instance: {why}", ErrorCode.NORES)


def give_back_disk(config: Config, job_id: int, members: Sequence[Node], need: Need) -> None:
    """The disks are made: a simulated node counts them itself from now on.

    This machine counts them once they are in the configuration, or written to.
    """
    for node in members:
        if node.simulated:
            config.reservations.reserve_resources(job_id, node.uuid, 0, -need.disk)


def _set_aside(config: Config, job_id: int, members: Sequence[Node], need: Need) -> None:
    for node in members:
        memory = need.memory if node is members[0] else 0
        config.reservations.reserve_resources(job_id, node.uuid, memory, need.disk)


def _by_preference(
    config: Config, nodes: Nodes, fits: Callable[[Node], bool]
) -> list[NodeCapacity]:
    """Rooms of the nodes that can be used and answer, the best first."""
    policies = {
        group.uuid: constants.ALLOC_POLICIES.index(group.alloc_policy)
        for group in config.groups()
        if group.alloc_policy != "unallocable"
    }
    rooms: list[NodeCapacity] = []
    for node in config.nodes():
        if node.group in policies and _usable(node) and fits(node):
            try:
                rooms.append(room_on(config, nodes, node))
            except errors.OpPrereqError:
                continue  # a node that does not answer has no room
    # The sort is stable, and nodes come in the order of their names.
    return sorted(rooms, key=lambda room: (policies[room.node.group], -room.memory))


def _usable(node: Node) -> bool:
    return not node.offline and not node.drained and node.vm_capable
