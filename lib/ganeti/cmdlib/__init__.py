"""What opcodes do: one file per opcode, named after it.

``OpInstanceStartup`` is carried out by ``LUInstanceStartup`` in
``instance_startup.py``; ``lu_for`` finds it by that rule, there is no table.

Files that hold no logical unit are nouns that several of them share:

    base            the life of a logical unit, units about one instance, checks
    common          questions about nodes and instances that several units ask
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
import pkgutil
from functools import cache
from typing import Any

from ganeti import errors
from ganeti.cmdlib.base import LogicalUnit
from ganeti.opcodes import BY_ID


def _module_name(op_id: str) -> str:
    return op_id.removeprefix("OP_").lower()


_MODULES = {module.name for module in pkgutil.iter_modules(__path__)}

#: OP_IDs without a logical unit: a front forwards them to a real Ganeti, this master refuses them.
FORWARD_ONLY = frozenset(op_id for op_id in BY_ID if _module_name(op_id) not in _MODULES)


@cache
def lu_for(op_id: str) -> type[LogicalUnit[Any]]:
    """Return the logical unit of an OP_ID; raise ``OpCodeUnknown`` if there is none."""
    op = BY_ID.get(op_id)
    if op is None or op_id in FORWARD_ONLY:
        raise errors.OpCodeUnknown(f"unknown opcode {op_id}")
    module = importlib.import_module(f"ganeti.cmdlib.{_module_name(op_id)}")
    found: type[LogicalUnit[Any]] = getattr(module, "LU" + op.__name__.removeprefix("Op"))
    return found
