"""Nodes: what the configuration says of them, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from ganeti import constants
from ganeti.constants import FieldKind, ResultStatus
from ganeti.objects import Instance, Node
from ganeti.qlang.filters import Comparison
from ganeti.query import parameters
from ganeti.query.base import NODATA, UNAVAIL, FieldDef, Kind, Reading, common, once, table


class NodeRow:
    """A node in one query; what several fields need is computed once."""

    def __init__(self, reading: Reading, node: Node) -> None:
        self.reading = reading
        self.node = node

    @property
    def is_master(self) -> bool:
        """Is it this machine, which the master runs on?"""
        return self.node.uuid == self.reading.config.cluster.master_node

    @property
    def role(self) -> str:
        """One letter; the strongest of what holds (Ganeti 3.0's order)."""
        if self.is_master:
            return constants.NODE_ROLE_MASTER
        if self.node.offline:
            return constants.NODE_ROLE_OFFLINE
        if self.node.drained:
            return constants.NODE_ROLE_DRAINED
        if self.node.master_candidate:
            return constants.NODE_ROLE_CANDIDATE
        return constants.NODE_ROLE_REGULAR

    @once
    def ndparams(self) -> dict[str, Any]:
        """Node parameters with all defaults filled in."""
        return self.reading.config.ndparams(self.node)

    @once
    def primaries(self) -> list[Instance]:
        """Instances that should run here."""
        return self.reading.config.primary_instances(self.node.uuid)

    @once
    def secondaries(self) -> list[Instance]:
        """Instances whose disks are mirrored here."""
        return self.reading.config.secondary_instances(self.node.uuid)

    def figure(self, name: str) -> Any:
        """One of its figures, or why there is none."""
        if not self.node.vm_capable:
            return UNAVAIL
        figures = self.reading.figures(self.node)
        if isinstance(figures, ResultStatus):
            return figures
        value = getattr(figures, name)
        return NODATA if value is None else value


_Field = FieldDef[NodeRow]
_K = FieldKind

_PLAIN: list[_Field] = [
    _Field(
        "name",
        "Node",
        _K.TEXT,
        "Name of the node",
        lambda row: row.node.name,
        comparison=Comparison.HOST_NAME,
    ),
    _Field(
        "group",
        "Group",
        _K.TEXT,
        "Group that it is in",
        lambda row: row.reading.group(row.node.group).name,
    ),
    _Field("group.uuid", "GroupUUID", _K.TEXT, "UUID of its group", lambda row: row.node.group),
    _Field("pip", "PrimaryIP", _K.TEXT, "Primary address", lambda row: row.node.primary_ip),
    _Field(
        "sip",
        "SecondaryIP",
        _K.TEXT,
        "Address for traffic among nodes",
        lambda row: row.node.secondary_ip,
    ),
    _Field("ndparams", "NodeParameters", _K.OTHER, "All node parameters", lambda row: row.ndparams),
    _Field(
        "custom_ndparams",
        "CustomNodeParameters",
        _K.OTHER,
        "Node parameters that were set for it",
        lambda row: row.node.ndparams,
    ),
    _Field("disk_state", "DiskState", _K.OTHER, "Not kept here", lambda row: UNAVAIL),
    _Field("hv_state", "HypervisorState", _K.OTHER, "Not kept here", lambda row: UNAVAIL),
]

_STATE: list[_Field] = [
    _Field(
        "role",
        "Role",
        _K.TEXT,
        "M: master, C: could become it, R: neither, D: drained, O: offline",
        lambda row: row.role,
    ),
    _Field(
        "master", "IsMaster", _K.BOOL, "Whether the master runs here", lambda row: row.is_master
    ),
    _Field(
        "master_candidate",
        "MasterC",
        _K.BOOL,
        "Whether it could become the master",
        lambda row: row.node.master_candidate,
    ),
    _Field(
        "master_capable",
        "MasterCapable",
        _K.BOOL,
        "Whether it may become a candidate",
        lambda row: row.node.master_capable,
    ),
    _Field(
        "vm_capable",
        "VMCapable",
        _K.BOOL,
        "Whether instances may be here",
        lambda row: row.node.vm_capable,
    ),
    _Field(
        "drained",
        "Drained",
        _K.BOOL,
        "Whether it gets no new instances",
        lambda row: row.node.drained,
    ),
    _Field(
        "offline", "Offline", _K.BOOL, "Whether nobody talks to it", lambda row: row.node.offline
    ),
    # Without a program that switches it there is nothing to know (Ganeti 3.0).
    _Field(
        "powered",
        "Powered",
        _K.BOOL,
        "Whether it is switched on, as far as that is known",
        lambda row: row.node.powered if row.ndparams["oob_program"] else UNAVAIL,
    ),
]

_INSTANCES: list[_Field] = [
    _Field(
        "pinst_cnt",
        "Pinst",
        _K.NUMBER,
        "Number of its primary instances",
        lambda row: len(row.primaries),
    ),
    _Field(
        "pinst_list",
        "PriInstances",
        _K.OTHER,
        "Names of its primary instances",
        lambda row: [instance.name for instance in row.primaries],
    ),
    _Field(
        "sinst_cnt",
        "Sinst",
        _K.NUMBER,
        "Number of instances that it mirrors",
        lambda row: len(row.secondaries),
    ),
    _Field(
        "sinst_list",
        "SecInstances",
        _K.OTHER,
        "Names of the instances that it mirrors",
        lambda row: [instance.name for instance in row.secondaries],
    ),
]


def _figure(name: str, title: str, kind: FieldKind, doc: str, attribute: str) -> _Field:
    get: Callable[[NodeRow], Any] = lambda row: row.figure(attribute)  # noqa: E731
    return _Field(name, title, kind, doc, get, live=True)


_LIVE: list[_Field] = [
    _figure("bootid", "BootID", _K.TEXT, "Differs after each reboot", "bootid"),
    _figure("mtotal", "MTotal", _K.UNIT, "Memory in all", "memory_total"),
    _figure("mfree", "MFree", _K.UNIT, "Memory that instances can get", "memory_free"),
    _figure("mnode", "MNode", _K.UNIT, "Memory that the node uses itself", "memory_node"),
    _figure("dtotal", "DTotal", _K.UNIT, "Disk space in all", "disk_total"),
    _figure("dfree", "DFree", _K.UNIT, "Disk space that is free", "disk_free"),
    _figure(
        "sptotal",
        "SpTotal",
        _K.NUMBER,
        "Spindles in all, where storage is exclusive",
        "spindles_total",
    ),
    _figure(
        "spfree",
        "SpFree",
        _K.NUMBER,
        "Spindles that are free, where storage is exclusive",
        "spindles_free",
    ),
    _figure("ctotal", "CTotal", _K.NUMBER, "Logical CPUs in all", "cpu_total"),
    _figure("cnos", "CNOs", _K.NUMBER, "Logical CPUs that the node itself sees", "cpu_node"),
    _figure("cnodes", "CNodes", _K.NUMBER, "NUMA nodes", "cpu_nodes"),
    _figure("csockets", "CSockets", _K.NUMBER, "CPU sockets", "cpu_sockets"),
]


def _rows(reading: Reading, fields: Collection[str]) -> list[NodeRow]:
    return [NodeRow(reading, node) for node in reading.config.nodes()]


def named(reading: Reading, names: Sequence[str]) -> list[NodeRow | None]:
    """Nodes by name, uuid or short name."""
    found = map(reading.config.find_node, names)
    return [NodeRow(reading, node) if node else None for node in found]


KIND = Kind(
    "node",
    "Node",
    table(
        _PLAIN,
        _STATE,
        _INSTANCES,
        _LIVE,
        common("node", lambda row: row.node),
        parameters.node(lambda row: row.ndparams),
    ),
    _rows,
    key="name",
    named=named,
)
