"""Networks: pools of addresses, and which groups are on them."""

from __future__ import annotations

from typing import Any

from ganeti import opcodes
from ganeti.rapi.arguments import flag, unlocked
from ganeti.rapi.baserlib import Resource, verb
from ganeti.rapi.reading import entries, read, read_one
from ganeti.rapi.submit import Submit

FIELDS = (
    "name",
    "network",
    "gateway",
    "network6",
    "gateway6",
    "mac_prefix",
    "free_count",
    "reserved_count",
    "map",
    "group_list",
    "inst_list",
    "external_reservations",
    "ctime",
    "mtime",
    "uuid",
    "serial_no",
    "tags",
)


class R_2_networks(Resource):
    """All networks."""

    URI = "/2/networks"
    SINCE = "2.7.0"

    @verb("networks.list", bulk=flag)
    def GET(self, bulk: bool | None) -> list[dict[str, Any]]:
        """List the networks: ``{"id", "name", "uri"}`` each, or all their keys with ``bulk=1``."""
        if bulk:
            return read(self.request, "network", FIELDS)
        return entries(self.request, "network", "/2/networks")

    POST = Submit(
        opcodes.OpNetworkAdd,
        access="networks.create",
        renames={"name": "network_name"},
        names_object=("network_name", "name"),
    )


class R_2_networks_name(Resource):
    """One network."""

    URI = "/2/networks/{network_name}"
    SINCE = "2.7.0"

    @verb("networks.query", lock=unlocked)
    def GET(self, lock: None) -> dict[str, Any]:
        """Everything about a network: its addresses, and who has which."""
        return read_one(self.request, "network", FIELDS, self.request.slots["network_name"])

    DELETE = Submit(opcodes.OpNetworkRemove, access="networks.remove")


class R_2_networks_name_connect(Resource):
    """Connect a network to a group."""

    URI = "/2/networks/{network_name}/connect"
    SINCE = "2.7.0"
    PUT = Submit(opcodes.OpNetworkConnect, access="networks.connect")


class R_2_networks_name_disconnect(Resource):
    """Disconnect a network from a group."""

    URI = "/2/networks/{network_name}/disconnect"
    SINCE = "2.7.0"
    PUT = Submit(opcodes.OpNetworkDisconnect, access="networks.disconnect")


class R_2_networks_name_modify(Resource):
    """Change a network's parameters."""

    URI = "/2/networks/{network_name}/modify"
    SINCE = "2.7.0"
    PUT = Submit(opcodes.OpNetworkSetParams, access="networks.modify")


class R_2_networks_name_rename(Resource):
    """Give a network another name."""

    URI = "/2/networks/{network_name}/rename"
    SINCE = "3.1.0"
    PUT = Submit(opcodes.OpNetworkRename, access="networks.rename")
