"""Opcodes about networks: pools of addresses, and the groups that are connected to them."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Annotated, Literal

from ganeti import ht
from ganeti.opcodes.base import OpCode, opcode


def _readable(read: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            read(text)
        except ValueError:
            return False
        return True

    return check


IPv4Address = Annotated[str, ht.Refinement("an IPv4 address", _readable(ipaddress.IPv4Address))]
IPv6Address = Annotated[str, ht.Refinement("an IPv6 address", _readable(ipaddress.IPv6Address))]
# Without a prefix length these are networks of one address, as Ganeti reads them.
IPv4Network = Annotated[
    str, ht.Refinement("an IPv4 network such as 192.0.2.0/24", _readable(ipaddress.IPv4Interface))
]
IPv6Network = Annotated[
    str, ht.Refinement("an IPv6 network such as 2001:db8::/64", _readable(ipaddress.IPv6Interface))
]


@opcode
class OpNetworkAdd(OpCode):
    """Create a network, which is connected to no group yet."""

    SUMMARY_FIELD = "network_name"

    network_name: ht.NonEmptyString
    network: IPv4Network
    add_reserved_ips: list[IPv4Address] | None = None
    conflicts_check: bool = True
    gateway: IPv4Address | None = None
    gateway6: IPv6Address | None = None
    mac_prefix: ht.NonEmptyString | None = None
    network6: IPv6Network | None = None
    tags: list[ht.NonEmptyString] = []


@opcode
class OpNetworkSetParams(OpCode):
    """Change a network's gateways, MAC prefix, IPv6 network and reserved addresses."""

    SUMMARY_FIELD = "network_name"

    network_name: ht.NonEmptyString
    add_reserved_ips: list[IPv4Address] | None = None
    gateway: IPv4Address | None = None
    gateway6: IPv6Address | None = None
    mac_prefix: ht.NonEmptyString | None = None
    network6: IPv6Network | None = None
    remove_reserved_ips: list[IPv4Address] | None = None


@opcode
class OpNetworkRemove(OpCode):
    """Remove a network, which must not be connected to a group."""

    SUMMARY_FIELD = "network_name"

    network_name: ht.NonEmptyString
    force: bool = False


@opcode
class OpNetworkRename(OpCode):
    """Rename a network (Ganeti 3.1); the result is its new name."""

    SINCE = "3.1"
    SUMMARY_FIELD = "network_name"

    network_name: ht.NonEmptyString
    new_name: ht.NonEmptyString


@opcode
class OpNetworkConnect(OpCode):
    """Connect a network to a group, by a bridge or link that the group's nodes have."""

    SUMMARY_FIELD = "network_name"

    group_name: ht.NonEmptyString
    network_name: ht.NonEmptyString
    network_mode: Literal["bridged", "routed", "openvswitch", "pool"]
    network_link: ht.NonEmptyString
    conflicts_check: bool = True
    network_vlan: str = ""


@opcode
class OpNetworkDisconnect(OpCode):
    """Disconnect a network from a group, none of whose instances may use it."""

    SUMMARY_FIELD = "network_name"

    group_name: ht.NonEmptyString
    network_name: ht.NonEmptyString
