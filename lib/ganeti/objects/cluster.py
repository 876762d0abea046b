"""The cluster, its node groups and its nodes; the check that all references hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ganeti.objects.base import ConfigObject
from ganeti.objects.instance import Instance


@dataclass(kw_only=True)
class Node(ConfigObject):
    """A member of the cluster: this machine, or (fake clusters) a simulated one.

    ``capacity`` holds the figures that were given for it, in MiB and CPUs:
    ``{"memory": .., "disk": .., "cpus": ..}``; what is missing is this
    machine's own figure.
    """

    name: str
    primary_ip: str
    secondary_ip: str
    group: str  # group uuid
    offline: bool = False
    drained: bool = False
    master_candidate: bool = True
    master_capable: bool = True
    vm_capable: bool = True
    powered: bool = True
    ndparams: dict[str, Any] = field(default_factory=dict)
    simulated: bool = False
    capacity: dict[str, int] = field(default_factory=dict)


@dataclass(kw_only=True)
class Group(ConfigObject):
    """A node group. The custom parameters hold only what differs from the cluster's."""

    name: str
    alloc_policy: str = "preferred"
    ndparams: dict[str, Any] = field(default_factory=dict)
    diskparams: dict[str, Any] = field(default_factory=dict)
    ipolicy: dict[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class Cluster(ConfigObject):
    """What holds for the whole cluster."""

    name: str
    master_node: str  # node uuid
    enabled_hypervisors: list[str]
    enabled_disk_templates: list[str]
    mac_prefix: str = "aa:00:00"
    master_netdev: str = "lo"
    master_netmask: int = 32
    master_ip: str = "127.0.0.1"
    primary_ip_version: int = 4
    candidate_pool_size: int = 10
    max_running_jobs: int = 20
    max_tracked_jobs: int = 25
    volume_group_name: str | None = None
    file_storage_dir: str = ""
    shared_file_storage_dir: str = ""
    gluster_storage_dir: str = ""
    default_iallocator: str = ""
    default_iallocator_params: dict[str, Any] = field(default_factory=dict)
    beparams: dict[str, Any] = field(default_factory=dict)  # {"default": filled}
    hvparams: dict[str, Any] = field(default_factory=dict)  # {hypervisor: filled}
    os_hvp: dict[str, Any] = field(default_factory=dict)
    osparams: dict[str, Any] = field(default_factory=dict)
    nicparams: dict[str, Any] = field(default_factory=dict)  # {"default": filled}
    ndparams: dict[str, Any] = field(default_factory=dict)
    diskparams: dict[str, Any] = field(default_factory=dict)  # {template: filled}
    ipolicy: dict[str, Any] = field(default_factory=dict)
    hidden_os: list[str] = field(default_factory=list)
    blacklisted_os: list[str] = field(default_factory=list)
    maintain_node_health: bool = False
    prealloc_wipe_disks: bool = False


def contradictions(
    cluster: Cluster, groups: Iterable[Group], nodes: Iterable[Node], instances: Iterable[Instance]
) -> list[str]:
    """Return a sentence for each reference to an object that is not there."""
    group_ids, members = {group.uuid for group in groups}, list(nodes)
    node_ids = {node.uuid for node in members}
    problems = [] if cluster.master_node in node_ids else ["the master node is not known"]
    problems += [
        f"node {node.name} is in no known group" for node in members if node.group not in group_ids
    ]
    return problems + [
        f"instance {instance.name} is on no known node"
        for instance in instances
        if not node_ids.issuperset((instance.primary_node, *instance.secondary_nodes))
    ]
