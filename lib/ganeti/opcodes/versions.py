"""What of the opcodes depends on the version of Ganeti's master, as one table.

The opcodes here are those of 3.0 and 3.1 together. What only some versions know stands
below; a front asks which one its master is only where one of these is used, so that
an upgrade is noticed at once. (Ganeti 3.0.2 and 3.1.1, ``src/Ganeti/OpCodes.hs``.)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

Version = tuple[int, int]

#: Masters that speak LUXI as we do. What says of itself that it is older is our own.
FIRST: Version = (3, 0)

_NUMBER = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})(?:[.~\s-]|$)", re.ASCII)


class Span(NamedTuple):
    """The versions that know something: from one on, and up to another, exclusive."""

    since: Version = FIRST
    until: Version | None = None

    def holds(self, version: Version) -> bool:
        """Does this version know it?"""
        return self.since <= version and (self.until is None or version < self.until)


#: OP_ID -> who knows it, where that is not everybody.
OPCODES: Mapping[str, Span] = {
    "OP_NETWORK_RENAME": Span(since=(3, 1)),
}

#: (OP_ID, field) -> who knows it, where that is not everybody.
FIELDS: Mapping[tuple[str, str], Span] = {
    ("OP_INSTANCE_SET_PARAMS", "hotplug_if_possible"): Span(until=(3, 1)),
}

#: (OP_ID, field) -> its default before 3.1; the class has that of today.
DEFAULTS_BEFORE_3_1: Mapping[tuple[str, str], Any] = {
    ("OP_INSTANCE_CREATE", "ip_check"): True,
    ("OP_INSTANCE_CREATE", "name_check"): True,
    ("OP_INSTANCE_RENAME", "ip_check"): True,
    ("OP_INSTANCE_RENAME", "name_check"): True,
    ("OP_INSTANCE_SET_PARAMS", "hotplug"): False,
}


def parse(software_version: object) -> Version | None:
    """(3, 0) of "3.0.2"; None of what is no version, and of our own master's."""
    found = _NUMBER.match(software_version) if isinstance(software_version, str) else None
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    return version if version >= FIRST else None
