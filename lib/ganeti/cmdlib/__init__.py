"""Logical units: the work of opcodes, one file per opcode, named after it.

``OpInstanceStartup`` is carried out by ``LUInstanceStartup`` in ``instance_startup.py``. The
processor (``mcpu``) finds the unit by these names.

Files without a logical unit hold what several units share:

    base            the life of a logical unit, units about one instance, checks
    common          questions about nodes and instances that several units ask
    allocation      memory and disk of nodes: whether something fits, and where
    disks, nics     an instance's parts, from the parameters of a request
    names           questions to the resolver and the network about a name
    installation    an OS definition with its parameters, checked against a node
    tagging         the objects that carry tags
    findings        the form in which verification reports
    recovery        cleaning up after a master that died
"""

from __future__ import annotations

import pkgutil

from ganeti.opcodes import BY_ID

_FILES = {module.name for module in pkgutil.iter_modules(__path__)}

#: OP_ID -> name of the file with its logical unit.
FILE_OF = {op_id: name for op_id in BY_ID if (name := op_id.removeprefix("OP_").lower()) in _FILES}

#: OP_IDs without a logical unit: a front forwards them to a real Ganeti, this master refuses them.
FORWARD_ONLY = frozenset(BY_ID.keys() - FILE_OF.keys())
