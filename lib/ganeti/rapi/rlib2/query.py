"""Queries: chosen fields of the objects of one kind, and descriptions of fields."""

from __future__ import annotations

from typing import Any

from ganeti import errors, ht, luxi
from ganeti.http import errors as http_errors
from ganeti.luxi import dialect
from ganeti.rapi.arguments import Fields, check_fields
from ganeti.rapi.baserlib import Resource, verb
from ganeti.rapi.submit import body_object
from ganeti.serializer import JsonObject

#: Kinds of objects that the master can be asked about. It has names for clusters, OS definitions
#: and external storage as well, but only jobs read these.
KINDS = ("instance", "node", "group", "job", "lock", "network", "export", "filter")


def _table(answer: object, *keys: str) -> JsonObject:
    """Return the answer; raise ``RequestError`` if it lacks one of these lists."""
    if not isinstance(answer, dict) or not all(isinstance(answer.get(key), list) for key in keys):
        raise errors.RequestError(
            f"the master's answer has no {' and '.join(keys)}: " + ht.shorten(answer)
        )
    return answer


class R_2_query(Resource):
    """Chosen fields of instances, nodes, groups, jobs, locks, networks, exports or filters.

    ``[resource]`` is one of ``instance``, ``node``, ``group``, ``job``, ``lock``, ``network``,
    ``export`` and ``filter``.

    Example (of the descriptions only one is shown)::

        GET /2/query/instance?fields=name,status

        {"fields": [{"name": "name", "title": "Instance", "kind": "text",
                     "doc": "Name of the instance"}],
         "data": [[[0, "web.example.com"], [0, "running"]]]}

    Another::

        PUT /2/query/instance
        {"fields": ["name"], "qfilter": ["=~", "name", "^db"]}

        {"fields": [{"name": "name", "title": "Instance", "kind": "text",
                     "doc": "Name of the instance"}],
         "data": [[[0, "db.example.com"]]]}
    """

    URI = "/2/query/{resource}"
    SLOTS = {"resource": "|".join(KINDS)}
    SINCE = "2.5.0"

    @verb("query.all", open=False, fields=Fields())
    def GET(self, fields: list[str] | None) -> JsonObject:
        """Report the named fields of all objects of this kind; ``fields`` is required.

        The answer is ``{"fields": [...], "data": [...]}``. ``fields`` describes each field by
        ``name``, ``title``, ``kind`` and ``doc``. A row of ``data`` has ``[status, value]`` for
        each field: 0 and the value, or null with 1 (unknown field), 2 (no data), 3 (not available
        for this object) or 4 (its node is offline).
        ``/2/query/lock?fields=name,mode,owner,pending`` shows which jobs hold locks or wait for
        them.
        """
        return self._query(fields, None)

    @verb("query.all", open=False, large_body=True, fields=Fields())
    def PUT(self, fields: list[str] | None) -> JsonObject:
        """Report the named fields of the objects that a filter matches; nothing is changed.

        The body is ``{"fields": [name, ...], "qfilter": [...]}``; ``fields`` may be in the query
        instead. Without a filter all objects are reported. A filter is an array that begins with
        an operator: ``["&", f, ...]``, ``["|", f, ...]``, ``["!", f]``, ``["?", field]``,
        ``["==", field, value]`` (or ``!=``, ``<``, ``<=``, ``>``, ``>=``),
        ``["=~", field, regex]`` or, for a field that is an array, ``["=[]", field, value]``.
        ``filter`` is the older name of ``qfilter``.
        """
        body = body_object(self.request)
        named = body.get("fields")
        if named is None:
            named = fields
        elif not isinstance(named, list) or not all(isinstance(name, str) for name in named):
            raise http_errors.BadRequest(
                "Invalid body parameters: fields must be a list of "
                f"strings, not {ht.shorten(named)}"
            )
        else:
            check_fields(named)
        # Ganeti's own client sends the filter under both names.
        filters = [body[name] for name in ("qfilter", "filter") if body.get(name) is not None]
        for qfilter in filters:
            if not isinstance(qfilter, list) or qfilter != filters[0]:
                raise http_errors.BadRequest(
                    f"Invalid body parameters: qfilter must be a list, not {ht.shorten(qfilter)}"
                )
        return self._query(named, filters[0] if filters else None)

    def _query(self, fields: list[str] | None, qfilter: list[Any] | None) -> JsonObject:
        if fields is None:
            raise http_errors.BadRequest(
                "Parameter 'fields' is missing: give the names of fields, separated by commas"
            )
        call = luxi.Query(self.request.slots["resource"], fields, qfilter)
        try:
            answer = self.request.master.call(call)
        except errors.Error as err:
            problem = None if qfilter is None else dialect.filter_problem(err)
            if problem is None:
                raise
            raise http_errors.BadRequest(f"Invalid body parameters: qfilter: {problem}") from None
        return _table(answer, "fields", "data")


class R_2_query_fields(Resource):
    """The fields of the objects of one kind.

    Example (of the answer only one field is shown)::

        GET /2/query/node/fields

        {"fields": [{"name": "name", "title": "Node", "kind": "text", "doc": "Name of the node"}]}
    """

    URI = "/2/query/{resource}/fields"
    SLOTS = {"resource": "|".join(KINDS)}
    SINCE = "2.5.0"

    @verb("query.all", fields=Fields())
    def GET(self, fields: list[str] | None) -> JsonObject:
        """Describe the named fields, or all: ``{"fields": [{"name", "title", "kind", "doc"}]}``.

        ``kind`` is ``text``, ``bool``, ``number``, ``float``, ``unit`` (MiB), ``timestamp`` or
        ``other``, and ``unknown`` for an unknown field.
        """
        answer = self.request.master.call(luxi.QueryFields(self.request.slots["resource"], fields))
        return _table(answer, "fields")
