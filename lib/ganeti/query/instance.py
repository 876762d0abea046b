"""Instances: what they should be, from the configuration, and what they are, from nodes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

from ganeti import constants, params
from ganeti.constants import AdminState, DiskTemplate, FieldKind, InstanceStatus, ResultStatus
from ganeti.hypervisor.hv_base import Guest
from ganeti.objects import Instance, Nic, Node
from ganeti.qlang.filters import Comparison
from ganeti.query import parameters
from ganeti.query.engine import (
    OFFLINE,
    UNAVAIL,
    FieldDef,
    Kind,
    Reading,
    common,
    once,
    register,
    table,
)

#: Status of an instance by its admin state: while its guest does not run, and while it does.
_STOPPED: dict[str, InstanceStatus] = {
    AdminState.UP: InstanceStatus.ERROR_DOWN,
    AdminState.DOWN: InstanceStatus.ADMIN_DOWN,
    AdminState.OFFLINE: InstanceStatus.ADMIN_OFFLINE,
}
_RUNNING: dict[str, InstanceStatus] = {AdminState.UP: InstanceStatus.RUNNING}


#: A network card as the fields show it, by the words of ``_NIC``.
Card = dict[str, object]


def _card(nic: Nic, filled: params.Values) -> Card:
    """Return the card of a NIC, given its filled parameters."""
    mode, link = filled["mode"], filled["link"]
    return {
        "bridge": link if mode == "bridged" else None,
        "ip": nic.ip,
        "link": link,
        "mac": nic.mac,
        "mode": mode,
        "name": nic.name,
        "network": nic.network,
        "network.name": None,  # this version has no networks
        "uuid": nic.uuid,
        "vlan": filled["vlan"] or None,
    }


class InstanceRow:
    """An instance in one query; a value that several fields need is computed once."""

    def __init__(self, reading: Reading, instance: Instance) -> None:
        self.reading = reading
        self.instance = instance

    @once
    def primary(self) -> Node:
        """The node that it should run on."""
        return self.reading.node(self.instance.primary_node)

    @once
    def secondaries(self) -> list[Node]:
        """The nodes that mirror its disks, if they are mirrored."""
        return [self.reading.node(uuid) for uuid in self.instance.secondary_nodes]

    @once
    def beparams(self) -> params.Values:
        """Backend parameters with all defaults filled in."""
        return self.reading.config.beparams(self.instance)

    @once
    def hvparams(self) -> params.Values:
        """Hypervisor parameters with all defaults, except those that hold for a whole node."""
        filled = self.reading.config.hvparams(self.instance)
        for name in params.GLOBAL_HYPERVISOR:
            filled.pop(name, None)
        return filled

    @once
    def osparams(self) -> params.Values:
        """Public OS parameters: the instance's, over its variant's, over its OS's."""
        cluster_wide = self.reading.config.cluster.osparams
        name = self.instance.os
        return {
            **cluster_wide.get(name.partition("+")[0], {}),
            **cluster_wide.get(name, {}),
            **self.instance.osparams,
        }

    @once
    def cards(self) -> list[Card]:
        """Network cards with all defaults of their parameters filled in."""
        nicparams = self.reading.config.nicparams
        return [_card(nic, nicparams(nic)) for nic in self.instance.nics]

    @once
    def guest(self) -> Guest | None | ResultStatus:
        """The guest on its primary node, or else on any other node; None if it does not run.

        A ``ResultStatus`` if the primary node does not answer.
        """
        guests = self.reading.guests(self.primary)
        if isinstance(guests, ResultStatus):
            return guests
        name = self.instance.name
        return guests.get(name) or self.reading.guests_anywhere.get(name)

    @property
    def status(self) -> InstanceStatus:
        """The status that follows from admin state and guest, by Ganeti 3.0's rule."""
        instance, guest = self.instance, self.guest
        if guest is OFFLINE:
            return InstanceStatus.ERROR_NODEOFFLINE
        if isinstance(guest, ResultStatus):
            return InstanceStatus.ERROR_NODEDOWN
        state = instance.admin_state
        if guest is None:
            by_user = state == AdminState.DOWN and instance.admin_state_source == "user"
            return InstanceStatus.USER_DOWN if by_user else _STOPPED[state]
        if self._is_on_wrong_node(guest):
            return InstanceStatus.ERROR_WRONGNODE
        return _RUNNING.get(state, InstanceStatus.ERROR_UP)

    def _is_on_wrong_node(self, guest: Guest) -> bool:
        guests = self.reading.guests(self.primary)
        return isinstance(guests, ResultStatus) or guests.get(guest.name) is not guest

    @property
    def disk_usage(self) -> int:
        """MiB that its disks take on each of its nodes."""
        return sum(
            disk.size + (constants.DRBD_META_SIZE if disk.dev_type == DiskTemplate.DRBD else 0)
            for disk in self.instance.disks
        )

    @property
    def console(self) -> dict[str, str] | ResultStatus:
        """Description of its console; Ganeti's tools fail on keys without a value."""
        if self.primary.offline:
            return OFFLINE
        return {
            "instance": self.instance.name,
            "kind": "msg",
            "message": f"Guests of the hypervisor '{self.instance.hypervisor}' "
            "have no console here",
        }


def _or_unavailable(value: object) -> object:
    return UNAVAIL if value is None else value


def _live(row: InstanceRow, attribute: str) -> object:
    """Return an attribute of the running guest, or why there is none."""
    guest = row.guest
    if isinstance(guest, ResultStatus):
        return guest
    return UNAVAIL if guest is None else getattr(guest, attribute)


def _oper_state(row: InstanceRow) -> bool | ResultStatus:
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
    _Field("os", "OS", _K.TEXT, "Operating system, with +variant", lambda row: row.instance.os),
    _Field(
        "hypervisor",
        "Hypervisor",
        _K.TEXT,
        "Hypervisor that runs it",
        lambda row: row.instance.hypervisor,
    ),
    _Field(
        "disk_template",
        "Disk_template",
        _K.TEXT,
        "Template of its disks",
        lambda row: row.instance.disk_template,
    ),
    _Field(
        "disk_usage",
        "DiskUsage",
        _K.UNIT,
        "Disk space on each of its nodes, with the metadata of mirrors",
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
        "Network port of its console",
        lambda row: _or_unavailable(row.instance.network_port),
    ),
    _Field(
        "forthcoming",
        "Forthcoming",
        _K.BOOL,
        "Whether it is only planned; always false here",
        lambda row: False,
    ),
    _Field("console", "Console", _K.OTHER, "Way to reach its console", lambda row: row.console),
]

_ADMIN: list[_Field] = [
    _Field(
        "admin_state",
        "InstanceState",
        _K.TEXT,
        "State that was asked for: up, down or offline",
        lambda row: row.instance.admin_state,
    ),
    _Field(
        "admin_state_source",
        "InstanceStateSource",
        _K.TEXT,
        "Source of that state: admin or user",
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
        "running; ADMIN_down, ADMIN_offline, USER_down (stopped, as it should be); "
        "ERROR_down (should run), ERROR_up (should not), ERROR_wrongnode (runs elsewhere), "
        "ERROR_nodedown, ERROR_nodeoffline (its node does not answer)",
        lambda row: row.status,
        live=True,
    ),
    _Field("oper_state", "Running", _K.BOOL, "Whether it runs", _oper_state, live=True),
    _Field(
        "oper_ram",
        "Memory",
        _K.UNIT,
        "Memory that its guest has",
        lambda row: _live(row, "memory"),
        live=True,
    ),
    _Field(
        "oper_vcpus",
        "VCPUs",
        _K.NUMBER,
        "Virtual CPUs that its guest has",
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
        "Backend parameters with all defaults",
        lambda row: row.beparams,
    ),
    _Field(
        "custom_beparams",
        "CustomBackendParameters",
        _K.OTHER,
        "Backend parameters that were set for the instance",
        lambda row: row.instance.beparams,
    ),
    _Field(
        "hvparams",
        "HypervisorParameters",
        _K.OTHER,
        "Hypervisor parameters with all defaults",
        lambda row: row.hvparams,
    ),
    _Field(
        "custom_hvparams",
        "CustomHypervisorParameters",
        _K.OTHER,
        "Hypervisor parameters that were set for the instance",
        lambda row: row.instance.hvparams,
    ),
    _Field(
        "osparams",
        "OpSysParameters",
        _K.OTHER,
        "OS parameters with all defaults",
        lambda row: row.osparams,
    ),
    _Field(
        "custom_osparams",
        "CustomOpSysParameters",
        _K.OTHER,
        "OS parameters that were set for the instance",
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


# -- disks and network cards -----------------------------------------------------------


class _Detail(NamedTuple):
    """A detail of a disk or card: one field for each device, and one for all of them."""

    word: str
    title: str
    plural: str
    plural_title: str
    kind: FieldKind
    doc: str


_NIC = (
    _Detail("bridge", "NicBridge", "bridges", "NIC_bridges", _K.TEXT, "Bridge"),
    _Detail("ip", "NicIP", "ips", "NIC_IPs", _K.TEXT, "IP address"),
    _Detail("link", "NicLink", "links", "NIC_links", _K.TEXT, "Link"),
    _Detail("mac", "NicMAC", "macs", "NIC_MACs", _K.TEXT, "MAC address"),
    _Detail("mode", "NicMode", "modes", "NIC_modes", _K.TEXT, "Mode"),
    _Detail("name", "NicName", "names", "NIC_Names", _K.TEXT, "Name"),
    _Detail("network", "NicNetwork", "networks", "NIC_networks", _K.TEXT, "Network"),
    _Detail(
        "network.name",
        "NicNetworkName",
        "networks.names",
        "NIC_networks_names",
        _K.TEXT,
        "Name of the network",
    ),
    _Detail("uuid", "NicUUID", "uuids", "NIC_UUIDs", _K.TEXT, "UUID"),
    _Detail("vlan", "NicVLAN", "vlans", "NIC_VLANs", _K.TEXT, "VLAN"),
)
_DISK = (
    _Detail("name", "DiskName", "names", "Disk_names", _K.TEXT, "Name"),
    _Detail("size", "Disk", "sizes", "Disk_sizes", _K.UNIT, "Size"),
    _Detail("spindles", "DiskSpindles", "spindles", "Disk_spindles", _K.NUMBER, "Spindles"),
    _Detail("uuid", "DiskUUID", "uuids", "Disk_UUIDs", _K.TEXT, "UUID"),
)
#: Fields of 2.0 about the first card, and about the size of one disk.
_OLD_NIC = {
    "bridge": "bridge",
    "ip": "ip",
    "mac": "mac",
    "nic_link": "link",
    "nic_mode": "mode",
    "nic_network": "network",
}
_OLD_DISK = {"sda_size": 0, "sdb_size": 1}
_ORDINALS = ("first", "second", "third", *(f"{number}th" for number in range(4, 17)))


class _Devices(NamedTuple):
    """The disks or cards of an instance: how fields find them, and a detail of one."""

    prefix: str
    what: str
    title: str
    limit: int
    of: Callable[[InstanceRow], Sequence[object]]
    detail: Callable[[str], Callable[[Any], object]]


_CARDS = _Devices(
    "nic", "network card", "NICs", constants.MAX_NICS, lambda row: row.cards, operator.itemgetter
)
_DISKS = _Devices(
    "disk",
    "disk",
    "Disks",
    constants.MAX_DISKS,
    lambda row: row.instance.disks,
    operator.attrgetter,
)


def _one(name: str, devices: _Devices, detail: _Detail, index: int) -> _Field:
    value_of = devices.detail(detail.word)

    def get(row: InstanceRow) -> object:
        found = devices.of(row)
        if index >= len(found):
            return UNAVAIL
        return _or_unavailable(value_of(found[index]))

    doc = f"{detail.doc} of the {_ORDINALS[index]} {devices.what}"
    return _Field(name, f"{detail.title}/{index}", detail.kind, doc, get)


def _of_all(name: str, devices: _Devices, detail: _Detail) -> _Field:
    found, value_of = devices.of, devices.detail(detail.word)
    doc = f"{detail.doc} of each {devices.what}, in order"
    return _Field(
        name, detail.plural_title, _K.OTHER, doc, lambda row: list(map(value_of, found(row)))
    )


def _device_fields(devices: _Devices, details: Sequence[_Detail]) -> Iterator[_Field]:
    prefix = devices.prefix
    yield _Field(
        f"{prefix}.count",
        devices.title,
        _K.NUMBER,
        f"Number of {devices.what}s",
        lambda row: len(devices.of(row)),
    )
    for detail in details:
        yield _of_all(f"{prefix}.{detail.plural}", devices, detail)
        for index in range(devices.limit):
            yield _one(f"{prefix}.{detail.word}/{index}", devices, detail, index)


def _nic_fields() -> Iterator[_Field]:
    yield from _device_fields(_CARDS, _NIC)
    by_word = {detail.word: detail for detail in _NIC}
    for name, word in _OLD_NIC.items():
        yield _one(name, _CARDS, by_word[word], 0)


def _disk_fields() -> Iterator[_Field]:
    yield from _device_fields(_DISKS, _DISK)
    size = next(detail for detail in _DISK if detail.word == "size")
    for name, index in _OLD_DISK.items():
        yield _one(name, _DISKS, size, index)


# -- rows ------------------------------------------------------------------------------


def _rows(reading: Reading, fields: Collection[str]) -> list[InstanceRow]:
    return [InstanceRow(reading, instance) for instance in reading.config.instances()]


def _named(reading: Reading, names: Sequence[str]) -> list[InstanceRow | None]:
    found = map(reading.config.find_instance, names)
    return [InstanceRow(reading, instance) if instance else None for instance in found]


KIND = register(
    Kind(
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
            _nic_fields(),
            _disk_fields(),
        ),
        _rows,
        key="name",
        named=_named,
        has_state=True,
    )
)
