"""Checks that several logical units share, and the base of those about one instance."""

from __future__ import annotations

import os.path
from collections.abc import Collection, Sequence
from typing import TypeVar

from ganeti import errors, ipolicy, opcodes
from ganeti.cmdlib.base import LogicalUnit
from ganeti.config.config import Config
from ganeti.constants import AdminState, ErrorCode
from ganeti.locking import Want
from ganeti.node.agents import Nodes
from ganeti.objects import Group, Instance, Node

#: Neither state forbids starting and stopping.
ONLINE = frozenset({AdminState.UP, AdminState.DOWN})

InstanceOpT = TypeVar(
    "InstanceOpT",
    opcodes.OpInstanceRemove,
    opcodes.OpInstanceStartup,
    opcodes.OpInstanceShutdown,
    opcodes.OpInstanceReboot,
    opcodes.OpInstanceReinstall,
)


class InstanceUnit(LogicalUnit[InstanceOpT]):
    """Work on one instance that exists: locks it alone, and looks it up under the lock."""

    instance: Instance

    def locks(self) -> Sequence[Want]:
        """The instance, alone."""
        return (self.instance_lock(self.op.instance_name),)

    def check(self) -> None:
        """Find the instance; the one that was meant, if the caller gave its uuid."""
        self.instance = self.config.instance(self.op.instance_name)
        check_uuid("Instance", self.instance, self.op.instance_uuid)

    def effective_op(self) -> InstanceOpT:
        """With the full name and the uuid, once they are known."""
        if not hasattr(self, "instance"):
            return self.op
        return self.op.replace(instance_name=self.instance.name, instance_uuid=self.instance.uuid)

    @property
    def primary(self) -> Node:
        """The instance's primary node."""
        return self.config.node_by_uuid(self.instance.primary_node)


def check_uuid(kind: str, found: Instance | Node, expected: str | None) -> None:
    """``OpPrereqError`` when the caller gave a uuid and the object of the name has another."""
    if expected is not None and expected != found.uuid:
        raise errors.OpPrereqError(
            f"{kind} '{found.name}' has the UUID {found.uuid}, not {expected}: "
            "it is no longer the one that was meant",
            ErrorCode.NOTUNIQUE,
        )


def check_node_online(node: Node, purpose: str = "") -> None:
    """Raise ``OpPrereqError`` (wrong_state) when nothing can be done on a node."""
    if node.offline:
        text = f"Node '{node.name}' is offline"
        raise errors.OpPrereqError(f"{text}, {purpose}" if purpose else text, ErrorCode.STATE)


def check_node_usable(node: Node) -> None:
    """Raise ``OpPrereqError`` (wrong_state) unless a node takes new instances."""
    check_node_online(node)
    if node.drained:
        raise errors.OpPrereqError(f"Node '{node.name}' is drained", ErrorCode.STATE)
    if not node.vm_capable:
        raise errors.OpPrereqError(
            f"Node '{node.name}' does not take instances (vm_capable)", ErrorCode.STATE
        )


def check_admin_state(instance: Instance, allowed: Collection[str], refusal: str) -> None:
    """Raise ``OpPrereqError`` (wrong_state) unless an instance is meant to be in such a state."""
    if instance.admin_state not in allowed:
        raise errors.OpPrereqError(
            f"Instance '{instance.name}' is marked to be {instance.admin_state}, {refusal}",
            ErrorCode.STATE,
        )


def is_running(nodes: Nodes, node: Node, instance: Instance) -> bool:
    """Does the instance run on this node? A node that does not say is an error (environment)."""
    try:
        guest = nodes.agent(node).guest(instance.name)
    except errors.GenericError as err:
        raise errors.OpPrereqError(
            f"Node '{node.name}' does not say whether '{instance.name}' runs: {err}",
            ErrorCode.ENVIRON,
        ) from err
    return guest is not None and guest.running


def missing_disks(nodes: Nodes, node: Node, instance: Instance) -> list[str]:
    """Paths of the instance's disks that are not there on this node."""
    agent = nodes.agent(node)
    paths = [agent.disk_path(disk) for disk in instance.disks]
    return [path for path in paths if not os.path.exists(path)]


def instances_named(config: Config, names: Sequence[str]) -> list[Instance]:
    """The instances that were named, each once; all of them when none was."""
    if not names:
        return config.instances()
    found = {instance.uuid: instance for instance in map(config.instance, names)}
    return list(found.values())


def policy_violations(
    config: Config, group: Group, instance: Instance, *, nic_count: int, disk_sizes: list[int]
) -> list[str]:
    """How an instance with so many NICs, and such disks, breaks its group's policy."""
    filled = config.beparams(instance)
    return ipolicy.violations(
        config.ipolicy(group),
        {
            "memory-size": filled["maxmem"],
            "cpu-count": filled["vcpus"],
            "spindle-use": filled["spindle_use"],
            "nic-count": nic_count,
            "disk-count": len(disk_sizes),
            "disk-size": disk_sizes,
        },
        instance.disk_template,
    )
