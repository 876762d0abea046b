"""Node groups."""

from __future__ import annotations

from typing import Any

from ganeti import opcodes
from ganeti.rapi.arguments import flag, unlocked
from ganeti.rapi.baserlib import Resource, verb
from ganeti.rapi.reading import entries, read, read_one
from ganeti.rapi.submit import Submit

FIELDS = (
    "alloc_policy",
    "name",
    "node_cnt",
    "node_list",
    "ipolicy",
    "custom_ipolicy",
    "diskparams",
    "custom_diskparams",
    "ndparams",
    "custom_ndparams",
    "ctime",
    "mtime",
    "uuid",
    "serial_no",
    "tags",
)


class R_2_groups(Resource):
    """All node groups."""

    URI = "/2/groups"
    SINCE = "2.4.0"

    @verb("groups.list", bulk=flag)
    def GET(self, bulk: bool | None) -> list[dict[str, Any]]:
        """List the groups: ``{"id", "name", "uri"}`` each, or all their keys with ``bulk=1``."""
        if bulk:
            return read(self.request, "group", FIELDS)
        return entries(self.request, "group", "/2/groups")

    POST = Submit(
        opcodes.OpGroupAdd,
        access="groups.create",
        renames={"name": "group_name"},
        names_object=("group_name", "name"),
    )


class R_2_groups_name(Resource):
    """One node group."""

    URI = "/2/groups/{group_name}"
    SINCE = "2.4.0"

    @verb("groups.query", lock=unlocked)
    def GET(self, lock: None) -> dict[str, Any]:
        """Everything about a group: its nodes, its policy, its parameters."""
        return read_one(self.request, "group", FIELDS, self.request.slots["group_name"])

    DELETE = Submit(opcodes.OpGroupRemove, access="groups.delete")


class R_2_groups_name_modify(Resource):
    """Change a group's parameters."""

    URI = "/2/groups/{group_name}/modify"
    SINCE = "2.4.0"
    PUT = Submit(
        opcodes.OpGroupSetParams,
        access="groups.modify",
        renames={
            "custom_ndparams": "ndparams",
            "custom_ipolicy": "ipolicy",
            "custom_diskparams": "diskparams",
        },
    )


class R_2_groups_name_rename(Resource):
    """Give a group another name."""

    URI = "/2/groups/{group_name}/rename"
    SINCE = "2.4.0"
    PUT = Submit(opcodes.OpGroupRename, access="groups.rename")


class R_2_groups_name_assign_nodes(Resource):
    """Put nodes into a group."""

    URI = "/2/groups/{group_name}/assign-nodes"
    SINCE = "2.4.0"
    PUT = Submit(opcodes.OpGroupAssignNodes, access="groups.assign_nodes", force=flag)
