"""Path -> resource: a table of regexes, built from the resources' URIs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ganeti.rapi import rlib2
from ganeti.rapi.baserlib import SLOT, Resource, Verb
from ganeti.rapi.rlib2.query import KINDS

#: What may stand in a slot; a job's is its number. Names as Ganeti has them in its URIs.
_NAME = r"[\w.-]+"
_SLOTS = {"job_id": r"[0-9]+", "disk": r"[0-9]{1,9}", "resource": "|".join(KINDS)}


@dataclass(frozen=True)
class RouteMatch:
    """The resource of a path, and what stands in the path's slots."""

    resource: type[Resource]
    slots: dict[str, str]
    #: Was it found by another spelling, which can only be read?
    alias: bool = False

    def verbs(self) -> dict[str, Verb]:
        """The methods that can be used on this path."""
        found = self.resource.verbs()
        return {"GET": found["GET"]} if self.alias else found

    def allow(self) -> list[str]:
        """All methods of this path, as ``Allow`` lists them."""
        names = list(self.verbs())
        return [*names, *(["HEAD"] if "GET" in names else []), "OPTIONS"]


def pattern(uri: str) -> re.Pattern[str]:
    """The regex of a URI: ``/2/jobs/{job_id}`` -> ``/2/jobs/(?P<job_id>[0-9]+)``."""
    pieces = SLOT.split(uri)
    for index, piece in enumerate(pieces):
        # Every second piece is the name of a slot.
        pieces[index] = (
            f"(?P<{piece}>{_SLOTS.get(piece, _NAME)})" if index % 2 else re.escape(piece)
        )
    return re.compile("".join(pieces), re.ASCII)


class Connector:
    """Finds resources; built once, from all of ``rlib2`` unless told otherwise."""

    def __init__(self, resources: Iterable[type[Resource]] = rlib2.RESOURCES) -> None:
        #: Those without slots, which most requests are for, and the others.
        self._fixed: dict[str, RouteMatch] = {}
        self._table: list[tuple[re.Pattern[str], type[Resource], bool]] = []
        seen: set[str] = set()
        for resource in resources:
            for uri in (resource.URI, *resource.ALIASES):
                regex = pattern(uri)
                if regex.pattern in seen:
                    raise ValueError(f"two resources have the URI {uri}")
                seen.add(regex.pattern)
                if SLOT.search(uri):
                    self._table.append((regex, resource, uri != resource.URI))
                else:
                    self._fixed[uri] = RouteMatch(resource, {}, uri != resource.URI)

    def find(self, path: str) -> RouteMatch | None:
        """Return the resource of a percent-decoded path; None if there is none."""
        fixed = self._fixed.get(path)
        if fixed is not None:
            return fixed
        for regex, resource, alias in self._table:
            found = regex.fullmatch(path)
            if found is not None:
                return RouteMatch(resource, found.groupdict(), alias)
        return None
