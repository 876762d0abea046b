"""Opcodes that ask as the LUXI calls of their names do, within a job."""

from __future__ import annotations

from typing import Any, Literal

from ganeti import ht
from ganeti.opcodes.base import OpCode, opcode

QueryKind = Literal[
    "cluster",
    "export",
    "extstorage",
    "filter",
    "group",
    "instance",
    "job",
    "lock",
    "network",
    "node",
    "os",
]


@opcode
class OpQuery(OpCode):
    """Fields of things of one kind that pass a filter."""

    SUMMARY_FIELD = "what"

    what: QueryKind
    fields: list[ht.NonEmptyString]
    qfilter: list[Any] | None = None
    use_locking: bool = False


@opcode
class OpQueryFields(OpCode):
    """Which fields things of one kind have."""

    SUMMARY_FIELD = "what"

    what: QueryKind
    fields: list[ht.NonEmptyString] | None = None
