#!/usr/bin/env python3
"""Differences between our answers and those of Ganeti's own ganeti-rapi, with their reasons.

``differential`` enforces these tables: a difference that is not listed fails, and so does a listed
one that no longer exists. Run as a program, this writes them into doc/compatibility.md;
test_compatibility fails until then.
"""

import document
from cases import CASES

#: Errors in the request itself are reported at once, before there is a job.
_AT_ONCE = [400, None]
_NAME = (_AT_ONCE, "no host name; Ganeti's job finds out")
_TAG = (_AT_ONCE, "what is wrong with a tag is known before a job is made")
_NO_TAG = (_AT_ONCE, "no tag is 400, where Ganeti 3.0 makes a job that does nothing")
_NO_500 = (_AT_ONCE, "what is wrong with a request is said; Ganeti answers 500, a fault of its own")
_NO_502 = (_AT_ONCE, "what is wrong with a request is said; Ganeti's master hangs up on it: 502")
_NOBODY = ([404, None], "what is not there is 404; Ganeti answers 500")
_NO_KIND = ([404, None], "there is no such resource; Ganeti's master hangs up: 502")
_UNREAD = (_AT_ONCE, "what is asked for and means nothing is refused; Ganeti drops this body")

_TYPE = (_AT_ONCE, "no job takes a value of this type; Ganeti's job finds out")
_POINT = ([200, "success"], "a whole number with a point is a number, of MiB too")

#: Case -> (our [status, error], why). The second table is for our own master alone.
BOTH = {
    "get unknown job": ([404, None], "a row of nulls is not a job"),
    "a job id that is too long": ([404, None], "a row of nulls is not a job"),
    "get tags of unknown instance": ([404, None], "reading an unknown object is 404"),
    "list of tags of an unknown node": ([404, None], "reading an unknown object is 404"),
    "tag with a blank": _TAG,
    "a tag of 129 characters": _TAG,
    "a tag that is not ASCII": _TAG,
    "a tag that is blank": _NO_TAG,
    "no tag": _NO_TAG,
    "no tag to delete": _NO_TAG,
    "start with a list": _UNREAD,
    "start with an odd key": _UNREAD,
    "reinstall with an odd key": _UNREAD,
    "create with bad memory": _TYPE,
    "create with memory of null": _TYPE,
    "create with vcpus in words": _TYPE,
    "create with vcpus by default": _TYPE,
    "create with auto_balance in words": _TYPE,
    "create with an hvparam of a wrong type": _TYPE,
    "modify instance by a wrong type": _TYPE,
    "modify instance by a hypervisor's wrong type": _TYPE,
    "create with a size that has a point": _POINT,
    "create with two dots at the end": _NAME,
    "dry_run with an underscore": (
        _AT_ONCE,
        "a word that only looks like dry-run does no work; Ganeti passes it over and does it",
    ),
    "create with an empty name": _NAME,
    "create with a slash in the name": _NAME,
    "create with a blank in the name": _NAME,
    "create with two dots in the name": _NAME,
    "create with a name too long": _NAME,
    "create with a hyphen first": (_AT_ONCE, "no host name (RFC 1123), and an option to programs"),
    "create with a bad size": (_AT_ONCE, "Ganeti's front hands it on and gets no answer"),
    "create with a bad disk mode": (_AT_ONCE, "Ganeti's front hands it on and gets no answer"),
    "create with a negative size": (_AT_ONCE, "an invalid size, like any other"),
    "json that is not UTF-8": (_AT_ONCE, "Ganeti hangs up"),
    "a type with a charset": ([200, "success"], "application/json with a charset is JSON"),
    "modify instance: body is a list": _NO_500,
    "modify instance: body is a string": _NO_500,
    "modify instance: hvparams is []": _NO_500,
    "modify instance: hvparams is 'x'": _NO_500,
    "replace disks: body is a list": _NO_500,
    "replace disks: body is a string": _NO_500,
    "add network that is not one": _NO_500,
    "wait for a job, a list": _NO_500,
    "lock of a list": _NO_500,
    "lock of a node": _NO_500,
    "query with an unknown field in the filter": _NO_500,
    "query with a filter of a wrong type": _NO_500,
    "replace filter of no uuid": _NO_500,
    "query with an empty filter": _NO_502,
    "query with an unknown operator": _NO_502,
    "query with a filter in words": _NO_502,
    "query with a bad expression": _NO_502,
    "query with fields in words": _NO_502,
    "query with numbers for fields": _NO_502,
    "filter with a negative priority": _NO_502,
    "filter with an unknown action": _NO_502,
    "filter with a limit of none": _NO_502,
    "filter with an unknown predicate": _NO_502,
    "read console of nobody": _NOBODY,
    "read node role of nobody": _NOBODY,
    "read group tags of nobody": _NOBODY,
    "read network tags of nobody": _NOBODY,
    "wait for a job that is not": _NOBODY,
    "remove filter of nobody": _NOBODY,
    "query an unknown kind": _NO_KIND,
    "query fields of an unknown kind": _NO_KIND,
}
#: Created by jobs that our master leaves to a real one.
_ELSEWHERE = ([501, None], "our master is for one machine and does not carry it out")
_ONE = ([404, None], "our master has no networks")
_NO_SUCH = ([200, ["OpPrereqError", "unknown_entity"]], "it could not be made or renamed before")
_REFUSED = (
    "modify instance: unknown object",
    "rename instance: unknown object",
    "migrate instance: unknown object",
    "failover: unknown object",
    "prepare export: unknown object",
    "export: unknown object",
    "replace disks: unknown object",
    "replace disks: disks is []",
    "activate disks: unknown object",
    "deactivate disks: unknown object",
    "recreate disks: unknown object",
    "grow disk: unknown object",
    "powercycle: unknown object",
    "set role: unknown object",
    "modify node: unknown object",
    "evacuate: unknown object",
    "migrate node: unknown object",
    "modify storage: unknown object",
    "repair storage: unknown object",
    "add group: unknown object",
    "remove group: unknown object",
    "modify group: unknown object",
    "rename group: unknown object",
    "assign nodes: unknown object",
    "add network: unknown object",
    "add network: tags is []",
    "add network: add_reserved_ips is []",
    "remove network: unknown object",
    "modify network: unknown object",
    "modify network: add_reserved_ips is []",
    "modify network: remove_reserved_ips is []",
    "connect network: unknown object",
    "disconnect network: unknown object",
    "add group",
    "add group again",
    "add network",
    "add network again",
    "add network with tags of null",
    "add network with a gateway outside",
    "connect network",
    "connect network again",
    "connect to an unknown group",
    "read storage",
    "read storage without a type",
    "modify group",
    "modify group's nodes",
    "modify group by an odd parameter",
    "modify group by a custom name",
    "modify group without a body",
    "rename group to one that is",
    "rename group",
    "remove group",
    "remove the last group",
    "assign nodes",
    "modify network",
    "modify network by an odd prefix",
    "modify network without a body",
    "remove a network in use",
    "disconnect network",
    "disconnect network again",
    "remove network",
    "modify instance",
    "modify instance by custom names",
    "modify instance by an odd parameter",
    "modify instance back to defaults",
    "modify instance: disk of a size with a unit",
    "modify instance: another size of a disk",
    "modify instance: attach nothing",
    "modify instance: detach a card",
    "recreate disks by a size with a unit",
    "add network without a length",
    "modify instance without anything",
    "modify instance without a body",
    "modify the cluster",
    "modify the cluster without a body",
    "redistribute",
    "migrate",
    "failover",
    "replace disks",
    "activate disks",
    "grow disk",
    "grow disk that is not",
    "prepare export",
    "deactivate disks of one that runs",
    "rename one that runs",
    "multi-alloc of nothing",
    "role of the master",
    "evacuate",
    "migrate node without a body",
    "modify storage",
    "rename",
)
MASTER = {
    "create with plain on one machine": (
        [200, ["OpPrereqError", "wrong_input"]],
        "Ganeti gives no code",
    ),
    "create with too big a disk": (
        [200, ["OpPrereqError", "insufficient_resources"]],
        "Ganeti finds out when it makes the disk",
    ),
    "a name in capitals": ([200, None], "host names have no case; Ganeti's jobs know it as well"),
    "create without node": ([200, "success"], "hail, on Ganeti, finds no place on one node"),
    "create with a group that is not there": (
        [200, ["OpPrereqError", "unknown_entity"]],
        "Ganeti asks hail, which says what it always says",
    ),
    "create with a multicast mac": (
        [200, ["OpPrereqError", "wrong_input"]],
        "no card can have the address of a group of cards",
    ),
    "create with no vcpus": (
        [200, ["OpPrereqError", "wrong_input"]],
        "a guest has a CPU; Ganeti leaves it to the policy",
    ),
    "create with minmem over maxmem": (
        [200, ["OpPrereqError", "wrong_input"]],
        "Ganeti refuses it when an instance is modified",
    ),
    "read network": _ONE,
    "read network tags": _ONE,
    "tag group": _NO_SUCH,
    "untag group": _NO_SUCH,
    "tag network": _NO_SUCH,
    "remove rich": _NO_SUCH,
    "remove rich where it has its old name": ([200, "success"], "it was not renamed"),
    **dict.fromkeys(_REFUSED, _ELSEWHERE),
}
#: Forwarded because a real master can do it and Ganeti's own front cannot.
LUXID = {
    "add network with tags of null": (
        [200, "success"],
        "null is what is not given; Ganeti's own client sends it",
    ),
    "modify instance without a body": (
        [200, ["OpPrereqError", "wrong_input"]],
        "no body is an empty one; Ganeti answers 500",
    ),
    "modify the cluster without a body": (
        [200, "success"],
        "no body is an empty one; Ganeti answers 500",
    ),
}

#: Keys that only our (+) or only Ganeti's (-) answers have, and types that differ -> why.
BOTH_KEYS = {
    ": list, not null": "/ and /2 list their resources, as the contract has it",
    "+beparams.default.memory": "2.0's name of maxmem",
    "+default_bridge": "2.0's",
    "+name": "lists have both names of what is in them, id and name",
    "+id": "lists have both names of what is in them, id and name",
    "+custom_osparams": "3.1's",
    "+hypervisor": "of an instance, from the release after 3.1",
    "+secondary_ip": "3.1's name of sip",
    "+detail": "what was not found",
    **dict.fromkeys(
        ("+archived", "+priority", "+request_id", "+waiting_for"),
        "what else there is to know of a job",
    ),
    **dict.fromkeys(
        ("+command", "+display", "+host", "+port"),
        "a console has all its keys; those of another kind are null",
    ),
    "+user": "of a job, who submitted it; of a console, one of all its keys",
}
MASTER_KEYS = {
    **dict.fromkeys(
        (f"-hvparams.{name}" for name in ("chroot", "kvm", "lxc", "xen-hvm", "xen-pvm")),
        "those that the cluster uses",
    ),
}
LUXID_KEYS = {}

#: Differences of submitted opcodes beyond those of ``messages``: opcode and key -> why.
MESSAGES = {
    "OP_TAGS_SET tags": "a tag that is given twice is one tag",
    **dict.fromkeys(
        (
            "OP_INSTANCE_CREATE disks",
            "OP_INSTANCE_SET_PARAMS disks",
            "OP_INSTANCE_RECREATE_DISKS disks",
        ),
        'sizes are told in MiB, whole ones; a real master reads no "1.5G"',
    ),
}


def _answer(status, error):
    """Describe our answer."""
    if isinstance(error, list):
        return f"a job that fails: {error[1] or error[0]}"
    return {None: str(status), "success": "a job that succeeds"}[error]


def _cases(title, cases):
    """Return rows: the cases of a table that have the same answer for the same reason."""
    rows = {}
    for case, (answer, why) in cases.items():
        rows.setdefault((why, _answer(*answer)), []).append(case)
    return f"{title}\n\n" + document.table(
        ("requests (cases of `ask.py`)", "ours", "why"),
        [("; ".join(names), answer, why) for (why, answer), names in rows.items()],
    )


def _keys(title, keys):
    """Return the keys that answers with 200 have more, less or differently."""
    rows = {}
    for key, why in keys.items():
        rows.setdefault(why, []).append(f"`{key}`" if key[0] != ":" else f"the answer{key}")
    return f"{title}\n\n" + document.table(
        ("keys", "why"), [(", ".join(names), why) for why, names in rows.items()]
    )


def text():
    """Return the generated part of doc/compatibility.md."""
    return "\n".join(
        [
            f"{len(CASES)} cases are asked.\n",
            _cases("On Ganeti's master and on ours:", BOTH),
            _cases("On ours alone:", MASTER),
            _cases("On Ganeti's master alone:", LUXID),
            _keys(
                "Keys of answers that only ours (+) or only Ganeti's (-) have, and types that "
                "differ:",
                BOTH_KEYS,
            ),
            _keys("On ours alone:", MASTER_KEYS),
            _keys(
                "What a master is sent, beside names and times in the reasons and the defaults "
                "that Ganeti's front fills in:",
                MESSAGES,
            ),
        ]
    )


if __name__ == "__main__":
    document.write("differences", text())
