"""An instance with its parts, disks and network cards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

from ganeti.constants import AdminState
from ganeti.objects.base import ConfigObject, Part


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
        """Return the instance of a ``to_dict``, its disks and NICs as objects."""
        disks = [Disk(**disk) for disk in data["disks"]]
        nics = [Nic(**nic) for nic in data["nics"]]
        return cls(**{**data, "disks": disks, "nics": nics})
