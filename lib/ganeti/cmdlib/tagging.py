"""Objects with tags: how they are found and locked, and the limits of their tags.

The tags of the cluster have a separate lock, ``cluster/tags``. All jobs share the lock of the
cluster, so with that one a change of tags would wait for every job. For the other kinds the
lock of the object is taken.
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

#: Name of the lock, on the cluster's level, for the tags of the cluster.
CLUSTER_TAGS = "tags"

TagOpT = TypeVar("TagOpT", opcodes.OpTagsGet, opcodes.OpTagsSet, opcodes.OpTagsDel)


class TagUnit(LogicalUnit[TagOpT]):
    """Base of the units that read or change the tags of one object."""

    target: ConfigObject

    def locks(self) -> Sequence[Want]:
        """Return an exclusive lock of the object.

        An instance that is unknown is locked under the name given, as it may be in creation.
        """
        kind, name = self.op.kind, self.op.name or ""
        if kind == constants.TAG_CLUSTER:
            return (locking.exclusive(Level.CLUSTER, CLUSTER_TAGS),)
        if kind == constants.TAG_INSTANCE and name:
            return (self.instance_lock(name),)
        if kind == constants.TAG_NODE and (node := self.config.find_node(name)):
            return (locking.exclusive(Level.NODE, node.name),)
        if kind == constants.TAG_NODEGROUP and (group := self.config.find_group(name)):
            return (locking.exclusive(Level.GROUP, group.name),)
        return ()  # check refuses it

    def check(self) -> None:
        """Find the object; ``OpPrereqError`` if it is unknown."""
        self.target = find_target(self.config, self.op.kind, self.op.name)


def find_target(config: Config, kind: str, name: str | None) -> ConfigObject:
    """Return the object; ``OpPrereqError`` if it is unknown. The cluster needs no name."""
    if kind == constants.TAG_CLUSTER:
        return config.cluster
    if name is None:
        raise errors.OpPrereqError(f"The name of the {kind} is missing", ErrorCode.INVAL)
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
            f"Too many tags: {len(tags)}; an object can have {constants.MAX_TAGS_PER_OBJECT}"
        )


def check_tags(tags: Sequence[str]) -> None:
    """Raise ``TagError`` for the first invalid tag."""
    for tag in tags:
        problem = ht.tag_problem(tag)
        if problem:
            raise errors.TagError(problem)
