"""An instance's network cards and disks: lists of all, and one field for each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ganeti import constants
from ganeti.constants import FieldKind
from ganeti.objects import Disk, Nic
from ganeti.query.base import UNAVAIL, FieldDef, Row

_ORDINALS = {
    1: "first",
    2: "second",
    3: "third",
    4: "fourth",
    5: "fifth",
    6: "sixth",
    7: "seventh",
    8: "eighth",
}


class Card(NamedTuple):
    """A network card with its filled parameters."""

    nic: Nic
    params: Mapping[str, Any]

    @property
    def bridge(self) -> str | None:
        """The bridge it is on, if it is bridged."""
        return self.params["link"] if self.params["mode"] == "bridged" else None


class _Detail(NamedTuple):
    """What can be asked of a card or disk. An empty ``plural`` has no list field."""

    word: str
    title: str
    plural: str
    plural_title: str
    kind: FieldKind
    doc: str
    getter: Callable[[Any], Any]


_TEXT, _OTHER, _NUMBER, _UNIT = (FieldKind.TEXT, FieldKind.OTHER, FieldKind.NUMBER, FieldKind.UNIT)

# The vlan of a card that has none is empty in the parameters, and no value here.
_NIC = (
    _Detail(
        "bridge", "NicBridge", "bridges", "NIC_bridges", _TEXT, "Bridge", lambda card: card.bridge
    ),
    _Detail("ip", "NicIP", "ips", "NIC_IPs", _TEXT, "IP address", lambda card: card.nic.ip),
    _Detail(
        "link", "NicLink", "links", "NIC_links", _TEXT, "Link", lambda card: card.params["link"]
    ),
    _Detail("mac", "NicMAC", "macs", "NIC_MACs", _TEXT, "MAC address", lambda card: card.nic.mac),
    _Detail(
        "mode", "NicMode", "modes", "NIC_modes", _TEXT, "Mode", lambda card: card.params["mode"]
    ),
    _Detail("name", "NicName", "names", "NIC_Names", _TEXT, "Name", lambda card: card.nic.name),
    _Detail(
        "network",
        "NicNetwork",
        "networks",
        "NIC_networks",
        _TEXT,
        "Network",
        lambda card: card.nic.network,
    ),
    # Networks have no names here: there are none.
    _Detail(
        "network.name",
        "NicNetworkName",
        "networks.names",
        "NIC_networks_names",
        _TEXT,
        "Name of the network",
        lambda card: None,
    ),
    _Detail("uuid", "NicUUID", "uuids", "NIC_UUIDs", _TEXT, "UUID", lambda card: card.nic.uuid),
    _Detail(
        "vlan",
        "NicVLAN",
        "vlans",
        "NIC_VLANs",
        _TEXT,
        "VLAN",
        lambda card: card.params["vlan"] or None,
    ),
)

_DISK = (
    _Detail("name", "DiskName", "names", "Disk_names", _TEXT, "Name", lambda disk: disk.name),
    _Detail("size", "Disk", "sizes", "Disk_sizes", _UNIT, "Size", lambda disk: disk.size),
    _Detail(
        "spindles",
        "DiskSpindles",
        "spindles",
        "Disk_spindles",
        _NUMBER,
        "Spindles",
        lambda disk: disk.spindles,
    ),
    _Detail("uuid", "DiskUUID", "uuids", "Disk_UUIDs", _TEXT, "UUID", lambda disk: disk.uuid),
)

#: Fields of 2.0 that stand for one card's or disk's.
_OLD_NIC = {
    "bridge": "bridge",
    "ip": "ip",
    "mac": "mac",
    "nic_link": "link",
    "nic_mode": "mode",
    "nic_network": "network",
}
_OLD_DISK = {"sda_size": 0, "sdb_size": 1}


def _of_all(
    parts: Callable[[Row], Sequence[Any]], getter: Callable[[Any], Any]
) -> Callable[[Row], Any]:
    return lambda row: [getter(part) for part in parts(row)]


def _of_one(
    parts: Callable[[Row], Sequence[Any]], index: int, getter: Callable[[Any], Any]
) -> Callable[[Row], Any]:
    def get(row: Row) -> Any:
        found = parts(row)
        value = getter(found[index]) if index < len(found) else None
        return UNAVAIL if value is None else value

    return get


def _one(
    name: str, detail: _Detail, index: int, what: str, parts: Callable[[Row], Sequence[Any]]
) -> FieldDef[Row]:
    ordinal = _ORDINALS.get(index + 1, f"{index + 1}th")
    return FieldDef(
        name,
        f"{detail.title}/{index}",
        detail.kind,
        f"{detail.doc} of the {ordinal} {what}",
        _of_one(parts, index, detail.getter),
    )


def _fields(
    prefix: str,
    what: str,
    limit: int,
    details: Sequence[_Detail],
    parts: Callable[[Row], Sequence[Any]],
) -> Iterator[FieldDef[Row]]:
    yield FieldDef(
        f"{prefix}.count",
        "NICs" if prefix == "nic" else "Disks",
        _NUMBER,
        f"Number of {what}s",
        lambda row: len(parts(row)),
    )
    for detail in details:
        yield FieldDef(
            f"{prefix}.{detail.plural}",
            detail.plural_title,
            _OTHER,
            f"{detail.doc} of each {what}, in order",
            _of_all(parts, detail.getter),
        )
        for index in range(limit):
            yield _one(f"{prefix}.{detail.word}/{index}", detail, index, what, parts)


def nic_fields(cards: Callable[[Row], Sequence[Card]]) -> Iterator[FieldDef[Row]]:
    """``nic.*`` and 2.0's names for the first card."""
    what = "network card"
    yield from _fields("nic", what, constants.MAX_NICS, _NIC, cards)
    by_word = {detail.word: detail for detail in _NIC}
    for name, word in _OLD_NIC.items():
        yield _one(name, by_word[word], 0, what, cards)


def disk_fields(disks: Callable[[Row], Sequence[Disk]]) -> Iterator[FieldDef[Row]]:
    """``disk.*`` and 2.0's names for the first two disks."""
    yield from _fields("disk", "disk", constants.MAX_DISKS, _DISK, disks)
    size = next(detail for detail in _DISK if detail.word == "size")
    for name, index in _OLD_DISK.items():
        yield _one(name, size, index, "disk", disks)
