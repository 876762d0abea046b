"""Full name of the object of a request, for rights that name objects by pattern.

A master also accepts an object's UUID, and a host's name up to any of its dots. Patterns are
matched against the full name, because aliases would grant or deny the wrong objects.
"""

from __future__ import annotations

from collections.abc import Mapping

from ganeti import errors
from ganeti.http.errors import NotFound
from ganeti.luxi import BoundClient
from ganeti.rapi.baserlib import ResourceRequest
from ganeti.rapi.reading import KIND_OF_SLOT, read_one, stored_name


def full_name(master: BoundClient, slots: Mapping[str, str]) -> str | None:
    """Return the full name of the object in the first slot, or the slot's text if it is unknown.

    Return None without slots. Raises ``errors.Error`` if the master cannot be asked.
    """
    for slot, text in slots.items():
        kind = KIND_OF_SLOT.get(slot)
        if kind is None:
            return text
        wanted = stored_name(kind, text)
        try:
            return str(read_one(ResourceRequest(master=master), kind, ["name"], wanted)["name"])
        except (NotFound, errors.OpPrereqError):
            return wanted
    return None
