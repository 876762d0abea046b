"""Errors in a request that makes a job, for every resource and verb.

Nothing here changes anything: no named object exists.
"""

from typing import Any, NamedTuple

from basics import PASSWORD, USER

#: Wrong values for a field of each type.
WRONG: dict[str, tuple[Any, ...]] = {
    "flag": ("yes", 1),
    "text": (5, []),
    "name": (5, ""),
    "number": ("many", 1.5),
    "list": ("one", {}),
    "object": ([], "x"),
    "word": ("nosuch", 7),
}


class VerbCase(NamedTuple):
    """A method of a resource, with a good body and the types of its fields (``WRONG``)."""

    method: str
    path: str
    body: Any = None
    fields: dict[str, str] = {}
    #: Fields that are in the path already.
    named: tuple[str, ...] = ()
    #: Flags in the query.
    flags: tuple[str, ...] = ()
    #: Parameters that the query must have.
    query: str = ""


def instance(method, verb, **rest):
    return VerbCase(method, f"/2/instances/nosuch{verb}", named=("instance_name",), **rest)


def node(method, verb, **rest):
    return VerbCase(method, f"/2/nodes/nosuch{verb}", named=("node_name",), **rest)


def group(method, verb, **rest):
    return VerbCase(method, f"/2/groups/nosuch{verb}", named=("group_name",), **rest)


def network(method, verb, **rest):
    return VerbCase(method, f"/2/networks/nosuch{verb}", named=("network_name",), **rest)


VERBS = {
    "modify cluster": VerbCase(
        "PUT",
        "/2/modify",
        fields={
            "candidate_pool_size": "number",
            "beparams": "object",
            "vg_name": "text",
            "hidden_os": "list",
            "enabled_hypervisors": "list",
            "maintain_node_health": "flag",
            "mac_prefix": "name",
            "uid_pool": "list",
            "nicparams": "object",
        },
    ),
    "redistribute": VerbCase("PUT", "/2/redistribute-config"),
    "tag network": network("PUT", "/tags", query="tag=x", flags=("dry-run",)),
    "untag group": group("DELETE", "/tags", query="tag=x", flags=("dry-run",)),
    "modify instance": instance(
        "PUT",
        "/modify",
        body={"force": True},
        fields={
            "nics": "list",
            "disks": "list",
            "beparams": "object",
            "hvparams": "object",
            "osparams": "object",
            "os_name": "name",
            "offline": "flag",
            "disk_template": "word",
            "runtime_mem": "number",
            "remote_node": "name",
            "wait_for_sync": "flag",
        },
    ),
    "rename instance": instance(
        "PUT",
        "/rename",
        body={"new_name": "other"},
        fields={"new_name": "name", "name_check": "flag", "ip_check": "flag"},
    ),
    "migrate instance": instance(
        "PUT",
        "/migrate",
        body={"mode": "live"},
        fields={
            "mode": "word",
            "cleanup": "flag",
            "allow_failover": "flag",
            "target_node": "name",
            "iallocator": "name",
        },
    ),
    "failover": instance(
        "PUT",
        "/failover",
        body={},
        fields={
            "ignore_consistency": "flag",
            "target_node": "name",
            "iallocator": "name",
            "shutdown_timeout": "number",
        },
    ),
    "prepare export": instance("PUT", "/prepare-export", query="mode=local"),
    "export": instance(
        "PUT",
        "/export",
        body={"destination": "nosuch", "mode": "local"},
        fields={
            "mode": "word",
            "shutdown": "flag",
            "remove_instance": "flag",
            "shutdown_timeout": "number",
        },
    ),
    "replace disks": instance(
        "POST",
        "/replace-disks",
        body={"mode": "replace_auto"},
        fields={
            "mode": "word",
            "disks": "object",
            "remote_node": "name",
            "iallocator": "name",
            "early_release": "flag",
        },
    ),
    "activate disks": instance("PUT", "/activate-disks", flags=("ignore_size",)),
    "deactivate disks": instance("PUT", "/deactivate-disks", flags=("force",)),
    "recreate disks": instance(
        "POST",
        "/recreate-disks",
        body={},
        fields={"disks": "list", "nodes": "list", "iallocator": "name"},
    ),
    "grow disk": instance(
        "POST",
        "/disk/0/grow",
        body={"amount": 64},
        fields={
            "amount": "number",
            "absolute": "flag",
            "wait_for_sync": "flag",
            "ignore_ipolicy": "flag",
        },
    ),
    "reboot": instance(
        "POST",
        "/reboot",
        fields={"shutdown_timeout": "number"},
        flags=("ignore_secondaries", "dry-run"),
    ),
    "shutdown": instance(
        "PUT",
        "/shutdown",
        fields={"timeout": "number", "force": "flag"},
        flags=("dry-run", "no_remember"),
    ),
    "startup": instance("PUT", "/startup", flags=("dry-run", "no_remember", "force")),
    "remove": instance("DELETE", "", fields={"shutdown_timeout": "number"}, flags=("dry-run",)),
    "multi-alloc": VerbCase(
        "POST",
        "/2/instances-multi-alloc",
        body={"instances": []},
        fields={"iallocator": "name", "opportunistic_locking": "flag"},
        flags=("dry-run",),
    ),
    "powercycle": node("POST", "/powercycle", flags=("force",)),
    "set role": node("PUT", "/role", body="regular", flags=("force", "auto-promote")),
    "modify node": node(
        "POST",
        "/modify",
        body={"force": True},
        fields={
            "drained": "flag",
            "offline": "flag",
            "ndparams": "object",
            "secondary_ip": "name",
            "powered": "flag",
            "vm_capable": "flag",
        },
    ),
    "evacuate": node(
        "POST",
        "/evacuate",
        body={"mode": "all"},
        fields={
            "mode": "word",
            "remote_node": "name",
            "iallocator": "name",
            "early_release": "flag",
        },
        flags=("dry-run",),
    ),
    "migrate node": node(
        "POST",
        "/migrate",
        body={"mode": "live"},
        fields={"mode": "word", "target_node": "name", "iallocator": "name"},
    ),
    "modify storage": node(
        "PUT", "/storage/modify", query="storage_type=file&name=x", flags=("allocatable",)
    ),
    "repair storage": node("PUT", "/storage/repair", query="storage_type=lvm-vg&name=x"),
    "add group": VerbCase(
        "POST",
        "/2/groups?dry-run=1",
        body={"group_name": "dry"},
        fields={
            "group_name": "name",
            "alloc_policy": "word",
            "ndparams": "object",
            "ipolicy": "object",
            "diskparams": "object",
        },
    ),
    "remove group": group("DELETE", "", flags=("dry-run",)),
    "modify group": group(
        "PUT",
        "/modify",
        body={"alloc_policy": "preferred"},
        fields={
            "alloc_policy": "word",
            "ndparams": "object",
            "ipolicy": "object",
            "diskparams": "object",
        },
    ),
    "rename group": group(
        "PUT",
        "/rename",
        body={"new_name": "other"},
        fields={"new_name": "name"},
        flags=("dry-run",),
    ),
    "assign nodes": group(
        "PUT",
        "/assign-nodes",
        body={"nodes": ["nosuch"]},
        fields={"nodes": "list"},
        flags=("dry-run", "force"),
    ),
    "add network": VerbCase(
        "POST",
        "/2/networks?dry-run=1",
        body={"network_name": "dry", "network": "203.0.113.0/29"},
        fields={
            "network_name": "name",
            "network": "text",
            "gateway": "number",
            "tags": "object",
            "mac_prefix": "name",
            "add_reserved_ips": "object",
            "conflicts_check": "flag",
        },
    ),
    "remove network": network("DELETE", "", flags=("dry-run",)),
    "modify network": network(
        "PUT",
        "/modify",
        body={"mac_prefix": "aa:00:02"},
        fields={
            "gateway": "number",
            "mac_prefix": "name",
            "add_reserved_ips": "object",
            "remove_reserved_ips": "text",
        },
    ),
    "connect network": network(
        "PUT",
        "/connect",
        body={"group_name": "default", "network_mode": "bridged", "network_link": "br0"},
        fields={"group_name": "name", "network_mode": "word", "network_link": "name"},
        flags=("dry-run",),
    ),
    "disconnect network": network(
        "PUT",
        "/disconnect",
        body={"group_name": "default"},
        fields={"group_name": "name"},
        flags=("dry-run",),
    ),
}
#: These change something although they name no missing object.
NOT_AS_IT_IS = ("modify cluster", "redistribute", "multi-alloc")


def cases_of(title, verb):
    """Yield (name, case) for every error of one verb."""
    path = verb.path
    if verb.query:
        path += "?" + verb.query
    joint = "&" if "?" in path else "?"
    if title not in NOT_AS_IT_IS:
        yield "unknown object", (verb.method, path, verb.body)
    yield "without password", (verb.method, path, verb.body, None, None)
    yield "with a wrong password", (verb.method, path, verb.body, USER, "wrong")
    yield "no JSON", (verb.method, path, b"{nonsense")
    yield "other media type", (verb.method, path, b"a=b", USER, PASSWORD, "text/plain")
    yield "patched", ("PATCH", path, verb.body)
    for flag in verb.flags:
        yield f"{flag} in words", (verb.method, f"{path}{joint}{flag}=maybe", verb.body)
    if isinstance(verb.body, dict) or verb.fields:
        good = verb.body or {}
        yield "body is a list", (verb.method, path, [1])
        yield "body is a string", (verb.method, path, "x")
        yield "a key too many", (verb.method, path, {**good, "bogus": 1})
        yield "reason in the body", (verb.method, path, {**good, "reason": []})
        yield "priority in words", (verb.method, path, {**good, "priority": "high"})
        yield "depends in words", (verb.method, path, {**good, "depends": "all"})
        for name in verb.named:
            yield f"{name} in the body", (verb.method, path, {**good, name: "x"})
        for name, kind in verb.fields.items():
            for value in WRONG[kind]:
                yield f"{name} is {value!r}", (verb.method, path, {**good, name: value})
        for name in good:
            if name not in ("force", "mode", "mac_prefix", "alloc_policy"):
                yield (
                    f"without {name}",
                    (verb.method, path, {key: value for key, value in good.items() if key != name}),
                )


CASES = {
    f"{title}: {name}": case
    for title, verb in VERBS.items()
    for name, case in cases_of(title, verb)
}
