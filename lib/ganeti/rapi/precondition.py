"""What preconditions are compared with: the object that a URI names, as it is now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ganeti import errors, luxi
from ganeti.http.errors import NotFound
from ganeti.http.negotiation import TargetState
from ganeti.rapi.baserlib import ResourceRequest
from ganeti.rapi.reading import read, read_one

#: Slot of a URI -> what it names; hosts have names without case.
_NAMED = {
    "instance_name": "instance",
    "node_name": "node",
    "group_name": "group",
    "network_name": "network",
}
_HOSTS = frozenset({"instance", "node"})
#: URIs without a slot that are about the cluster itself, and no list.
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
        """Is it there? Lists and the cluster always are."""
        slots = self._request.slots
        if "disk" in slots:
            found = self._find(["disk.sizes"])
            sizes = found and found["disk.sizes"]
            return isinstance(sizes, list) and int(slots["disk"]) < len(sizes)
        return self._find(["name"]) is not None

    def modified(self) -> float | None:
        """When its configuration was changed last; None for what has no such date."""
        if self._uri in _CLUSTER:
            found = self._request.master.call(luxi.QueryClusterInfo())
        elif _NAMED.keys() & self._request.slots.keys():
            found = self._find(["mtime"])
        else:
            found = None
        moment = found.get("mtime") if isinstance(found, dict) else None
        return moment if isinstance(moment, (int, float)) else None

    def _find(self, fields: Sequence[str]) -> dict[str, Any] | None:
        """The object with these fields, if that is what it has; None where there is none."""
        for slot, text in self._request.slots.items():
            if slot in _NAMED:
                return self._find_named(_NAMED[slot], text, fields)
            if slot == "job_id":
                return self._find_row("job", "id", luxi.parse_job_id(text), "status")
            if slot == "filter_uuid":
                return self._find_row("filter", "uuid", text, "action")
        return {}

    def _find_named(self, kind: str, name: str, fields: Sequence[str]) -> dict[str, Any] | None:
        try:
            return read_one(self._request, kind, fields, name.lower() if kind in _HOSTS else name)
        except (NotFound, errors.OpPrereqError):  # none, or more than one of that short name
            return None

    def _find_row(self, kind: str, key: str, value: Any, field: str) -> dict[str, Any] | None:
        """A row whose ``field`` is not null: a master answers with a row of its key alone, or
        an error, where there is none."""
        if value is None:
            return None
        try:
            rows = read(self._request, kind, [key, field], ["==", key, value])
        except errors.OpPrereqError:
            return None
        return rows[0] if rows and rows[0][field] is not None else None
