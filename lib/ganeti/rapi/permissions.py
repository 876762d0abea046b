"""The vocabulary of rights: those that the verbs need, and roles as Ganeti's release after 3.1 has
them.

A new verb may need a new right: it is known by being named there, and the roles that have every
right have it too.
"""

from __future__ import annotations

from ganeti.rapi import rlib2
from ganeti.rapi.auth.rights import Vocabulary


def _names(resource: str, actions: str) -> set[str]:
    return {f"{resource}.{action}" for action in actions.split()}


#: The rights of the role ``@readonly``.
READONLY = frozenset(
    _names("jobs", "list query")
    | _names("instances", "list query info")
    | _names("nodes", "list query role.query")
    | _names("networks", "list query")
    | _names("groups", "list query")
    | _names("filter", "list query")
    | _names("cluster", "info")
    | _names("tags", "get")
    | _names("query", "all")
    | _names("os", "list")
)

#: The rights of the word ``read`` since Ganeti 2.7. It has neither a job's wait nor the storage of
#: nodes: they show secrets and occupy the master.
READ = READONLY | {"instances.query.console"}

#: The rights of the role ``@operator``, which keeps instances running on any node, but neither
#: creates nor changes them.
OPERATOR = READ | _names(
    "instances",
    "startup shutdown reboot migrate failover replace_disks export.prepare "
    "export.create export.remove",
)

#: The rights of all verbs; Ganeti has no others.
ALL = frozenset(
    verb.access for resource in rlib2.RESOURCES for verb in resource.verbs().values() if verb.access
)

VOCABULARY = Vocabulary(
    ALL,
    {
        "@admin": ALL,
        "@operator": OPERATOR,
        "@readonly": READONLY,
        # Options of Ganeti 2.x, and a word for all of them.
        "read": READ,
        "write": ALL,
        "all": ALL,
    },
)
