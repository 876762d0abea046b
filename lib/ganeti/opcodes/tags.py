"""Opcodes that read and change tags of the cluster, nodes, instances, groups and networks."""

from __future__ import annotations

from ganeti import ht
from ganeti.opcodes.base import OpCode, opcode


@opcode
class OpTagsGet(OpCode):
    """Report the tags of one object; ``name`` is null for the cluster."""

    kind: ht.TagKind
    use_locking: bool = False
    name: str | None = None


@opcode
class OpTagsSearch(OpCode):
    """Find all tags that a regular expression matches, with the paths of their objects."""

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
    """Remove tags from one object, which must have each of them."""

    kind: ht.TagKind
    tags: list[str]
    name: str | None = None
