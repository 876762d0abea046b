"""The names of rights and roles, as Ganeti's release after 3.1 has them.

Also those of resources that we do not have yet: a users file that was written
for Ganeti is read without complaint.
"""

from __future__ import annotations

from ganeti.http.rights import Vocabulary


def _names(resource: str, actions: str) -> set[str]:
    return {f"{resource}.{action}" for action in actions.split()}


#: What the role ``@readonly`` may do.
READONLY = frozenset(
    _names("jobs", "list query") | _names("instances", "list query info")
    | _names("nodes", "list query role.query") | _names("networks", "list query")
    | _names("groups", "list query") | _names("filter", "list query")
    | _names("cluster", "info") | _names("tags", "get") | _names("query", "all")
    | _names("os", "list"))

#: What the word ``read`` gave since Ganeti 2.7: these as well.
READ = READONLY | {"jobs.wait", "instances.query.console", "nodes.storage.query"}

ALL = frozenset(
    READ | _names("jobs", "cancel")
    | _names("instances", "create multi_alloc modify remove rename reinstall startup shutdown "
             "reboot migrate failover grow_disk replace_disks recreate_disks activate_disks "
             "deactivate_disks export.prepare export.create export.remove")
    | _names("nodes", "powercycle role.modify evacuate migrate modify storage.modify "
             "storage.repair")
    | _names("networks", "create remove connect disconnect modify rename")
    | _names("groups", "create delete modify rename assign_nodes")
    | _names("filter", "create modify remove")
    | _names("cluster", "modify redistribute_config") | _names("tags", "set delete"))

VOCABULARY = Vocabulary(ALL, {"@admin": ALL, "@readonly": READONLY, "read": READ, "write": ALL})
