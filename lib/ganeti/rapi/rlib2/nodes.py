"""Nodes: what they have; ``node_change`` is about changing that."""

from __future__ import annotations

from typing import Any

from ganeti.rapi.arguments import flag, unlocked
from ganeti.rapi.baserlib import Resource, verb
from ganeti.rapi.reading import Rows, Unchanged, entries, read_all, read_one

#: Keys of 2.0.6 and of 3.x, which has all of the former.
FIELDS = (
    "name",
    "offline",
    "master_candidate",
    "drained",
    "dtotal",
    "dfree",
    "sptotal",
    "spfree",
    "mtotal",
    "mnode",
    "mfree",
    "pinst_cnt",
    "sinst_cnt",
    "ctotal",
    "cnos",
    "cnodes",
    "csockets",
    "pip",
    "sip",
    "role",
    "pinst_list",
    "sinst_list",
    "master_capable",
    "vm_capable",
    "ndparams",
    "group.uuid",
    "ctime",
    "mtime",
    "uuid",
    "serial_no",
    "tags",
)


def _shape(node: dict[str, Any]) -> dict[str, Any]:
    """Add the name that changing a node has for its second address (2.10.3)."""
    return {**node, "secondary_ip": node["sip"]}


class R_2_nodes(Resource):
    """All nodes."""

    URI = "/2/nodes"
    ALIASES = ("/nodes",)

    @verb("nodes.list", long=True, bulk=flag, lock=unlocked)
    def GET(self, bulk: bool | None, lock: None) -> list[dict[str, Any]] | Rows | Unchanged:
        """List the nodes: ``{"id", "name", "uri"}`` each, or all their keys with ``bulk=1``."""
        if bulk:
            return read_all(self.exchange, "node", FIELDS, _shape)
        return entries(self.exchange, "node", "/2/nodes")


class R_2_nodes_name(Resource):
    """One node."""

    URI = "/2/nodes/{node_name}"
    ALIASES = ("/nodes/{node_name}",)

    @verb("nodes.query", lock=unlocked)
    def GET(self, lock: None) -> dict[str, Any]:
        """Everything about a node; figures that it did not give are null."""
        return _shape(read_one(self.exchange, "node", FIELDS, self.exchange.slots["node_name"]))
