"""Submissions of Ganeti's own ganeti-rapi to a real luxid, and ours for the same requests.

Ganeti sends every field of an opcode, with null or its default if the client gave no value; ours
sends only the given ones. Without such fields the opcodes must be equal, and so must the sources
in the reason trail. The bodies were not recorded; ``BODIES`` has them.
"""

import json

import pytest

from ganeti import luxi, opcodes
from support import DATA
from support.rapi import RapiTestCase

CAPTURES = DATA / "luxi_captures.jsonl"
NODE = "node1.example.com"
CREATE = {
    "__version__": 1,
    "mode": "create",
    "instance_name": "inst13.example.com",
    "os_type": "luxdummy+plain",
    "disk_template": "diskless",
    "disks": [],
    "nics": [{}],
    "pnode": NODE,
    "start": False,
    "name_check": False,
    "ip_check": False,
}
#: Request -> the bodies that it was sent with, in their order.
BODIES = {
    "POST /2/instances": [CREATE],
    "POST /2/instances?dry-run=1": [{**CREATE, "instance_name": "inst11.example.com"}],
    "PUT /2/instances/inst13.example.com/shutdown": [{"timeout": 30}],
    f"PUT /2/nodes/{NODE}/role": ["drained"],
}
#: Request -> why ours submits nothing.
REFUSED = {
    "PUT /2/instances/inst13.example.com/tags": "no tag is 400, before there is a job",
    "PUT /2/instances/inst13.example.com/tags?tag=bad%20tag": (
        "a tag that cannot be one is 400, before there is a job"
    ),
}


#: Request -> what ours has otherwise: opcode's fields, and why.
OTHERWISE = {
    "GET /2/os": (
        {"output_fields": ["name", "variants", "valid"], "reason": ["gnt:library:rlib2:os"]},
        "a broken OS definition is none; every job says where it is from",
    )
}


#: (OP_ID, field) -> its default before 3.1, where it was recorded; the class has that of today.
DEFAULTS_BEFORE_3_1 = {
    ("OP_INSTANCE_CREATE", "ip_check"): True,
    ("OP_INSTANCE_CREATE", "name_check"): True,
    ("OP_INSTANCE_RENAME", "ip_check"): True,
    ("OP_INSTANCE_RENAME", "name_check"): True,
    ("OP_INSTANCE_SET_PARAMS", "hotplug"): False,
}


def recorded():
    """Return (request, number among equal ones, opcodes) of each submission, in order."""
    seen = {}
    for line in CAPTURES.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        tool, request = entry["tool"], entry["request"]
        if (
            tool.startswith("rapi ")
            and isinstance(request, dict)
            and request.get("method") == "SubmitJob"
        ):
            asked = tool.removeprefix("rapi ")
            seen[asked] = seen.get(asked, -1) + 1
            yield asked, seen[asked], request["args"][0]


RECORDED = list(recorded())


def test_defaults_that_are_listed_have_changed():
    for (op_id, name), before in DEFAULTS_BEFORE_3_1.items():
        assert opcodes.BY_ID[op_id].DEFAULTS[name] != before


def given(wire):
    """Return the fields that are not null, and the sources of the reason trail."""
    op = opcodes.BY_ID[wire["OP_ID"]]
    defaults = {**op.DEFAULTS, "priority": 0, "dry_run": False}
    defaults.update(
        {name: value for (op_id, name), value in DEFAULTS_BEFORE_3_1.items() if op_id == op.OP_ID}
    )
    found = {
        name: value
        for name, value in wire.items()
        if value is not None and (name in op.REQUIRED or value != defaults.get(name))
    }
    found["reason"] = [entry[0] for entry in wire.get("reason", ())]
    return found


class Recorded(RapiTestCase):
    """Sends one request."""

    def runTest(self):
        """Do nothing; unittest needs this method to make an instance."""

    def submits(self, asked, number):
        """Return the status of a request and the opcodes that it submits."""
        self.master.answers[luxi.WaitForJobChange] = [["canceled", None], []]
        method, target = asked.split(" ", 1)
        bodies = BODIES.get(asked, [None])
        response = self.request(method, target, bodies[min(number, len(bodies) - 1)])
        calls = [call for call in self.master.calls if isinstance(call, luxi.SubmitJob)]
        return response.status, [call.ops for call in calls]


@pytest.mark.parametrize(
    ("asked", "number", "ops"), RECORDED, ids=[f"{asked} {number}" for asked, number, _ in RECORDED]
)
def test_the_same_is_submitted(asked, number, ops):
    scene = Recorded()
    scene.setUp()
    status, ours = scene.submits(asked, number)
    if asked in REFUSED:
        assert (status, ours) == (400, [])
        return
    otherwise, _ = OTHERWISE.get(asked, ({}, ""))
    expected = [{**given(op), **otherwise} for op in ops]
    assert [[given(op) for op in job] for job in ours] == [expected]


def test_they_were_found():
    assert len(RECORDED) == 29 and {asked for asked, _, _ in RECORDED} >= REFUSED.keys()
