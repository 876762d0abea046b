"""Node groups: reading and changing them, and assigning nodes to them."""

from __future__ import annotations

from ganeti import opcodes
from ganeti.rapi.arguments import flag, unlocked
from ganeti.rapi.baserlib import Resource, verb
from ganeti.rapi.reading import entries, read, read_one
from ganeti.rapi.submit import Submit
from ganeti.serializer import JsonObject

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
    """All node groups.

    Example::

        GET /2/groups

        [{"id": "default", "name": "default", "uri": "/2/groups/default"}]

    Another::

        POST /2/groups
        {"group_name": "rack2", "alloc_policy": "last_resort"}

        17
    """

    URI = "/2/groups"
    SINCE = "2.4.0"

    @verb("groups.list", bulk=flag)
    def GET(self, bulk: bool | None) -> list[JsonObject]:
        """List the groups: an array of ``{"id", "name", "uri"}``.

        With ``bulk=1`` each object has all its keys.
        """
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
    """One node group.

    Example (of the answer only some keys are shown)::

        GET /2/groups/default

        {"name": "default", "alloc_policy": "preferred", "node_cnt": 2,
         "node_list": ["node1.example.com", "node2.example.com"], "tags": []}

    Another::

        DELETE /2/groups/rack2

        17
    """

    URI = "/2/groups/{group_name}"
    SINCE = "2.4.0"

    @verb("groups.query", lock=unlocked)
    def GET(self, lock: None) -> JsonObject:
        """Describe a group: its nodes, its policy, its parameters."""
        return read_one(self.request, "group", FIELDS, self.request.slots["group_name"])

    DELETE = Submit(opcodes.OpGroupRemove, access="groups.delete")


class R_2_groups_name_modify(Resource):
    """Change a group's parameters.

    Example::

        PUT /2/groups/default/modify
        {"alloc_policy": "unallocable"}

        17
    """

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
    """Rename a group.

    Example::

        PUT /2/groups/rack2/rename
        {"new_name": "rack3"}

        17
    """

    URI = "/2/groups/{group_name}/rename"
    SINCE = "2.4.0"
    PUT = Submit(opcodes.OpGroupRename, access="groups.rename")


class R_2_groups_name_assign_nodes(Resource):
    """Assign nodes to a group.

    Example::

        PUT /2/groups/rack2/assign-nodes
        {"nodes": ["node2.example.com"]}

        17
    """

    URI = "/2/groups/{group_name}/assign-nodes"
    SINCE = "2.4.0"
    PUT = Submit(opcodes.OpGroupAssignNodes, access="groups.assign_nodes", force=flag)
