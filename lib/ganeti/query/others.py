"""Kinds that are not in the configuration: locks; and networks and exports, which are empty here.

A lock that nobody wants does not exist.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from ganeti.constants import FieldKind
from ganeti.locking import LockState
from ganeti.qlang.filters import Comparison
from ganeti.query import node
from ganeti.query.base import NODATA, UNAVAIL, FieldDef, Kind, Reading, table

# -- networks, exports -----------------------------------------------------------------


_K = FieldKind


def _nothing(row: Any) -> Any:
    """There is no row to get it from."""
    return UNAVAIL


def _none(reading: Reading, fields: Collection[str]) -> list[Any]:
    return []


def _unknown(reading: Reading, names: Sequence[str]) -> list[Any]:
    return [None for _ in names]


def _empty(*rows: tuple[str, str, FieldKind, str]) -> dict[str, FieldDef[Any]]:
    return table([FieldDef(*row, _nothing) for row in rows])


NETWORK: Kind[Any] = Kind(
    "network",
    "Network",
    _empty(
        ("name", "Network", _K.TEXT, "Name of the network"),
        ("uuid", "UUID", _K.TEXT, "What identifies the network for good"),
        ("serial_no", "SerialNo", _K.NUMBER, "Grows by one with each change of the network"),
        ("ctime", "CTime", _K.TIMESTAMP, "When the network was created"),
        ("mtime", "MTime", _K.TIMESTAMP, "When the network was last changed"),
        ("tags", "Tags", _K.OTHER, "Tags of the network"),
        ("network", "Subnet", _K.TEXT, "IPv4 addresses that it has"),
        ("network6", "IPv6Subnet", _K.OTHER, "IPv6 addresses that it has"),
        ("gateway", "Gateway", _K.OTHER, "IPv4 address of its router"),
        ("gateway6", "IPv6Gateway", _K.OTHER, "IPv6 address of its router"),
        ("mac_prefix", "MacPrefix", _K.OTHER, "How MAC addresses in it begin"),
        ("free_count", "FreeCount", _K.NUMBER, "Number of addresses that can be had"),
        ("reserved_count", "ReservedCount", _K.NUMBER, "Number of addresses that are taken"),
        ("map", "Map", _K.TEXT, "One sign for each address, free or taken"),
        (
            "external_reservations",
            "ExternalReservations",
            _K.TEXT,
            "Addresses that are kept for others",
        ),
        ("group_cnt", "NodeGroups", _K.NUMBER, "Number of groups that it is connected to"),
        ("group_list", "GroupList", _K.OTHER, "Groups, with mode and link of cards there"),
        ("inst_cnt", "Instances", _K.NUMBER, "Number of instances in it"),
        ("inst_list", "InstanceList", _K.OTHER, "Names of the instances in it"),
    ),
    _none,
    key="name",
    named=_unknown,
)

# As Ganeti 3.0: a node without exports has one row, without a value.
EXPORT: Kind[node.NodeRow] = Kind(
    "export",
    "Node",
    table(
        [
            FieldDef[node.NodeRow](
                "node",
                "Node",
                _K.TEXT,
                "Node that holds it",
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


# -- locks -----------------------------------------------------------------------------


_Field = FieldDef[LockState]
_OTHER = FieldKind.OTHER


def _lock_jobs(owners: Iterable[str]) -> list[str]:
    """Owners as Ganeti 3.0 shows them: ids of jobs, as text."""
    return [owner.removeprefix("job/") for owner in owners]


def _lock_rows(reading: Reading, fields: Collection[str]) -> list[LockState]:
    return reading.sources.locks.states()


LOCK = Kind(
    "lock",
    "Lock",
    table(
        [
            _Field("name", "Name", _OTHER, "What is locked", lambda row: row.name),
            _Field(
                "mode",
                "Mode",
                _OTHER,
                "How it is held: exclusive, shared, or not at all",
                lambda row: row.mode,
            ),
            _Field(
                "owner", "Owner", _OTHER, "Jobs that hold it", lambda row: _lock_jobs(row.owners)
            ),
            _Field(
                "pending",
                "Pending",
                _OTHER,
                "Jobs that wait for it, and how they want it",
                lambda row: [[mode, _lock_jobs(owners)] for mode, owners in row.pending],
            ),
        ]
    ),
    _lock_rows,
)
