"""Node groups: their fields, and the nodes and instances in them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ganeti import params
from ganeti.constants import FieldKind
from ganeti.objects import Group, Node
from ganeti.query import parameters
from ganeti.query.engine import FieldDef, Kind, Reading, common, once, register, table
from ganeti.utils.text import nice_sorted


class GroupRow:
    """A node group in one query; a value that several fields need is computed once."""

    def __init__(self, reading: Reading, group: Group) -> None:
        self.reading = reading
        self.group = group

    @once
    def nodes(self) -> list[Node]:
        """The nodes in the group, in the order of their names."""
        return self.reading.config.group_nodes(self.group.uuid)

    @once
    def instances(self) -> list[str]:
        """Names of the instances that should run on its nodes."""
        return nice_sorted(
            [
                instance.name
                for node in self.nodes
                for instance in self.reading.config.primary_instances(node.uuid)
            ]
        )

    @once
    def ndparams(self) -> params.Values:
        """Node parameters with all defaults filled in."""
        return self.reading.config.group_ndparams(self.group)


_Field = FieldDef[GroupRow]
_K = FieldKind

_PLAIN: list[_Field] = [
    _Field("name", "Group", _K.TEXT, "Name of the group", lambda row: row.group.name),
    _Field(
        "alloc_policy",
        "AllocPolicy",
        _K.TEXT,
        "Use for new instances: preferred, last_resort, unallocable",
        lambda row: row.group.alloc_policy,
    ),
    _Field("node_cnt", "Nodes", _K.NUMBER, "Number of its nodes", lambda row: len(row.nodes)),
    _Field(
        "node_list",
        "NodeList",
        _K.OTHER,
        "Names of its nodes",
        lambda row: [node.name for node in row.nodes],
    ),
    _Field(
        "pinst_cnt",
        "Instances",
        _K.NUMBER,
        "Number of primary instances of its nodes",
        lambda row: len(row.instances),
    ),
    _Field(
        "pinst_list",
        "InstanceList",
        _K.OTHER,
        "Names of the primary instances of its nodes",
        lambda row: row.instances,
    ),
]

_PARAMETERS: list[_Field] = [
    _Field(
        "ndparams",
        "NDParams",
        _K.OTHER,
        "Node parameters with all defaults",
        lambda row: row.ndparams,
    ),
    _Field(
        "custom_ndparams",
        "CustomNDParams",
        _K.OTHER,
        "Node parameters that were set for the group",
        lambda row: row.group.ndparams,
    ),
    _Field(
        "diskparams",
        "DiskParameters",
        _K.OTHER,
        "Disk parameters with all defaults, by template",
        lambda row: row.reading.config.diskparams(row.group),
    ),
    _Field(
        "custom_diskparams",
        "CustomDiskParameters",
        _K.OTHER,
        "Disk parameters that were set for the group",
        lambda row: row.group.diskparams,
    ),
    _Field(
        "ipolicy",
        "InstancePolicy",
        _K.OTHER,
        "Policy for the sizes of instances, with all defaults",
        lambda row: row.reading.config.ipolicy(row.group),
    ),
    _Field(
        "custom_ipolicy",
        "CustomInstancePolicy",
        _K.OTHER,
        "Parts of the policy that were set for the group",
        lambda row: row.group.ipolicy,
    ),
]


def _rows(reading: Reading, fields: Collection[str]) -> list[GroupRow]:
    return [GroupRow(reading, group) for group in reading.config.groups()]


def _named(reading: Reading, names: Sequence[str]) -> list[GroupRow | None]:
    found = map(reading.config.find_group, names)
    return [GroupRow(reading, group) if group else None for group in found]


KIND = register(
    Kind(
        "group",
        "NodeGroup",
        table(
            _PLAIN,
            _PARAMETERS,
            common("group", lambda row: row.group),
            parameters.node(lambda row: row.ndparams),
        ),
        _rows,
        key="name",
        named=_named,
    )
)
