"""The recorded requests of test/data/rapi: the calls to the master, and the answer.

An expectation holds ``luxi``, a list of ``[method, args, result]`` between front and master, and
the answer's ``status`` and ``body``. Results of reading calls were recorded from a real Ganeti
3.0.2; an error is ``{"error": [class, args]}``. Times in reason trails are 0, the request's id
is r1.
"""

import base64
import json
import re
from concurrent.futures import Future

import pytest

from ganeti import errors, luxi
from ganeti.http import parser
from ganeti.server.pipeline import RequestPipeline
from support import recorded_requests
from support.rapi import FakePool, FakeUsers, run_steps

NAMES = recorded_requests.names("rapi")


def without_times(args):
    """Return the arguments with the time of each reason set to 0."""
    args = json.loads(json.dumps(args))
    for ops in args if args and isinstance(args[0], list) else ():
        for op in ops:
            for entry in op.get("reason", ()) if isinstance(op, dict) else ():
                entry[2] = 0
    return args


class RecordedMaster(FakePool):
    """Expects the recorded calls in their order and gives the recorded results."""

    def __init__(self, exchanges):
        self.remaining = list(exchanges)

    def ask(self, call, context=None):
        method, args, result = self.remaining.pop(0)
        assert [type(call).__name__, without_times(call.to_args())] == [method, args]
        if isinstance(result, dict) and result.keys() == {"error"}:
            raise errors.decode(result["error"])
        return luxi.Reply(result)

    def wait_for_job(self, call, gone):
        future = Future()
        future.set_result(luxi.pack({"success": True, "result": self.ask(call).result})[:-1])
        return future


def parse(data, route=parser.route_nowhere):
    """Return the request in a file; lines of its head end with LF there."""
    head, _, body = data.partition(b"\n\n")
    reader = parser.RequestParser(route=route)
    reader.feed(head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + body.rstrip(b"\n"))
    request = reader.next()
    assert request is not None, "the request is not complete"
    return request


@pytest.mark.parametrize("name", NAMES)
def test_request_leads_to_the_recorded_calls_and_answer(name):
    data, expected = recorded_requests.read("rapi", name)
    master = RecordedMaster(expected["luxi"])
    pipeline = RequestPipeline(master, FakeUsers(), make_id=lambda: "r1")
    request = parse(data, pipeline.route)
    response = run_steps(request.route.handle(request))
    assert not master.remaining, "calls that were not made"
    assert response.status == expected["status"]
    assert json.loads(response.body) == expected["body"]


def test_every_request_has_a_subject_and_an_expectation():
    assert len(NAMES) >= 21
    assert all(name.count("/") == 1 for name in NAMES)
    assert not recorded_requests.unpaired("rapi")


def test_recorded_credentials_are_those_of_the_fake_users():
    sent = {
        credentials
        for name in NAMES
        for credentials in re.findall(rb"Basic (\S+)", recorded_requests.read("rapi", name)[0])
    }
    assert {base64.b64decode(credentials) for credentials in sent} == {b"admin:secret"}
