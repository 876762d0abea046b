"""Opcodes that run a query within a job, as the LUXI calls of the same names do without one."""

from __future__ import annotations

from typing import Literal

from ganeti import ht
from ganeti.opcodes.base import Array, OpCode, opcode

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
    """Report fields of the objects of one kind that a filter matches."""

    SUMMARY_FIELD = "what"

    what: QueryKind
    fields: list[ht.NonEmptyString]
    qfilter: Array | None = None
    use_locking: bool = False


@opcode
class OpQueryFields(OpCode):
    """Describe the fields of objects of one kind."""

    SUMMARY_FIELD = "what"

    what: QueryKind
    fields: list[ht.NonEmptyString] | None = None
