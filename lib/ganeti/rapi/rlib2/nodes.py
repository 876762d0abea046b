"""Nodes: reading them, changing their roles and parameters, moving instances, storage."""

from __future__ import annotations

from typing import get_args

from ganeti import constants, ht, opcodes
from ganeti.http import errors as http_errors
from ganeti.opcodes.node import StorageType
from ganeti.rapi.arguments import (
    Flag,
    QueryString,
    Required,
    Text,
    Words,
    choice,
    flag,
    unlocked,
)
from ganeti.rapi.baserlib import Resource, ResourceRequest, verb
from ganeti.rapi.reading import NotModified, StreamedList, entries, read_all, read_one
from ganeti.rapi.submit import Submit
from ganeti.serializer import JsonObject

# -- reading ---------------------------------------------------------------------------


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


def _shape(node: JsonObject) -> JsonObject:
    """Add the name that ``modify`` has for the node's secondary address (2.10.3)."""
    return {**node, "secondary_ip": node["sip"]}


class R_2_nodes(Resource):
    """All nodes.

    Example::

        GET /2/nodes

        [{"id": "node1.example.com", "name": "node1.example.com",
          "uri": "/2/nodes/node1.example.com"},
         {"id": "node2.example.com", "name": "node2.example.com",
          "uri": "/2/nodes/node2.example.com"}]
    """

    URI = "/2/nodes"
    SINCE = "2.0.0"
    ALIASES = ("/nodes",)

    @verb("nodes.list", long=True, bulk=flag, lock=unlocked)
    def GET(self, bulk: bool | None, lock: None) -> list[JsonObject] | StreamedList | NotModified:
        """List the nodes: an array of ``{"id", "name", "uri"}``.

        With ``bulk=1`` each object has all its keys.
        """
        if bulk:
            return read_all(self.request, "node", FIELDS, _shape)
        return entries(self.request, "node", "/2/nodes")


class R_2_nodes_name(Resource):
    """One node.

    Example (of the answer only some keys are shown)::

        GET /2/nodes/node2.example.com

        {"name": "node2.example.com", "role": "C", "offline": false, "mtotal": 16384,
         "mfree": 16384, "pinst_list": [], "tags": []}
    """

    URI = "/2/nodes/{node_name}"
    SINCE = "2.0.0"
    ALIASES = ("/nodes/{node_name}",)

    @verb("nodes.query", lock=unlocked)
    def GET(self, lock: None) -> JsonObject:
        """Describe a node; figures that it did not report are null."""
        return _shape(read_one(self.request, "node", FIELDS, self.request.slots["node_name"]))


# -- changing --------------------------------------------------------------------------


#: Letter of a role -> its name.
ROLES = {
    constants.NODE_ROLE_MASTER: "master",
    constants.NODE_ROLE_CANDIDATE: "master-candidate",
    constants.NODE_ROLE_REGULAR: "regular",
    constants.NODE_ROLE_DRAINED: "drained",
    constants.NODE_ROLE_OFFLINE: "offline",
}
#: Role -> the fields that give it to a node. Fields that need not change are not sent.
_MADE: dict[str, dict[str, bool]] = {
    "regular": {"master_candidate": False, "offline": False, "drained": False},
    "master-candidate": {"master_candidate": True},
    "drained": {"drained": True},
    "offline": {"offline": True},
}
_TYPE = choice(*get_args(StorageType))
_STORAGE = Required(_TYPE)
_VOLUME_NAME = Required(Text())
#: Words that were in the query until 2.5, and are still accepted there.
_ELSEWHERE = Text(shared=True)


class SubmitRole(Submit):
    """Submits a change of role; the body is the name of the role."""

    def __init__(self, *, access: str) -> None:
        super().__init__(
            opcodes.OpNodeSetParams,
            access=access,
            force=flag,
            auto_promote=Flag(word="auto-promote"),
            doc="Change the role of a node; the role ``master`` cannot be given.",
        )

    def body_fields(self, request: ResourceRequest) -> JsonObject:
        role = request.body
        if not isinstance(role, str) or role not in _MADE:
            raise http_errors.BadRequest(
                "The body must be one of "
                + ", ".join(f'"{word}"' for word in _MADE)
                + f", not {ht.shorten(role)}"
            )
        return dict(_MADE[role])

    def body_reference(self) -> list[str]:
        """Describe the body, which is a string."""
        return ["Body: string, one of " + ", ".join(f'``"{word}"``' for word in _MADE) + "."]


class R_2_nodes_name_role(Resource):
    """The role of a node.

    Example::

        GET /2/nodes/node2.example.com/role

        "master-candidate"

    Another::

        PUT /2/nodes/node2.example.com/role
        "offline"

        17
    """

    URI = "/2/nodes/{node_name}/role"
    SINCE = "2.1.0"

    @verb("nodes.role.query", lock=unlocked)
    def GET(self, lock: None) -> str:
        """Report the role: ``"master"``, ``"master-candidate"``, ``"regular"``, ``"drained"`` or
        ``"offline"``."""
        role = read_one(self.request, "node", ("role",), self.request.slots["node_name"])["role"]
        return ROLES.get(str(role), str(role))

    PUT = SubmitRole(access="nodes.role.modify")


class R_2_nodes_name_modify(Resource):
    """Change a node's parameters.

    Example::

        POST /2/nodes/node2.example.com/modify
        {"ndparams": {"spindle_count": 2}}

        17
    """

    URI = "/2/nodes/{node_name}/modify"
    SINCE = "2.6.0"
    POST = Submit(opcodes.OpNodeSetParams, access="nodes.modify")


class R_2_nodes_name_powercycle(Resource):
    """Reset a node.

    Example::

        POST /2/nodes/node2.example.com/powercycle?force=1

        17
    """

    URI = "/2/nodes/{node_name}/powercycle"
    SINCE = "2.6.0"
    POST = Submit(opcodes.OpNodePowercycle, access="nodes.powercycle", force=flag)


class R_2_nodes_name_evacuate(Resource):
    """Move instances away from a node.

    Example::

        POST /2/nodes/node2.example.com/evacuate
        {"mode": "primary-only", "iallocator": "hail"}

        17
    """

    URI = "/2/nodes/{node_name}/evacuate"
    SINCE = "2.1.0"
    POST = Submit(
        opcodes.OpNodeEvacuate,
        access="nodes.evacuate",
        mode=_ELSEWHERE,
        remote_node=_ELSEWHERE,
        iallocator=_ELSEWHERE,
        early_release=Flag(shared=True),
    )


class SubmitMigrate(Submit):
    """Submits migrations; the word ``live`` is older than ``mode``."""

    def __init__(self, *, access: str) -> None:
        super().__init__(
            opcodes.OpNodeMigrate, access=access, mode=_ELSEWHERE, live=Flag(shared=True)
        )

    def uri_fields(self, request: ResourceRequest) -> JsonObject:
        fields = super().uri_fields(request)
        live = fields.pop("live")
        if live is not None:
            if fields["mode"] is not None:
                raise http_errors.BadRequest(
                    "Parameters 'live' and 'mode' mean the same; give one of them"
                )
            fields["mode"] = "live" if live else "non-live"
        return fields


class R_2_nodes_name_migrate(Resource):
    """Migrate all instances that run on a node.

    Example::

        POST /2/nodes/node2.example.com/migrate
        {"mode": "live", "iallocator": "hail"}

        17
    """

    URI = "/2/nodes/{node_name}/migrate"
    SINCE = "2.1.0"
    POST = SubmitMigrate(access="nodes.migrate")


class SubmitStorageQuery(Submit):
    """Submits an opcode that takes a list of nodes with the one in the URI."""

    def __init__(self, *, access: str) -> None:
        super().__init__(
            opcodes.OpNodeQueryStorage,
            access=access,
            storage_type=_TYPE,
            output_fields=Required(Words()),
        )

    def uri_fields(self, request: ResourceRequest) -> JsonObject:
        fields = super().uri_fields(request)
        fields["nodes"] = [fields.pop("node_name")]
        return fields


class R_2_nodes_name_storage(Resource):
    """The storage units of a node.

    Example::

        GET /2/nodes/node2.example.com/storage?storage_type=lvm-vg&output_fields=name,size,free

        17
    """

    URI = "/2/nodes/{node_name}/storage"
    SINCE = "2.1.0"
    GET = SubmitStorageQuery(access="nodes.storage.query")


class _Changes(Flag):
    """The flag ``allocatable``, the only parameter of a storage unit that can be changed."""

    def read(self, name: str, query: QueryString) -> dict[str, object]:
        value = super().read(name, query)
        return {} if value is None else {"allocatable": value}


class R_2_nodes_name_storage_modify(Resource):
    """Change a storage unit of a node.

    Example::

        PUT /2/nodes/node2.example.com/storage/modify?storage_type=lvm-pv&name=sda2&allocatable=0

        17
    """

    URI = "/2/nodes/{node_name}/storage/modify"
    SINCE = "2.1.0"
    PUT = Submit(
        opcodes.OpNodeModifyStorage,
        access="nodes.storage.modify",
        storage_type=_STORAGE,
        name=_VOLUME_NAME,
        changes=_Changes(word="allocatable"),
    )


class R_2_nodes_name_storage_repair(Resource):
    """Repair a storage unit of a node.

    Example::

        PUT /2/nodes/node2.example.com/storage/repair?storage_type=lvm-vg&name=xenvg

        17
    """

    URI = "/2/nodes/{node_name}/storage/repair"
    SINCE = "2.1.0"
    PUT = Submit(
        opcodes.OpRepairNodeStorage,
        access="nodes.storage.repair",
        storage_type=_STORAGE,
        name=_VOLUME_NAME,
    )
