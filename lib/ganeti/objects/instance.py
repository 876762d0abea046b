"""An instance with its parts, disks and network cards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from ganeti.constants import AdminState
from ganeti.objects.base import ConfigObject, Part
from ganeti.params import Values


@dataclass(kw_only=True)
class Disk(Part):
    """A disk of ``size`` MiB; ``dev_type`` is the instance's disk template.

    ``logical_id`` locates the data: ``[driver, path]`` for files, ``[volume group,
    volume]`` for plain, ``[node, node, port, minor, minor, secret]`` for drbd, as
    Ganeti 3.0 shows it.
    """

    dev_type: str
    size: int
    mode: str = "rw"
    logical_id: list[Any] = field(default_factory=list)
    spindles: int | None = None
    params: Values = field(default_factory=dict)


@dataclass(kw_only=True)
class Nic(Part):
    """A network card; ``nicparams`` holds only what differs from the cluster's."""

    mac: str
    ip: str | None = None
    network: str | None = None
    nicparams: Values = field(default_factory=dict)


@dataclass(kw_only=True)
class Instance(ConfigObject):
    """A virtual machine as it should be; only its node knows whether it runs."""

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
    beparams: Values = field(default_factory=dict)  # only what was set
    hvparams: Values = field(default_factory=dict)
    osparams: Values = field(default_factory=dict)
    osparams_private: Values = field(default_factory=dict)
    network_port: int | None = None
    disks_active: bool = False

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the instance with this stored form, its disks and NICs as objects."""
        disks = [Disk(**disk) for disk in data["disks"]]
        nics = [Nic(**nic) for nic in data["nics"]]
        return cls(**{**data, "disks": disks, "nics": nics})
