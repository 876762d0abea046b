"""The full name of what a request is about, for rights that name objects by pattern.

A master also knows an object by its UUID, and a host by the beginning of its name, up to
a point. Were a pattern compared with these, it would reach what it does not name, and
miss what it does.
"""

from __future__ import annotations

from collections.abc import Mapping

from ganeti import errors
from ganeti.http.errors import NotFound
from ganeti.rapi.baserlib import Master, ResourceRequest
from ganeti.rapi.reading import read_one

#: Slot of a URI -> what it names.
_KINDS = {
    "instance_name": "instance",
    "node_name": "node",
    "group_name": "group",
    "network_name": "network",
}
#: Those whose names have no case.
_HOSTS = frozenset({"instance", "node"})


def full_name(master: Master, slots: Mapping[str, str]) -> str | None:
    """The name of what the first slot names; its text where there is no such thing.

    None where there is no slot. Raises ``errors.Error`` when the master cannot be asked.
    """
    for slot, text in slots.items():
        kind = _KINDS.get(slot)
        if kind is None:
            return text
        wanted = text.lower() if kind in _HOSTS else text
        try:
            return str(read_one(ResourceRequest(master=master), kind, ["name"], wanted)["name"])
        except (NotFound, errors.OpPrereqError):
            return wanted
    return None
