"""Nodes: what the configuration says about them, and what they report themselves."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ganeti import constants, params
from ganeti.constants import FieldKind, ResultStatus
from ganeti.objects import Instance, Node
from ganeti.qlang.filters import Comparison
from ganeti.query import parameters
from ganeti.query.engine import (
    NODATA,
    UNAVAIL,
    FieldDef,
    Kind,
    Reading,
    common,
    once,
    register,
    table,
)


class NodeRow:
    """A node in one query; a value that several fields need is computed once."""

    def __init__(self, reading: Reading, node: Node) -> None:
        self.reading = reading
        self.node = node

    @property
    def is_master(self) -> bool:
        """Return whether the master runs on this node."""
        return self.node.uuid == self.reading.config.cluster.master_node

    @property
    def role(self) -> str:
        """The letter of its role; of several, the first in Ganeti 3.0's order."""
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
    def ndparams(self) -> params.Values:
        """Node parameters with all defaults filled in."""
        return self.reading.config.ndparams(self.node)

    @once
    def primaries(self) -> list[Instance]:
        """The instances whose primary node this is."""
        return self.reading.config.primary_instances(self.node.uuid)

    @once
    def secondaries(self) -> list[Instance]:
        """The instances whose disks are mirrored here."""
        return self.reading.config.secondary_instances(self.node.uuid)

    def figure(self, name: str) -> object:
        """Return one of its figures, or why there is none."""
        if not self.node.vm_capable:
            return UNAVAIL
        figures = self.reading.figures(self.node)
        if isinstance(figures, ResultStatus):
            return figures
        value: object = getattr(figures, name)
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
        "Name of its group",
        lambda row: row.reading.group(row.node.group).name,
    ),
    _Field("group.uuid", "GroupUUID", _K.TEXT, "UUID of its group", lambda row: row.node.group),
    _Field("pip", "PrimaryIP", _K.TEXT, "Primary IP address", lambda row: row.node.primary_ip),
    _Field(
        "sip",
        "SecondaryIP",
        _K.TEXT,
        "Secondary IP address, for traffic between nodes",
        lambda row: row.node.secondary_ip,
    ),
    _Field(
        "ndparams",
        "NodeParameters",
        _K.OTHER,
        "Node parameters with all defaults",
        lambda row: row.ndparams,
    ),
    _Field(
        "custom_ndparams",
        "CustomNodeParameters",
        _K.OTHER,
        "Node parameters that were set for the node",
        lambda row: row.node.ndparams,
    ),
    _Field("disk_state", "DiskState", _K.OTHER, "Not supported here", lambda row: UNAVAIL),
    _Field("hv_state", "HypervisorState", _K.OTHER, "Not supported here", lambda row: UNAVAIL),
]

_STATE: list[_Field] = [
    _Field(
        "role",
        "Role",
        _K.TEXT,
        "Role: M (master), C (master candidate), R (regular), D (drained), O (offline)",
        lambda row: row.role,
    ),
    _Field("master", "IsMaster", _K.BOOL, "Whether it is the master", lambda row: row.is_master),
    _Field(
        "master_candidate",
        "MasterC",
        _K.BOOL,
        "Whether it is a master candidate",
        lambda row: row.node.master_candidate,
    ),
    _Field(
        "master_capable",
        "MasterCapable",
        _K.BOOL,
        "Whether it may become a master candidate",
        lambda row: row.node.master_capable,
    ),
    _Field(
        "vm_capable",
        "VMCapable",
        _K.BOOL,
        "Whether it can host instances",
        lambda row: row.node.vm_capable,
    ),
    _Field(
        "drained",
        "Drained",
        _K.BOOL,
        "Whether it is drained and gets no new instances",
        lambda row: row.node.drained,
    ),
    _Field(
        "offline",
        "Offline",
        _K.BOOL,
        "Whether it is marked offline and not contacted",
        lambda row: row.node.offline,
    ),
    # Only an out-of-band program could tell (Ganeti 3.0).
    _Field(
        "powered",
        "Powered",
        _K.BOOL,
        "Whether it is switched on, if that is known",
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
        "Number of its secondary instances",
        lambda row: len(row.secondaries),
    ),
    _Field(
        "sinst_list",
        "SecInstances",
        _K.OTHER,
        "Names of its secondary instances",
        lambda row: [instance.name for instance in row.secondaries],
    ),
]


def _figure(name: str, title: str, kind: FieldKind, doc: str, attribute: str) -> _Field:
    return _Field(name, title, kind, doc, lambda row: row.figure(attribute), live=True)


_LIVE: list[_Field] = [
    _figure("bootid", "BootID", _K.TEXT, "Boot id, which differs after each reboot", "bootid"),
    _figure("mtotal", "MTotal", _K.UNIT, "Total memory", "memory_total"),
    _figure("mfree", "MFree", _K.UNIT, "Memory available to instances", "memory_free"),
    _figure("mnode", "MNode", _K.UNIT, "Memory used by the node itself", "memory_node"),
    _figure("dtotal", "DTotal", _K.UNIT, "Total disk space", "disk_total"),
    _figure("dfree", "DFree", _K.UNIT, "Free disk space", "disk_free"),
    _figure(
        "sptotal",
        "SpTotal",
        _K.NUMBER,
        "Total spindles, with exclusive storage",
        "spindles_total",
    ),
    _figure(
        "spfree",
        "SpFree",
        _K.NUMBER,
        "Free spindles, with exclusive storage",
        "spindles_free",
    ),
    _figure("ctotal", "CTotal", _K.NUMBER, "Number of logical CPUs", "cpu_total"),
    _figure(
        "cnos", "CNOs", _K.NUMBER, "Number of logical CPUs that the node itself uses", "cpu_node"
    ),
    _figure("cnodes", "CNodes", _K.NUMBER, "Number of NUMA nodes", "cpu_nodes"),
    _figure("csockets", "CSockets", _K.NUMBER, "Number of CPU sockets", "cpu_sockets"),
]


def _rows(reading: Reading, fields: Collection[str]) -> list[NodeRow]:
    return [NodeRow(reading, node) for node in reading.config.nodes()]


def named(reading: Reading, names: Sequence[str]) -> list[NodeRow | None]:
    """Return the nodes with these names, uuids or short names."""
    found = map(reading.config.find_node, names)
    return [NodeRow(reading, node) if node else None for node in found]


KIND = register(
    Kind(
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
)
