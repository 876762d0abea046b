"""The full name of what a request is about, for rights that name objects by pattern.

A master also knows an object by its UUID, and a host by the beginning of its name, up to
a point. Were a pattern compared with these, it would reach what it does not name, and
miss what it does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

from ganeti import errors, luxi

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
#: Slot of a URI -> what it names.
_KINDS = {"instance_name": "instance", "node_name": "node", "group_name": "group",
          "network_name": "network"}
#: Those whose names have no case.
_HOSTS = frozenset({"instance", "node"})


class Master(Protocol):
    """Who knows the names."""

    def call(self, call: luxi.Call) -> object:
        """The result of a call; raises ``errors.Error``."""


def full_name(master: Master, slots: Mapping[str, str]) -> str | None:
    """The name of what the first slot names; its text where there is no such thing.

    None where there is no slot. Raises ``errors.Error`` when the master cannot be asked.
    """
    for slot, text in slots.items():
        kind = _KINDS.get(slot)
        return text if kind is None else _look_up(
            master, kind, text.lower() if kind in _HOSTS else text)
    return None


def _look_up(master: Master, kind: str, text: str) -> str:
    # A real luxid finds an object by any of its names, then compares the field.
    for field in ("name", "uuid"):
        try:
            found = master.call(luxi.Query(kind, ["name"], ["==", field, text]))
        except errors.OpPrereqError:
            continue
        rows = found.get("data") if isinstance(found, dict) else None
        if rows:
            return str(rows[0][0][1])
    return text
