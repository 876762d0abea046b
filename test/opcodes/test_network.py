"""Opcodes about networks, which check addresses before there is a job."""

import pytest

from ganeti import opcodes
from support.opcodes import assert_needs, assert_refused

NAME = {"network_name": "net"}
ADD = {**NAME, "network": "192.0.2.0/24"}
CONNECT = {**NAME, "group_name": "g", "network_mode": "bridged", "network_link": "br0"}


@pytest.mark.parametrize(
    "cls, good",
    [
        (opcodes.OpNetworkAdd, ADD),
        (opcodes.OpNetworkSetParams, NAME),
        (opcodes.OpNetworkRemove, NAME),
        (opcodes.OpNetworkRename, {**NAME, "new_name": "n"}),
        (opcodes.OpNetworkConnect, CONNECT),
        (opcodes.OpNetworkDisconnect, {**NAME, "group_name": "g"}),
    ],
)
def test_each_opcode_needs_its_fields(cls, good):
    assert_needs(cls, good)
    assert cls(**good).summary().endswith("(net)")


def test_addresses_are_checked():
    good = {
        **ADD,
        "gateway": "192.0.2.1",
        "network6": "2001:db8::/64",
        "gateway6": "2001:db8::1",
        "add_reserved_ips": ["192.0.2.9"],
    }
    assert opcodes.OpNetworkAdd(**good).gateway6 == "2001:db8::1"
    assert_refused(
        opcodes.OpNetworkAdd,
        good,
        network="192.0.2.0/",
        gateway="192.0.2.256",
        network6="192.0.2.0/24",
        gateway6="192.0.2.1",
        add_reserved_ips=["x"],
    )
    assert_refused(opcodes.OpNetworkAdd, good, network="192.0.2.0/33")


def test_a_network_may_lack_its_prefix_length():
    alone = {**ADD, "network": "192.0.2.0", "network6": "2001:db8::"}
    assert opcodes.OpNetworkAdd(**alone).network == "192.0.2.0"


def test_an_unknown_mode_is_refused():
    assert_refused(opcodes.OpNetworkConnect, CONNECT, network_mode="wired", network_link="")
