"""Tags of the cluster, nodes, instances, groups and networks."""

from __future__ import annotations

from ganeti import constants, errors, ht, luxi, opcodes
from ganeti.http import errors as http_errors
from ganeti.rapi import arguments
from ganeti.rapi.baserlib import Resource, ResourceRequest, Verb
from ganeti.rapi.submit import Submit, body_object
from ganeti.serializer import JsonObject

_DOCS: dict[type[opcodes.OpCode], str] = {
    opcodes.OpTagsSet: "Add tags to the object.",
    opcodes.OpTagsDel: "Remove tags; the job fails if one of them is missing.",
}


class SubmitTags(Submit):
    """Submits tags, which come as ``?tag=`` repeated (2.0.6 and 3.x), as a JSON array (the
    documentation of 2.0), or both.

    Only new tags are checked: any tag that a master has accepted can be removed.
    """

    def __init__(self, op: type[opcodes.OpCode], kind: ht.TagKind, access: str) -> None:
        doc = _DOCS[op]
        super().__init__(
            op, access=access, doc=doc, kind=arguments.Fixed(kind), tags=arguments.tags
        )

    def uri_fields(self, request: ResourceRequest) -> JsonObject:
        fields = super().uri_fields(request)
        # The opcode has one field for the names of all kinds.
        for slot in request.slots:
            fields["name"] = fields.pop(slot)
        fields["tags"] = self._tags(request, fields["tags"] or [])
        return fields

    def body_fields(self, request: ResourceRequest) -> JsonObject:
        if isinstance(request.body, list):
            return {}
        body = body_object(request)
        # ``uri_fields`` has merged these with the tags in the query.
        body.pop("tags", None)
        return body

    def body_reference(self) -> list[str]:
        """Describe the body, which is an array."""
        return [
            "Body: nothing if the query has the tags, else an array of strings. At least one tag "
            f"is required. A new tag has up to {constants.MAX_TAG_LENGTH} letters, digits or "
            "characters of ``.+*/:@-_``."
        ]

    def _tags(self, request: ResourceRequest, from_query: list[str]) -> list[str]:
        """Return all tags, each once; raise ``BadRequest`` if there is none or one is invalid."""
        body = request.body
        from_body = body.get("tags") or [] if isinstance(body, dict) else body or []
        items = from_body if isinstance(from_body, list) else []
        texts = [tag for tag in items if isinstance(tag, str)]
        if texts != from_body:
            raise http_errors.BadRequest(
                "Invalid body parameters: tags must be a list of "
                f"strings, not {ht.shorten(from_body)}"
            )
        tags = list(dict.fromkeys([*from_query, *texts]))
        if not tags:
            raise http_errors.BadRequest(
                "Parameter 'tag' is missing: give tags as ?tag=A&tag=B or as a list in the body"
            )
        for tag in tags:
            problem = ht.tag_problem(tag) if self.op is opcodes.OpTagsSet or not tag else None
            if problem is not None:
                raise http_errors.BadRequest(f"Invalid value for the 'tag' parameter: {problem}")
        return tags


class ReadTags(Verb):
    """Reads the tags of one object; 404 if no object has its name."""

    open = True

    def __init__(self, kind: ht.TagKind) -> None:
        super().__init__("tags.get", "List the tags: a sorted array of strings.", {})
        self._kind = kind

    def answer(self, request: ResourceRequest) -> list[str]:
        # The cluster has no slot, and no name on LUXI.
        name = next(iter(request.slots.values()), "")
        answer = request.master.call(luxi.QueryTags(self._kind, name))
        if not isinstance(answer, list):
            raise errors.RequestError(f"the master's tags are not a list: {ht.shorten(answer)}")
        return sorted(answer)


class R_2_tags(Resource):
    """Tags of the cluster.

    Example::

        GET /2/tags

        []

        PUT /2/tags?tag=owner:web&tag=prod

        17

        DELETE /2/tags
        ["prod"]

        17
    """

    URI = "/2/tags"
    SINCE = "2.0.0"
    GET = ReadTags("cluster")
    PUT = SubmitTags(opcodes.OpTagsSet, "cluster", "tags.set")
    DELETE = SubmitTags(opcodes.OpTagsDel, "cluster", "tags.delete")


class R_2_nodes_name_tags(Resource):
    """Tags of one node.

    Example::

        GET /2/nodes/node2.example.com/tags

        []

        PUT /2/nodes/node2.example.com/tags?tag=owner:web&tag=prod

        17

        DELETE /2/nodes/node2.example.com/tags
        ["prod"]

        17
    """

    URI = "/2/nodes/{node_name}/tags"
    SINCE = "2.0.0"
    GET = ReadTags("node")
    PUT = SubmitTags(opcodes.OpTagsSet, "node", "tags.set")
    DELETE = SubmitTags(opcodes.OpTagsDel, "node", "tags.delete")


class R_2_instances_name_tags(Resource):
    """Tags of one instance.

    Example::

        GET /2/instances/web.example.com/tags

        []

        PUT /2/instances/web.example.com/tags?tag=owner:web&tag=prod

        17

        DELETE /2/instances/web.example.com/tags
        ["prod"]

        17
    """

    URI = "/2/instances/{instance_name}/tags"
    SINCE = "2.0.0"
    GET = ReadTags("instance")
    PUT = SubmitTags(opcodes.OpTagsSet, "instance", "tags.set")
    DELETE = SubmitTags(opcodes.OpTagsDel, "instance", "tags.delete")


class R_2_groups_name_tags(Resource):
    """Tags of one node group.

    Example::

        GET /2/groups/default/tags

        []

        PUT /2/groups/default/tags?tag=owner:web&tag=prod

        17

        DELETE /2/groups/default/tags
        ["prod"]

        17
    """

    URI = "/2/groups/{group_name}/tags"
    SINCE = "2.5.0"
    GET = ReadTags("nodegroup")
    PUT = SubmitTags(opcodes.OpTagsSet, "nodegroup", "tags.set")
    DELETE = SubmitTags(opcodes.OpTagsDel, "nodegroup", "tags.delete")


class R_2_networks_name_tags(Resource):
    """Tags of one network.

    Example::

        GET /2/networks/net1/tags

        ["prod"]

        PUT /2/networks/net1/tags?tag=owner:web&tag=prod

        17

        DELETE /2/networks/net1/tags
        ["prod"]

        17
    """

    URI = "/2/networks/{network_name}/tags"
    SINCE = "2.7.0"
    GET = ReadTags("network")
    PUT = SubmitTags(opcodes.OpTagsSet, "network", "tags.set")
    DELETE = SubmitTags(opcodes.OpTagsDel, "network", "tags.delete")
