"""Instances: what they should be, from the configuration, and what they are, from nodes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from ganeti import params
from ganeti.constants import AdminState, DiskTemplate, FieldKind, InstanceStatus, ResultStatus
from ganeti.hypervisor.hv_base import Guest
from ganeti.objects import Instance, Node
from ganeti.qlang.filters import Comparison
from ganeti.query import devices, parameters
from ganeti.query.base import OFFLINE, UNAVAIL, FieldDef, Kind, Reading, common, once, table

#: What a mirrored disk takes for itself on each of its nodes (MiB).
DRBD_METADATA = 128

#: Status of an instance whose guest does not run, and of one whose guest does, by its
#: admin state.
_STOPPED = {
    AdminState.UP: InstanceStatus.ERROR_DOWN,
    AdminState.DOWN: InstanceStatus.ADMIN_DOWN,
    AdminState.OFFLINE: InstanceStatus.ADMIN_OFFLINE,
}
_RUNNING = {AdminState.UP: InstanceStatus.RUNNING}


class InstanceRow:
    """An instance in one query; what several fields need is computed once."""

    def __init__(self, reading: Reading, instance: Instance) -> None:
        self.reading = reading
        self.instance = instance

    @once
    def primary(self) -> Node:
        """Where it should run."""
        return self.reading.node(self.instance.primary_node)

    @once
    def secondaries(self) -> list[Node]:
        """Where its disks are mirrored."""
        return [self.reading.node(uuid) for uuid in self.instance.secondary_nodes]

    @once
    def beparams(self) -> dict[str, Any]:
        """Backend parameters with all defaults filled in."""
        return self.reading.config.beparams(self.instance)

    @once
    def hvparams(self) -> dict[str, Any]:
        """Hypervisor parameters with all defaults, but without those of the whole node."""
        return {
            name: value
            for name, value in self.reading.config.hvparams(self.instance).items()
            if name not in params.GLOBAL_HYPERVISOR
        }

    @once
    def osparams(self) -> dict[str, Any]:
        """The OS's, the variant's, the instance's own; only what may be seen."""
        cluster_wide = self.reading.config.cluster.osparams
        name = self.instance.os
        return {
            **cluster_wide.get(name.partition("+")[0], {}),
            **cluster_wide.get(name, {}),
            **self.instance.osparams,
        }

    @once
    def cards(self) -> list[devices.Card]:
        """Network cards with filled parameters."""
        return [devices.Card(nic, self.reading.config.nicparams(nic)) for nic in self.instance.nics]

    @once
    def guest(self) -> Guest | None | ResultStatus:
        """As it runs on its primary node, or else on any other; None if nowhere.

        A status if the primary node cannot say.
        """
        guests = self.reading.guests(self.primary)
        if isinstance(guests, ResultStatus):
            return guests
        name = self.instance.name
        return guests.get(name) or self.reading.guests_anywhere.get(name)

    @property
    def status(self) -> InstanceStatus:
        """Return admin state and guest in one word, by Ganeti 3.0's rule."""
        instance, guest = self.instance, self.guest
        if guest is OFFLINE:
            return InstanceStatus.ERROR_NODEOFFLINE
        if isinstance(guest, ResultStatus):
            return InstanceStatus.ERROR_NODEDOWN
        state = AdminState(instance.admin_state)
        if guest is None:
            by_user = state is AdminState.DOWN and instance.admin_state_source == "user"
            return InstanceStatus.USER_DOWN if by_user else _STOPPED[state]
        if self._is_on_wrong_node(guest):
            return InstanceStatus.ERROR_WRONGNODE
        return _RUNNING.get(state, InstanceStatus.ERROR_UP)

    def _is_on_wrong_node(self, guest: Guest) -> bool:
        guests = self.reading.guests(self.primary)
        return isinstance(guests, ResultStatus) or guests.get(guest.name) is not guest

    @property
    def disk_usage(self) -> int:
        """MiB that it takes on each of its nodes."""
        return sum(
            disk.size + (DRBD_METADATA if disk.dev_type == DiskTemplate.DRBD else 0)
            for disk in self.instance.disks
        )

    @property
    def console(self) -> Any:
        """How to reach its console; no key without a value (Ganeti's tools insist)."""
        if self.primary.offline:
            return OFFLINE
        return {
            "instance": self.instance.name,
            "kind": "msg",
            "message": f"Guests of the hypervisor '{self.instance.hypervisor}' "
            "have no console here",
        }


def _or_unavailable(value: Any) -> Any:
    return UNAVAIL if value is None else value


def _live(row: InstanceRow, attribute: str) -> Any:
    """An attribute of the running guest."""
    guest = row.guest
    if isinstance(guest, ResultStatus):
        return guest
    return UNAVAIL if guest is None else getattr(guest, attribute)


def _oper_state(row: InstanceRow) -> Any:
    guest = row.guest
    return guest if isinstance(guest, ResultStatus) else guest is not None


_Field = FieldDef[InstanceRow]
_K = FieldKind

_PLAIN: list[_Field] = [
    _Field(
        "name",
        "Instance",
        _K.TEXT,
        "Name of the instance",
        lambda row: row.instance.name,
        comparison=Comparison.HOST_NAME,
    ),
    _Field("os", "OS", _K.TEXT, "Its operating system, with +variant", lambda row: row.instance.os),
    _Field(
        "hypervisor", "Hypervisor", _K.TEXT, "What runs it", lambda row: row.instance.hypervisor
    ),
    _Field(
        "disk_template",
        "Disk_template",
        _K.TEXT,
        "How its disks are kept",
        lambda row: row.instance.disk_template,
    ),
    _Field(
        "disk_usage",
        "DiskUsage",
        _K.UNIT,
        "Room that its disks take on each of its nodes, with what a mirror needs itself",
        lambda row: row.disk_usage,
    ),
    _Field(
        "disks_active",
        "DisksActive",
        _K.BOOL,
        "Whether its disks should be in use",
        lambda row: row.instance.disks_active,
    ),
    _Field(
        "network_port",
        "Network_port",
        _K.OTHER,
        "Port for its console, where it has one",
        lambda row: _or_unavailable(row.instance.network_port),
    ),
    _Field(
        "forthcoming",
        "Forthcoming",
        _K.BOOL,
        "Whether it is only planned; never the case here",
        lambda row: False,
    ),
    _Field("console", "Console", _K.OTHER, "How to reach its console", lambda row: row.console),
]

_ADMIN: list[_Field] = [
    _Field(
        "admin_state",
        "InstanceState",
        _K.TEXT,
        "What it should be: up, down or offline",
        lambda row: row.instance.admin_state,
    ),
    _Field(
        "admin_state_source",
        "InstanceStateSource",
        _K.TEXT,
        "Who said last what it should be: admin or user",
        lambda row: row.instance.admin_state_source,
    ),
    _Field(
        "admin_up",
        "Autostart",
        _K.BOOL,
        "Whether it should run",
        lambda row: row.instance.admin_state == AdminState.UP,
    ),
]

_LIVE: list[_Field] = [
    _Field(
        "status",
        "Status",
        _K.TEXT,
        "running, or ADMIN_down, ADMIN_offline, USER_down (stopped, and should be); "
        "ERROR_down (should run), ERROR_up (should not), ERROR_wrongnode (runs elsewhere), "
        "ERROR_nodedown, ERROR_nodeoffline (its node cannot say)",
        lambda row: row.status,
        live=True,
    ),
    _Field("oper_state", "Running", _K.BOOL, "Whether it runs", _oper_state, live=True),
    _Field(
        "oper_ram",
        "Memory",
        _K.UNIT,
        "Memory that it has now",
        lambda row: _live(row, "memory"),
        live=True,
    ),
    _Field(
        "oper_vcpus",
        "VCPUs",
        _K.NUMBER,
        "Virtual CPUs that it has now",
        lambda row: _live(row, "vcpus"),
        live=True,
    ),
]

_NODES: list[_Field] = [
    _Field(
        "pnode",
        "Primary_node",
        _K.TEXT,
        "Node that it should run on",
        lambda row: row.primary.name,
        comparison=Comparison.HOST_NAME,
    ),
    _Field(
        "pnode.group",
        "PrimaryNodeGroup",
        _K.TEXT,
        "Group of its primary node",
        lambda row: row.reading.group(row.primary.group).name,
    ),
    _Field(
        "pnode.group.uuid",
        "PrimaryNodeGroupUUID",
        _K.TEXT,
        "UUID of the group of its primary node",
        lambda row: row.primary.group,
    ),
    _Field(
        "snodes",
        "Secondary_Nodes",
        _K.OTHER,
        "Nodes that mirror its disks",
        lambda row: [node.name for node in row.secondaries],
    ),
    _Field(
        "snodes.group",
        "SecondaryNodesGroups",
        _K.OTHER,
        "Groups of its secondary nodes",
        lambda row: [row.reading.group(node.group).name for node in row.secondaries],
    ),
    _Field(
        "snodes.group.uuid",
        "SecondaryNodesGroupsUUID",
        _K.OTHER,
        "UUIDs of the groups of its secondary nodes",
        lambda row: [node.group for node in row.secondaries],
    ),
]

_PARAMETERS: list[_Field] = [
    _Field(
        "beparams",
        "BackendParameters",
        _K.OTHER,
        "All backend parameters",
        lambda row: row.beparams,
    ),
    _Field(
        "custom_beparams",
        "CustomBackendParameters",
        _K.OTHER,
        "Backend parameters that were set for it",
        lambda row: row.instance.beparams,
    ),
    _Field(
        "hvparams",
        "HypervisorParameters",
        _K.OTHER,
        "All parameters of its hypervisor",
        lambda row: row.hvparams,
    ),
    _Field(
        "custom_hvparams",
        "CustomHypervisorParameters",
        _K.OTHER,
        "Parameters of its hypervisor that were set for it",
        lambda row: row.instance.hvparams,
    ),
    _Field(
        "osparams",
        "OpSysParameters",
        _K.OTHER,
        "All parameters of its operating system",
        lambda row: row.osparams,
    ),
    _Field(
        "custom_osparams",
        "CustomOpSysParameters",
        _K.OTHER,
        "Parameters of its operating system that were set for it",
        lambda row: row.instance.osparams,
    ),
    _Field(
        "custom_nicparams",
        "CustomNicParameters",
        _K.OTHER,
        "Parameters that were set for each network card",
        lambda row: [nic.nicparams for nic in row.instance.nics],
    ),
]


def _rows(reading: Reading, fields: Collection[str]) -> list[InstanceRow]:
    return [InstanceRow(reading, instance) for instance in reading.config.instances()]


def _named(reading: Reading, names: Sequence[str]) -> list[InstanceRow | None]:
    found = map(reading.config.find_instance, names)
    return [InstanceRow(reading, instance) if instance else None for instance in found]


KIND = Kind(
    "instance",
    "Instance",
    table(
        _PLAIN,
        _ADMIN,
        _LIVE,
        _NODES,
        _PARAMETERS,
        common("instance", lambda row: row.instance),
        parameters.backend(lambda row: row.beparams),
        parameters.hypervisor(lambda row: row.hvparams),
        devices.nic_fields(lambda row: row.cards),
        devices.disk_fields(lambda row: row.instance.disks),
    ),
    _rows,
    key="name",
    named=_named,
)
