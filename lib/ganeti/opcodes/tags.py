"""Opcodes that read and change tags."""

from __future__ import annotations

from ganeti import ht
from ganeti.opcodes.base import OpCode, opcode


@opcode
class OpTagsGet(OpCode):
    """The tags of one object."""

    kind: ht.TagKind
    use_locking: bool = False
    name: str | None = None


@opcode
class OpTagsSearch(OpCode):
    """All tags that a regular expression finds, with the path of their object."""

    SUMMARY_FIELD = "pattern"

    pattern: ht.NonEmptyString


@opcode
class OpTagsSet(OpCode):
    """Add tags to one object; ``name`` is null for the cluster."""

    kind: ht.TagKind
    tags: list[str]
    name: str | None = None


@opcode
class OpTagsDel(OpCode):
    """Remove tags from one object; each of them must be there."""

    kind: ht.TagKind
    tags: list[str]
    name: str | None = None
