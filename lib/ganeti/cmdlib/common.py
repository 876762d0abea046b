"""Questions about nodes and instances that several logical units ask."""

from __future__ import annotations

import os.path
from collections.abc import Sequence

from ganeti import ipolicy
from ganeti.config.config import Config
from ganeti.node.agents import Nodes
from ganeti.objects import Group, Instance, Node


def missing_disks(nodes: Nodes, node: Node, instance: Instance) -> list[str]:
    """Return the paths of the instance's disks that do not exist on this node."""
    agent = nodes.agent(node)
    paths = [agent.disk_path(disk) for disk in instance.disks]
    return [path for path in paths if not os.path.exists(path)]


def instances_named(config: Config, names: Sequence[str]) -> list[Instance]:
    """Return the named instances, each once; all instances if ``names`` is empty."""
    if not names:
        return config.instances()
    found = {instance.uuid: instance for instance in map(config.instance, names)}
    return list(found.values())


def policy_violations(
    config: Config, group: Group, instance: Instance, *, nic_count: int, disk_sizes: list[int]
) -> list[str]:
    """Return how an instance with these NICs and disks (in MiB) violates its group's policy."""
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
