"""Allocation of memory and disk: whether an instance fits, and on which node.

Creations and starts run concurrently, and a node does not report the memory and disk that
running jobs are about to use. So each job reserves what it needs for as long as it runs; a
node's free memory is what it reports less what is reserved. Checking and reserving happen
under one lock, so two jobs never count the same memory.

An instance without a given node goes to the node with the most free memory on which it fits;
ties go to the first node by name. Nodes of groups with the policy ``last_resort`` come last,
nodes of ``unallocable`` groups are never chosen. This replaces Ganeti's allocator ``hail``,
whose name is therefore accepted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ganeti import constants, errors
from ganeti.config.config import Config
from ganeti.constants import ErrorCode
from ganeti.node.agents import Nodes
from ganeti.objects import Instance, Node

#: Names of the allocator described above; "." is Ganeti's name for the default one.
ALLOCATORS = frozenset({"hail", "."})

_allocation_lock = threading.Lock()


@dataclass(frozen=True)
class Need:
    """Memory and disk that an instance needs, in MiB; ``disk`` on each of its nodes."""

    memory: int
    disk: int
    purpose: str


@dataclass(frozen=True)
class NodeCapacity:
    """Free and unreserved memory and disk of a node, in MiB."""

    node: Node
    memory: int
    disk: int

    def shortage(self, need: Need, *, memory: bool) -> str | None:
        """Describe what the node lacks, or return None; ``memory`` is false for a secondary."""
        if memory and need.memory > self.memory:
            return (
                f"{need.purpose} needs {need.memory} MiB of memory, but node "
                f"'{self.node.name}' has only {max(0, self.memory)} MiB free"
            )
        if need.disk > self.disk:
            return (
                f"{need.purpose} needs {need.disk} MiB of disk space, but node "
                f"'{self.node.name}' has only {max(0, self.disk)} MiB free"
            )
        return None


def free_capacity(config: Config, nodes: Nodes, node: Node) -> NodeCapacity:
    """Return what is free and not reserved on a node; ``OpPrereqError`` if it does not answer."""
    try:
        resources = nodes.agent(node).resources()
    except errors.GenericError as err:
        raise errors.OpPrereqError(
            f"Node '{node.name}' does not answer: {err}", ErrorCode.ENVIRON
        ) from err
    memory, disk = config.reserved_resources(node.uuid)
    return NodeCapacity(node, resources.memory_free - memory, resources.disk_free - disk)


def reserve_for_start(config: Config, nodes: Nodes, job_id: int, instance: Instance) -> None:
    """Reserve the memory (``minmem``) to start an instance on its primary node.

    ``OpPrereqError`` (insufficient_resources) if the node has less.
    """
    need = Need(config.beparams(instance)["minmem"], 0, f"starting '{instance.name}'")
    reserve(config, nodes, job_id, [config.node_by_uuid(instance.primary_node)], need)


def reserve(config: Config, nodes: Nodes, job_id: int, members: Sequence[Node], need: Need) -> None:
    """Reserve what an instance needs: the first of ``members`` is its primary node.

    The other nodes need disk only. ``OpPrereqError`` (insufficient_resources) if one is short.
    """
    with _allocation_lock:
        for node in members:
            problem = free_capacity(config, nodes, node).shortage(need, memory=node is members[0])
            if problem:
                raise errors.OpPrereqError(problem, ErrorCode.NORES)
        _reserve_on(config, job_id, members, need)


def choose(
    config: Config, nodes: Nodes, job_id: int, need: Need, count: int, fits: Callable[[Node], bool]
) -> list[Node]:
    """Choose ``count`` nodes, the primary first, and reserve what the instance needs on them.

    ``fits`` tells whether a node may be chosen at all. ``OpPrereqError``
    (insufficient_resources) if there are not enough nodes.
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
    why = "; ".join(filter(None, shortages)) or f"{len(candidates)} node(s) are usable"
    wanted = "No node" if count == 1 else f"No {count} nodes"
    raise errors.OpPrereqError(f"{wanted} can take this instance: {why}", ErrorCode.NORES)


def release_disk(config: Config, job_id: int, members: Sequence[Node], need: Need) -> None:
    """Release the reservation of disks that now exist, on nodes that already count them.

    Simulated nodes do. This machine counts a disk once it is in the configuration or written to.
    """
    for node in members:
        if node.simulated:
            config.reserve_resources(job_id, node.uuid, 0, -need.disk)


def _reserve_on(config: Config, job_id: int, members: Sequence[Node], need: Need) -> None:
    for node in members:
        memory = need.memory if node is members[0] else 0
        config.reserve_resources(job_id, node.uuid, memory, need.disk)


def _by_preference(
    config: Config, nodes: Nodes, fits: Callable[[Node], bool]
) -> list[NodeCapacity]:
    """Return the capacity of the usable nodes that answer, the best node first."""
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
                continue  # no instance is placed on a node that does not answer
    # Ties stay in the order of names, because the sort is stable and config.nodes() is sorted.
    return sorted(
        candidates, key=lambda candidate: (policies[candidate.node.group], -candidate.memory)
    )


def _usable(node: Node) -> bool:
    return not node.offline and not node.drained and node.vm_capable
