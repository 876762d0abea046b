"""Opcodes that do no work of their own, for testing a queue."""

from __future__ import annotations

from ganeti import ht
from ganeti.opcodes.base import OpCode, opcode


@opcode
class OpTestDelay(OpCode):
    """Take ``duration`` seconds; ``repeat`` times, if that is not 0."""

    SUMMARY_FIELD = "duration"

    duration: ht.NonNegativeFloat
    on_master: bool = True
    on_nodes: list[ht.NonEmptyString] = []
    on_node_uuids: list[str] | None = None
    repeat: ht.NonNegativeInt = 0
    interruptible: bool = False
    no_locks: bool = True
