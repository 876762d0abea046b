"""The objects that carry tags: how they are found, locked and kept within limits.

Tags of the cluster have a lock of their own, ``cluster/tags``: the cluster's
lock itself is shared by all jobs, so changing a tag would have to wait for
every one of them. The other kinds take the lock of their object.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeVar

from ganeti import constants, errors, ht, locking, opcodes
from ganeti.cmdlib.base import LogicalUnit
from ganeti.config.config import Config
from ganeti.constants import ErrorCode
from ganeti.locking import Level, Want
from ganeti.objects import ConfigObject

#: Lock on the level of the cluster that guards the cluster's own tags.
CLUSTER_TAGS = "tags"

TagOpT = TypeVar("TagOpT", opcodes.OpTagsGet, opcodes.OpTagsSet, opcodes.OpTagsDel)


class TagUnit(LogicalUnit[TagOpT]):
    """Work on the tags of one object."""

    target: ConfigObject

    def locks(self) -> Sequence[Want]:
        """The object, alone; an unknown instance by the name given, as it may be on its way."""
        kind, name = self.op.kind, self.op.name or ""
        if kind == constants.TAG_CLUSTER:
            return (locking.exclusive(Level.CLUSTER, CLUSTER_TAGS),)
        if kind == constants.TAG_INSTANCE:
            return (self.instance_lock(name),) if name else ()
        if kind == constants.TAG_NODE:
            node = self.config.find_node(name)
            return (locking.exclusive(Level.NODE, node.name),) if node else ()
        group = self.config.find_group(name) if kind == constants.TAG_NODEGROUP else None
        return (locking.exclusive(Level.GROUP, group.name),) if group else ()

    def check(self) -> None:
        """Find the object."""
        self.target = find_target(self.config, self.op.kind, self.op.name)


def find_target(config: Config, kind: str, name: str | None) -> ConfigObject:
    """The object; ``OpPrereqError`` when it is unknown. The cluster needs no name."""
    if kind == constants.TAG_CLUSTER:
        return config.cluster
    if name is None:
        raise errors.OpPrereqError(f"Tags of a {kind} need its name", ErrorCode.INVAL)
    if kind == constants.TAG_INSTANCE:
        return config.instance(name)
    if kind == constants.TAG_NODE:
        return config.node(name)
    if kind == constants.TAG_NODEGROUP:
        return config.group(name)
    raise errors.OpPrereqError(f"Network '{name}' not known", ErrorCode.NOENT)


def check_count(tags: Collection[str]) -> None:
    """Raise ``TagError`` for more tags than one object can have."""
    if len(tags) > constants.MAX_TAGS_PER_OBJECT:
        raise errors.TagError(
            f"Too many tags: {len(tags)}, where an object can have {constants.MAX_TAGS_PER_OBJECT}"
        )


def check_tags(tags: Sequence[str]) -> None:
    """Raise ``TagError`` for the first tag that breaks the rules."""
    for tag in tags:
        problem = ht.tag_problem(tag)
        if problem:
            raise errors.TagError(problem)
