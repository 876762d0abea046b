"""Networks: pools of addresses, and the groups that are connected to them."""

from __future__ import annotations

from ganeti import opcodes
from ganeti.rapi.arguments import flag, unlocked
from ganeti.rapi.baserlib import Resource, verb
from ganeti.rapi.reading import entries, read, read_one
from ganeti.rapi.submit import Submit
from ganeti.serializer import JsonObject

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
    """All networks.

    Example::

        GET /2/networks?bulk=1

        []

    Another::

        POST /2/networks
        {"network_name": "net1", "network": "192.0.2.0/24", "gateway": "192.0.2.1"}

        17
    """

    URI = "/2/networks"
    SINCE = "2.7.0"

    @verb("networks.list", bulk=flag)
    def GET(self, bulk: bool | None) -> list[JsonObject]:
        """List the networks: an array of ``{"id", "name", "uri"}``.

        With ``bulk=1`` each object has all its keys.
        """
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
    """One network.

    Example (of the answer only some keys are shown)::

        GET /2/networks/net1

        {"name": "net1", "network": "192.0.2.0/24", "gateway": "192.0.2.1", "free_count": 253,
         "group_list": [["default", "bridged", "br0", ""]], "inst_list": ["web.example.com"]}

    Another::

        DELETE /2/networks/net1

        17
    """

    URI = "/2/networks/{network_name}"
    SINCE = "2.7.0"

    @verb("networks.query", lock=unlocked)
    def GET(self, lock: None) -> JsonObject:
        """Describe a network: its addresses, and the instances that use them."""
        return read_one(self.request, "network", FIELDS, self.request.slots["network_name"])

    DELETE = Submit(opcodes.OpNetworkRemove, access="networks.remove")


class R_2_networks_name_connect(Resource):
    """Connect a network to a group.

    Example::

        PUT /2/networks/net1/connect
        {"group_name": "default", "network_mode": "bridged", "network_link": "br0"}

        17
    """

    URI = "/2/networks/{network_name}/connect"
    SINCE = "2.7.0"
    PUT = Submit(opcodes.OpNetworkConnect, access="networks.connect")


class R_2_networks_name_disconnect(Resource):
    """Disconnect a network from a group.

    Example::

        PUT /2/networks/net1/disconnect
        {"group_name": "default"}

        17
    """

    URI = "/2/networks/{network_name}/disconnect"
    SINCE = "2.7.0"
    PUT = Submit(opcodes.OpNetworkDisconnect, access="networks.disconnect")


class R_2_networks_name_modify(Resource):
    """Change a network's parameters.

    Example::

        PUT /2/networks/net1/modify
        {"add_reserved_ips": ["192.0.2.10"]}

        17
    """

    URI = "/2/networks/{network_name}/modify"
    SINCE = "2.7.0"
    PUT = Submit(opcodes.OpNetworkSetParams, access="networks.modify")


class R_2_networks_name_rename(Resource):
    """Rename a network.

    Example::

        PUT /2/networks/net1/rename
        {"new_name": "net2"}

        17
    """

    URI = "/2/networks/{network_name}/rename"
    SINCE = "3.1.0"
    PUT = Submit(opcodes.OpNetworkRename, access="networks.rename")
