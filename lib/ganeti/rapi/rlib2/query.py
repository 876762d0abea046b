"""Any fields of any kind of thing, and which fields there are."""

from __future__ import annotations

from typing import Any

from ganeti import errors, ht, luxi
from ganeti.http import errors as http_errors
from ganeti.luxi import dialect
from ganeti.rapi.arguments import Fields, check_fields
from ganeti.rapi.baserlib import Resource, verb
from ganeti.rapi.submit import body_object

#: What the master can be asked about. Clusters, OS definitions and external storage have
#: names there as well, but only jobs read them.
KINDS = ("instance", "node", "group", "job", "lock", "network", "export", "filter")


def _table(answer: Any, *keys: str) -> dict[str, Any]:
    """The answer, if it has these lists."""
    if not isinstance(answer, dict) or not all(isinstance(answer.get(key), list) for key in keys):
        raise errors.RequestError(
            f"the master's answer has no {' and '.join(keys)}: " + ht.shorten(answer)
        )
    return answer


class R_2_query(Resource):
    """Any fields of instances, nodes, groups, jobs, locks, networks, exports or filters.

    ``[resource]`` is one of ``instance``, ``node``, ``group``, ``job``, ``lock``, ``network``,
    ``export`` and ``filter``.
    """

    URI = "/2/query/{resource}"
    SLOTS = {"resource": "|".join(KINDS)}
    SINCE = "2.5.0"

    @verb("query.all", open=False, fields=Fields())
    def GET(self, fields: list[str] | None) -> dict[str, Any]:
        """The named fields of everything of this kind; ``fields`` is required.

        Answers ``{"fields": [...], "data": [...]}``. ``fields`` describes each field by
        ``name``, ``title``, ``kind`` and ``doc``. A row of ``data`` has a ``[status, value]`` for
        each: 0 and the value, or null with 1 (no such field), 2 (no data), 3 (has no value) or
        4 (its node is offline). ``/2/query/lock?fields=name,mode,owner,pending`` tells who
        holds what and who waits for it.
        """
        return self._query(fields, None)

    @verb("query.all", open=False, large_body=True, fields=Fields())
    def PUT(self, fields: list[str] | None) -> dict[str, Any]:
        """As ``GET``, with a filter: nothing is changed.

        The body is ``{"fields": [name, ...], "qfilter": [...]}``. Without a filter all are
        meant; the fields may stand in the query instead. A filter is a list that begins
        with an operator:
        ``["&", f, ...]``, ``["|", f, ...]``, ``["!", f]``, ``["?", field]``,
        ``["==", field, value]`` (or ``!=``, ``<``, ``<=``, ``>``, ``>=``),
        ``["=~", field, regex]`` or ``["=[]", field, value]``, whose field is a list. ``filter`` is
        the older name of ``qfilter``.
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

    def _query(self, fields: list[str] | None, qfilter: list[Any] | None) -> dict[str, Any]:
        if fields is None:
            raise http_errors.BadRequest(
                "Parameter 'fields' is missing: give the names of fields, with commas between"
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
    """What can be asked about a kind of thing."""

    URI = "/2/query/{resource}/fields"
    SLOTS = {"resource": "|".join(KINDS)}
    SINCE = "2.5.0"

    @verb("query.all", fields=Fields())
    def GET(self, fields: list[str] | None) -> dict[str, Any]:
        """Describe the named fields, or all: ``{"fields": [{"name", "title", "kind", "doc"}]}``.

        ``kind`` is one of text, bool, number, float, unit (MiB), timestamp and other;
        ``unknown`` for a field that there is not.
        """
        answer = self.request.master.call(luxi.QueryFields(self.request.slots["resource"], fields))
        return _table(answer, "fields")
