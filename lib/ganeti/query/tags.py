"""Tags of one object."""

from __future__ import annotations

from ganeti import constants, errors
from ganeti.constants import ErrorCode
from ganeti.objects import ConfigObject
from ganeti.query.base import Sources


def of(sources: Sources, kind: str, name: str) -> list[str]:
    """The tags of an object, in the order in which they are stored.

    The cluster needs no name. ``OpPrereqError`` (unknown_entity) when there is
    no such object.
    """
    return list(_find(sources, kind, name).tags)


def _find(sources: Sources, kind: str, name: str) -> ConfigObject:
    config = sources.config
    found: ConfigObject | None = None
    label = {constants.TAG_NODEGROUP: "NodeGroup"}.get(kind, kind.capitalize())
    if kind == constants.TAG_CLUSTER:
        found = config.cluster
    elif kind == constants.TAG_NODE:
        found = config.find_node(name)
    elif kind == constants.TAG_INSTANCE:
        found = config.find_instance(name)
    elif kind == constants.TAG_NODEGROUP:
        found = config.find_group(name)
    if found is None:
        raise errors.OpPrereqError(f"{label} name {name} not found", ErrorCode.NOENT)
    return found
