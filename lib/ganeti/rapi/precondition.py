"""The present state of the object that a URI names, which preconditions are compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ganeti import errors, luxi
from ganeti.http.errors import NotFound
from ganeti.http.negotiation import TargetState
from ganeti.rapi.baserlib import ResourceRequest
from ganeti.rapi.reading import KIND_OF_SLOT, read, read_one, stored_name
from ganeti.serializer import JsonObject

#: URIs without a slot that are about the cluster itself, and not a list.
_CLUSTER = frozenset({"/2/tags", "/2/modify", "/2/redistribute-config"})


class Object(TargetState):
    """The object that a request is about."""

    def __init__(self, request: ResourceRequest, uri: str, tag: Callable[[], str | None]) -> None:
        self._request = request
        self._uri = uri
        self._read_tag = tag

    def tag(self) -> str | None:
        """Return the ETag of a GET; None if that shows none."""
        return self._read_tag()

    def exists(self) -> bool:
        """Return whether it exists; lists and the cluster always do."""
        slots = self._request.slots
        if "disk" in slots:
            found = self._find(["disk.sizes"])
            sizes = found and found["disk.sizes"]
            return isinstance(sizes, list) and int(slots["disk"]) < len(sizes)
        return self._find(["name"]) is not None

    def modified(self) -> float | None:
        """Return when its configuration was last changed; None if it has no such date."""
        if self._uri in _CLUSTER:
            found = self._request.master.call(luxi.QueryClusterInfo())
        elif KIND_OF_SLOT.keys() & self._request.slots.keys():
            found = self._find(["mtime"])
        else:
            found = None
        moment = found.get("mtime") if isinstance(found, dict) else None
        return moment if isinstance(moment, (int, float)) else None

    def _find(self, fields: Sequence[str]) -> JsonObject | None:
        """Return the object with those of these fields that it has; None if there is none."""
        for slot, text in self._request.slots.items():
            if slot in KIND_OF_SLOT:
                return self._find_named(KIND_OF_SLOT[slot], text, fields)
            if slot == "job_id":
                return self._find_row("job", "id", luxi.parse_job_id(text), "status")
            if slot == "filter_uuid":
                return self._find_row("filter", "uuid", text, "action")
        return {}

    def _find_named(self, kind: str, name: str, fields: Sequence[str]) -> JsonObject | None:
        try:
            return read_one(self._request, kind, fields, stored_name(kind, name))
        except (NotFound, errors.OpPrereqError):  # none, or several with that short name
            return None

    def _find_row(
        self, kind: str, key: str, value: str | int | None, field: str
    ) -> JsonObject | None:
        """Return a row whose ``field`` is not null, else None.

        For an unknown key a master answers with a row of nothing but the key, or with an error.
        """
        if value is None:
            return None
        try:
            rows = read(self._request, kind, [key, field], ["==", key, value])
        except errors.OpPrereqError:
            return None
        return rows[0] if rows and rows[0][field] is not None else None
