"""The cluster's objects as typed dataclasses, with their stored form.

Every object has a ``uuid``, a ``serial_no`` that grows with each change, and
``ctime``/``mtime`` in seconds since the epoch. Objects in the configuration are
shared by all readers: never change one in place, take ``copy_of`` and hand it
to a transaction.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, Self, TypeVar

from ganeti.constants import AdminState


@dataclass(kw_only=True)
class ConfigObject:
    """What all of them have."""

    uuid: str
    serial_no: int = 1
    ctime: float = 0.0
    mtime: float = 0.0
    tags: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, for the database."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Back from ``to_dict``; unknown keys of a newer version are an error."""
        return cls(**data)


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        return value.to_dict()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


@dataclass(kw_only=True)
class Part:
    """A part of an instance: has a uuid, but lives and is stored with its owner."""

    uuid: str
    name: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


@dataclass(kw_only=True)
class Disk(Part):
    """One disk. ``size`` in MiB; ``dev_type`` is the instance's disk template.

    ``logical_id`` says where the data is: ``[driver, path]`` for files,
    ``[volume group, volume]`` for plain, ``[node, node, port, minor, minor,
    secret]`` for drbd (as Ganeti 3.0 shows it).
    """

    dev_type: str
    size: int
    mode: str = "rw"
    logical_id: list[Any] = field(default_factory=list)
    spindles: int | None = None
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class Nic(Part):
    """One network card; ``nicparams`` holds only what differs from the cluster's."""

    mac: str
    ip: str | None = None
    network: str | None = None
    nicparams: dict[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class Instance(ConfigObject):
    """A virtual machine: what it should be. Whether it runs, only its node knows."""

    name: str
    primary_node: str  # node uuid
    secondary_nodes: list[str] = field(default_factory=list)
    os: str = ""
    hypervisor: str
    disk_template: str
    admin_state: str = AdminState.DOWN
    admin_state_source: str = "admin"
    disks: list[Disk] = field(default_factory=list)
    nics: list[Nic] = field(default_factory=list)
    beparams: dict[str, Any] = field(default_factory=dict)  # only what was set
    hvparams: dict[str, Any] = field(default_factory=dict)
    osparams: dict[str, Any] = field(default_factory=dict)
    osparams_private: dict[str, Any] = field(default_factory=dict)
    network_port: int | None = None
    disks_active: bool = False

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Back from ``to_dict``."""
        disks = [Disk(**disk) for disk in data["disks"]]
        nics = [Nic(**nic) for nic in data["nics"]]
        return cls(**{**data, "disks": disks, "nics": nics})


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
    """What refers to something that is not there, in words."""
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


_Object = TypeVar("_Object", bound=ConfigObject)


def copy_of(value: _Object) -> _Object:
    """A deep copy that may be changed."""
    return copy.deepcopy(value)
