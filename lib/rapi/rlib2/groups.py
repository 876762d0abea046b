"""Node groups."""

from __future__ import annotations

from typing import Any

from ganeti.rapi.arguments import flag
from ganeti.rapi.baserlib import Resource, verb
from ganeti.rapi.reading import entries, read, read_one

FIELDS = (
    "alloc_policy", "name", "node_cnt", "node_list", "ipolicy", "custom_ipolicy",
    "diskparams", "custom_diskparams", "ndparams", "custom_ndparams",
    "ctime", "mtime", "uuid", "serial_no", "tags",
)


class R_2_groups(Resource):
    """All node groups."""

    URI = "/2/groups"

    @verb(bulk=flag)
    def GET(self, bulk: bool | None) -> list[dict[str, Any]]:
        """List the groups: ``{"id", "name", "uri"}`` each, or all their keys with ``bulk=1``."""
        if bulk:
            return read(self.exchange, "group", FIELDS)
        return entries(self.exchange, "group", "/2/groups")


class R_2_groups_name(Resource):
    """One node group."""

    URI = "/2/groups/{group_name}"

    @verb()
    def GET(self) -> dict[str, Any]:
        """Everything about a group: its nodes, its policy, its parameters."""
        return read_one(self.exchange, "group", FIELDS, self.exchange.slots["group_name"])
