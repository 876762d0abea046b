"""The cluster, its node groups and its nodes; the check that all references hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ganeti.objects.base import ConfigObject
from ganeti.objects.instance import Instance
from ganeti.params import Values


@dataclass(kw_only=True)
class Node(ConfigObject):
    """A member of the cluster: this machine, or (fake clusters) a simulated one.

    ``capacity`` holds the figures that were given for the node, in MiB and CPUs:
    ``{"memory": .., "disk": .., "cpus": ..}``. A figure that is missing is this
    machine's own.
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
    ndparams: Values = field(default_factory=dict)
    simulated: bool = False
    capacity: dict[str, int] = field(default_factory=dict)


@dataclass(kw_only=True)
class Group(ConfigObject):
    """A node group, with the parameters that differ from the cluster's."""

    name: str
    alloc_policy: str = "preferred"
    ndparams: Values = field(default_factory=dict)
    diskparams: Values = field(default_factory=dict)
    ipolicy: Values = field(default_factory=dict)


@dataclass(kw_only=True)
class Cluster(ConfigObject):
    """The settings of the whole cluster; groups, nodes and instances override some of them."""

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
    default_iallocator_params: Values = field(default_factory=dict)
    beparams: Values = field(default_factory=dict)  # {"default": filled}
    hvparams: Values = field(default_factory=dict)  # {hypervisor: filled}
    os_hvp: Values = field(default_factory=dict)
    osparams: Values = field(default_factory=dict)
    nicparams: Values = field(default_factory=dict)  # {"default": filled}
    ndparams: Values = field(default_factory=dict)
    diskparams: Values = field(default_factory=dict)  # {template: filled}
    ipolicy: Values = field(default_factory=dict)
    hidden_os: list[str] = field(default_factory=list)
    blacklisted_os: list[str] = field(default_factory=list)
    maintain_node_health: bool = False
    prealloc_wipe_disks: bool = False


def contradictions(
    cluster: Cluster, groups: Iterable[Group], nodes: Iterable[Node], instances: Iterable[Instance]
) -> list[str]:
    """Return a sentence for each reference to an object that does not exist."""
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
