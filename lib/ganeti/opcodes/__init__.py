"""Every opcode, by noun: ``opcodes.OpInstanceStartup``, ``opcodes.load(wire)``.

A front checks and forwards all of them. Those with a logical unit in ``cmdlib`` are carried out
by our own master, which refuses the others by name.
"""

# Stars, so that a new opcode needs no entry in a list here.
from ganeti.opcodes.backup import *
from ganeti.opcodes.base import BY_ID, FieldError, OpCode, load, redact
from ganeti.opcodes.cluster import *
from ganeti.opcodes.group import *
from ganeti.opcodes.instance import *
from ganeti.opcodes.instance_change import *
from ganeti.opcodes.instance_disks import *
from ganeti.opcodes.network import *
from ganeti.opcodes.node import *
from ganeti.opcodes.query import *
from ganeti.opcodes.tags import *
from ganeti.opcodes.test import *

__all__ = [
    "BY_ID",
    "FieldError",
    "OpCode",
    "load",
    "redact",
    *(op.__name__ for op in BY_ID.values()),
]
