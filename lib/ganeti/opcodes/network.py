"""Opcodes about networks: pools of addresses, and which groups are on them."""

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
# Without a length they are networks of one address, as Ganeti reads them.
IPv4Network = Annotated[
    str, ht.Refinement("an IPv4 network such as 192.0.2.0/24", _readable(ipaddress.IPv4Interface))
]
IPv6Network = Annotated[
    str, ht.Refinement("an IPv6 network such as 2001:db8::/64", _readable(ipaddress.IPv6Interface))
]


@opcode
class OpNetworkAdd(OpCode):
    """Create a network."""

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
    """Change a network's parameters."""

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
    """Remove a network that no group is on."""

    SUMMARY_FIELD = "network_name"

    network_name: ht.NonEmptyString
    force: bool = False


@opcode
class OpNetworkRename(OpCode):
    """Give a network another name (Ganeti 3.1). The job answers it."""

    SINCE = "3.1"
    SUMMARY_FIELD = "network_name"

    network_name: ht.NonEmptyString
    new_name: ht.NonEmptyString


@opcode
class OpNetworkConnect(OpCode):
    """Say how the nodes of a group reach a network."""

    SUMMARY_FIELD = "network_name"

    group_name: ht.NonEmptyString
    network_name: ht.NonEmptyString
    network_mode: Literal["bridged", "routed", "openvswitch", "pool"]
    network_link: ht.NonEmptyString
    conflicts_check: bool = True
    network_vlan: str = ""


@opcode
class OpNetworkDisconnect(OpCode):
    """Say that the nodes of a group do not reach a network any more."""

    SUMMARY_FIELD = "network_name"

    group_name: ht.NonEmptyString
    network_name: ht.NonEmptyString
