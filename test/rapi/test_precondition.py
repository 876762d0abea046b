"""The present state of the object that a URI names: its existence and its last change."""

import pytest

from ganeti import errors, luxi
from ganeti.constants import ErrorCode
from ganeti.rapi.baserlib import ResourceRequest
from ganeti.rapi.precondition import Object
from support.rapi import FakeMaster, table

#: What the master knows: kind -> rows.
KNOWN = {
    "instance": [
        {
            "name": "web.example.com",
            "mtime": 7.5,
            "disk.sizes": [10, 20],
            "uuid": "01234567-89ab-cdef-0123-456789abcdef",
        }
    ],
    "node": [{"name": "n1", "mtime": 8.5}],
    "group": [{"name": "Default", "mtime": 9.5}],
    "network": [{"name": "net", "mtime": 10}],
    "filter": [{"uuid": "u1", "action": "PAUSE"}],
    "job": [{"id": 5, "status": "queued"}],
}


class ObjectsMaster(FakeMaster):
    """A master that finds equal values; like a real one it answers an unknown job with its id."""

    def __init__(self):
        super().__init__()
        self.answers[luxi.Query] = self.find
        self.answers[luxi.QueryClusterInfo] = {"mtime": 3.5}

    def call(self, call):
        return self.ask(call).result

    @staticmethod
    def find(call):
        _, key, value = call.qfilter
        if value == "two":
            raise errors.OpPrereqError("there are two", ErrorCode.INVAL)
        rows = [row for row in KNOWN[call.what] if row.get(key) == value]
        return table(call, rows or ([{"id": value}] if call.what == "job" else []))


def target(uri="/2/x", **slots):
    """Return the object that this URI names."""
    return Object(ResourceRequest(master=ObjectsMaster(), slots=slots), uri, lambda: None)


@pytest.mark.parametrize(
    "slots",
    [
        {"instance_name": "web.example.com"},
        {"instance_name": "WEB.example.com"},
        {"instance_name": "01234567-89ab-cdef-0123-456789abcdef"},
        {"node_name": "N1"},
        {"group_name": "Default"},
        {"network_name": "net"},
        {"filter_uuid": "u1"},
        {"job_id": "5"},
        {"job_id": "005"},
        {"resource": "instance"},
        {},
        {"instance_name": "web.example.com", "disk": "1"},
    ],
)
def test_objects_that_exist_are_found(slots):
    assert target(**slots).exists()


@pytest.mark.parametrize(
    "slots",
    [
        {"instance_name": "web"},
        {"instance_name": "two"},
        {"node_name": "n2"},
        {"group_name": "default"},
        {"network_name": "NET"},
        {"filter_uuid": "u2"},
        {"job_id": "6"},
        {"job_id": "9" * 30},
        {"instance_name": "web.example.com", "disk": "2"},
        {"instance_name": "none", "disk": "0"},
    ],
)
def test_objects_that_do_not_exist_are_not_found(slots):
    assert not target(**slots).exists()


@pytest.mark.parametrize(
    "uri, slots, moment",
    [
        ("/2/instances/x", {"instance_name": "web.example.com"}, 7.5),
        ("/2/nodes/x/role", {"node_name": "n1"}, 8.5),
        ("/2/groups/x", {"group_name": "Default"}, 9.5),
        ("/2/networks/x", {"network_name": "net"}, 10),
        ("/2/tags", {}, 3.5),
        ("/2/modify", {}, 3.5),
        ("/2/instances", {}, None),
        ("/2/jobs/x", {"job_id": "5"}, None),
        ("/2/instances/x", {"instance_name": "none"}, None),
    ],
)
def test_an_object_has_the_time_of_its_last_change(uri, slots, moment):
    assert target(uri, **slots).modified() == moment
