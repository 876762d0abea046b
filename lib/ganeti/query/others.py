"""Kinds outside the configuration: locks, and the always empty networks and exports.

A lock exists only while some job holds it or waits for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ganeti.constants import FieldKind
from ganeti.locking import LockState
from ganeti.qlang.filters import Comparison
from ganeti.query import node
from ganeti.query.engine import NODATA, UNAVAIL, FieldDef, Kind, Reading, register, table

# -- networks, exports -----------------------------------------------------------------


_K = FieldKind


def _none(reading: Reading, fields: Collection[str]) -> list[object]:
    return []


def _unknown(reading: Reading, names: Sequence[str]) -> list[object]:
    return [None for _ in names]


def _empty(*fields: tuple[str, str, FieldKind, str]) -> dict[str, FieldDef[object]]:
    """Return fields of a kind that has no rows."""
    return table([FieldDef(*field, lambda row: UNAVAIL) for field in fields])


NETWORK: Kind[object] = register(
    Kind(
        "network",
        "Network",
        _empty(
            ("name", "Network", _K.TEXT, "Name of the network"),
            ("uuid", "UUID", _K.TEXT, "UUID of the network"),
            ("serial_no", "SerialNo", _K.NUMBER, "Number of the current version of the network"),
            ("ctime", "CTime", _K.TIMESTAMP, "Creation time of the network"),
            ("mtime", "MTime", _K.TIMESTAMP, "Time of the last change of the network"),
            ("tags", "Tags", _K.OTHER, "Tags of the network"),
            ("network", "Subnet", _K.TEXT, "IPv4 subnet"),
            ("network6", "IPv6Subnet", _K.OTHER, "IPv6 subnet"),
            ("gateway", "Gateway", _K.OTHER, "IPv4 address of its gateway"),
            ("gateway6", "IPv6Gateway", _K.OTHER, "IPv6 address of its gateway"),
            ("mac_prefix", "MacPrefix", _K.OTHER, "Prefix of MAC addresses in it"),
            ("free_count", "FreeCount", _K.NUMBER, "Number of free addresses"),
            ("reserved_count", "ReservedCount", _K.NUMBER, "Number of reserved addresses"),
            ("map", "Map", _K.TEXT, "Map with one character for each address, free or reserved"),
            (
                "external_reservations",
                "ExternalReservations",
                _K.TEXT,
                "Addresses that are reserved for external use",
            ),
            ("group_cnt", "NodeGroups", _K.NUMBER, "Number of groups that it is connected to"),
            (
                "group_list",
                "GroupList",
                _K.OTHER,
                "Groups, with mode and link of network cards there",
            ),
            ("inst_cnt", "Instances", _K.NUMBER, "Number of instances in it"),
            ("inst_list", "InstanceList", _K.OTHER, "Names of the instances in it"),
        ),
        _none,
        key="name",
        named=_unknown,
    )
)

# As in Ganeti 3.0, a node without exports has one row, without a value.
EXPORT: Kind[node.NodeRow] = register(
    Kind(
        "export",
        "Node",
        table(
            [
                FieldDef[node.NodeRow](
                    "node",
                    "Node",
                    _K.TEXT,
                    "Node that holds the export",
                    lambda row: row.node.name,
                    comparison=Comparison.HOST_NAME,
                ),
                FieldDef[node.NodeRow](
                    "export", "Export", _K.TEXT, "Name of the export", lambda row: NODATA
                ),
            ]
        ),
        node.KIND.rows,
        key="node",
        named=node.named,
    )
)


# -- locks -----------------------------------------------------------------------------


_Field = FieldDef[LockState]
_OTHER = FieldKind.OTHER


def _lock_jobs(owners: Iterable[str]) -> list[str]:
    """Return owners as Ganeti 3.0 shows them: job ids, as text."""
    return [owner.removeprefix("job/") for owner in owners]


def _lock_rows(reading: Reading, fields: Collection[str]) -> list[LockState]:
    return reading.sources.locks.states()


LOCK = register(
    Kind(
        "lock",
        "Lock",
        table(
            [
                _Field("name", "Name", _OTHER, "Name of the lock", lambda row: row.name),
                _Field(
                    "mode",
                    "Mode",
                    _OTHER,
                    "Mode in which it is held: exclusive, shared or not held",
                    lambda row: row.mode,
                ),
                _Field(
                    "owner",
                    "Owner",
                    _OTHER,
                    "Jobs that hold it",
                    lambda row: _lock_jobs(row.owners),
                ),
                _Field(
                    "pending",
                    "Pending",
                    _OTHER,
                    "Jobs that wait for it, and the modes that they want",
                    lambda row: [[mode, _lock_jobs(owners)] for mode, owners in row.pending],
                ),
            ]
        ),
        _lock_rows,
    )
)
