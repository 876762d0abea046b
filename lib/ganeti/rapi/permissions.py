"""The names of rights and roles, as Ganeti's release after 3.1 has them.

Also those of resources that we do not have yet: a users file that was written
for Ganeti is read without complaint.
"""

from __future__ import annotations

from ganeti.rapi.auth.rights import Vocabulary


def _names(resource: str, actions: str) -> set[str]:
    return {f"{resource}.{action}" for action in actions.split()}


#: What the role ``@readonly`` may do.
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

#: What the word ``read`` gives since Ganeti 2.7. A job's wait and the storage of nodes are for
#: writers there: they show what is secret, and hold resources of the master.
READ = READONLY | {"instances.query.console"}

#: What the role ``@operator`` may do besides: keep instances running, wherever, but neither make
#: nor change them.
OPERATOR = READ | _names(
    "instances",
    "startup shutdown reboot migrate failover replace_disks export.prepare "
    "export.create export.remove",
)

ALL = frozenset(
    OPERATOR
    | _names("jobs", "cancel wait")
    | _names(
        "instances",
        "create multi_alloc modify remove rename reinstall grow_disk "
        "recreate_disks activate_disks deactivate_disks",
    )
    | _names(
        "nodes",
        "powercycle role.modify evacuate migrate modify storage.query "
        "storage.modify storage.repair",
    )
    | _names("networks", "create remove connect disconnect modify rename")
    | _names("groups", "create delete modify rename assign_nodes")
    | _names("filter", "create modify remove")
    | _names("cluster", "modify redistribute_config")
    | _names("tags", "set delete")
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
