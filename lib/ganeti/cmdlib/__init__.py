"""What opcodes do: one file per opcode, named after it.

``OpInstanceStartup`` is carried out by ``LUInstanceStartup`` in
``instance_startup.py``; ``lu_for`` finds it by that rule, there is no table.

Files that hold no logical unit are nouns that several of them share:

    base            the life of a logical unit
    common          checks, and the base of units about one instance
    allocation      memory and disk of nodes: does it fit, and where
    disks, nics     an instance's parts, from what the caller wrote
    names           asking the resolver and the network about a name
    installation    an OS definition with its parameters, checked against a node
    tagging         the objects that carry tags
    findings        what verification says, and how
    recovery        cleaning up after a master that died
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from ganeti import errors
from ganeti.cmdlib.base import LogicalUnit
from ganeti.opcodes import BY_ID, FORWARD_ONLY


@cache
def lu_for(op_id: str) -> type[LogicalUnit[Any]]:
    """The logical unit of an OP_ID; raises ``OpCodeUnknown`` where there is none."""
    op = BY_ID.get(op_id)
    if op is None or op_id in FORWARD_ONLY:
        raise errors.OpCodeUnknown(f"unknown opcode {op_id}")
    module = importlib.import_module(f"ganeti.cmdlib.{op_id.removeprefix('OP_').lower()}")
    found: type[LogicalUnit[Any]] = getattr(module, "LU" + op.__name__.removeprefix("Op"))
    return found
