"""Memory and disk of nodes: whether an instance fits, and on which node.

Creations and starts run side by side, and a node does not show yet what one of
them is about to take. So each job reserves what it needs, in memory, while it
runs; free is what the node reports less what is reserved. Asking and reserving
is one step under one lock: two jobs never count the same memory.

An instance without a given node goes to the node with the most free memory on
which it fits; among equals to the first by name. Groups that are a last resort
come last, unallocable ones never. This replaces Ganeti's allocator ``hail``,
whose name we therefore accept.
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

_allocation_lock = threading.Lock()


@dataclass(frozen=True)
class Need:
    """The MiB that an instance takes; ``disk`` on each of its nodes."""

    memory: int
    disk: int
    purpose: str


@dataclass(frozen=True)
class NodeCapacity:
    """The MiB that are free on a node."""

    node: Node
    memory: int
    disk: int

    def shortage(self, need: Need, *, memory: bool) -> str | None:
        """Describe what is missing, or return None; a secondary node needs no memory."""
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


def free_capacity(config: Config, nodes: Nodes, node: Node) -> NodeCapacity:
    """Return what is free on a node and not reserved; ``OpPrereqError`` if it does not answer."""
    try:
        resources = nodes.agent(node).resources()
    except errors.GenericError as err:
        raise errors.OpPrereqError(
            f"Node '{node.name}' does not answer: {err}", ErrorCode.ENVIRON
        ) from err
    memory, disk = config.reservations.reserved(node.uuid)
    return NodeCapacity(node, resources.memory_free - memory, resources.disk_free - disk)


def reserve_memory(
    config: Config, nodes: Nodes, job_id: int, node: Node, memory: int, purpose: str
) -> None:
    """Set memory aside for a start; ``OpPrereqError`` (insufficient_resources) if it is short."""
    reserve(config, nodes, job_id, [node], Need(memory, 0, purpose))


def reserve(config: Config, nodes: Nodes, job_id: int, members: Sequence[Node], need: Need) -> None:
    """Set aside what an instance needs on its primary node and, disk only, on the others."""
    with _allocation_lock:
        for node in members:
            problem = free_capacity(config, nodes, node).shortage(need, memory=node is members[0])
            if problem:
                raise errors.OpPrereqError(problem, ErrorCode.NORES)
        _reserve_on(config, job_id, members, need)


def choose(
    config: Config, nodes: Nodes, job_id: int, need: Need, count: int, fits: Callable[[Node], bool]
) -> list[Node]:
    """Find ``count`` nodes, the primary first, and set aside what the instance needs.

    ``fits`` says whether a node can be one at all. ``OpPrereqError``
    (insufficient_resources) if there are not enough.
    """
    with _allocation_lock:
        candidates = _by_preference(config, nodes, fits)
        for primary in candidates:
            secondaries = [
                candidate.node
                for candidate in candidates
                if candidate is not primary
                and candidate.node.group == primary.node.group
                and not candidate.shortage(need, memory=False)
            ]
            if not primary.shortage(need, memory=True) and len(secondaries) >= count - 1:
                chosen = [primary.node, *secondaries[: count - 1]]
                _reserve_on(config, job_id, chosen, need)
                return chosen
    shortages = [candidate.shortage(need, memory=True) for candidate in candidates]
    why = "; ".join(filter(None, shortages)) or f"{len(candidates)} node(s) can be used"
    wanted = "No node" if count == 1 else f"No {count} nodes"
    raise errors.OpPrereqError(f"{wanted} can take this instance: {why}", ErrorCode.NORES)


def release_disk(config: Config, job_id: int, members: Sequence[Node], need: Need) -> None:
    """End the reservation of disks that are made: a simulated node counts them itself now.

    This machine counts them once they are in the configuration, or written to.
    """
    for node in members:
        if node.simulated:
            config.reservations.reserve_resources(job_id, node.uuid, 0, -need.disk)


def _reserve_on(config: Config, job_id: int, members: Sequence[Node], need: Need) -> None:
    for node in members:
        memory = need.memory if node is members[0] else 0
        config.reservations.reserve_resources(job_id, node.uuid, memory, need.disk)


def _by_preference(
    config: Config, nodes: Nodes, fits: Callable[[Node], bool]
) -> list[NodeCapacity]:
    """Return what is free on the nodes that can be used and answer, the best first."""
    policies = {
        group.uuid: constants.ALLOC_POLICIES.index(group.alloc_policy)
        for group in config.groups()
        if group.alloc_policy != "unallocable"
    }
    candidates: list[NodeCapacity] = []
    for node in config.nodes():
        if node.group in policies and _usable(node) and fits(node):
            try:
                candidates.append(free_capacity(config, nodes, node))
            except errors.OpPrereqError:
                continue  # a node that does not answer takes nothing
    # The sort is stable, and nodes come in the order of their names.
    return sorted(
        candidates, key=lambda candidate: (policies[candidate.node.group], -candidate.memory)
    )


def _usable(node: Node) -> bool:
    return not node.offline and not node.drained and node.vm_capable
