"""What opcodes do: one file per opcode, named after it.

``OpInstanceStartup`` is carried out by ``LUInstanceStartup`` in
``instance_startup.py``; ``lu_for`` finds it by that rule, there is no table.
Files that hold no logical unit are nouns that several of them share.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from ganeti import errors
from ganeti.cmdlib.base import LogicalUnit
from ganeti.opcodes import BY_ID

#: The other files of this package, and what they are for.
SHARED = {
    "allocation": "memory and disk of nodes: does it fit, and where",
    "base": "the life of a logical unit",
    "common": "checks that several logical units share",
    "disks": "an instance's disks, from what the caller wrote",
    "findings": "what verification says, and how",
    "guests": "an OS definition and its parameters, checked against a node",
    "ipolicy": "does an instance keep to its group's policy",
    "names": "asking the resolver and the network about a name",
    "nics": "an instance's network cards, from what the caller wrote",
    "recovery": "cleaning up after a master that died",
    "tagging": "the objects that carry tags",
}


@cache
def lu_for(op_id: str) -> type[LogicalUnit[Any]]:
    """The logical unit of an OP_ID; raises ``OpCodeUnknown`` where there is none."""
    op = BY_ID.get(op_id)
    if op is None:
        raise errors.OpCodeUnknown(f"unknown opcode {op_id}")
    module = importlib.import_module(f"ganeti.cmdlib.{op_id.removeprefix('OP_').lower()}")
    found: type[LogicalUnit[Any]] = getattr(module, "LU" + op.__name__.removeprefix("Op"))
    return found
