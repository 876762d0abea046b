"""Recorded conversations: a raw request in NAME.http, what it must lead to in NAME.json.

The JSON holds ``luxi``, a list of ``[method, args, result]`` between front and master (those
of reading were recorded from a real Ganeti 3.0.2; an error is ``{"error": [class, args]}``),
and ``status`` and ``body`` of the answer. Nanoseconds in reason trails are 0, the request's
id is r1. To add one, drop in two files.
"""

import base64
import json
from concurrent.futures import Future

import pytest

from ganeti import errors, luxi
from ganeti.http.parser import RequestParser
from ganeti.server.application import Application
from support import DATA
from support.rapi import FakeUsers, settled

WIRE = DATA / "rapi"
NAMES = sorted(path.stem for path in WIRE.glob("*.http"))


def without_times(args):
    """Arguments with the time of each reason set to 0."""
    args = json.loads(json.dumps(args))
    for ops in args if args and isinstance(args[0], list) else ():
        for op in ops:
            for entry in op.get("reason", ()) if isinstance(op, dict) else ():
                entry[2] = 0
    return args


class Recording:
    """Answers what was recorded, and insists on what was asked."""

    def __init__(self, exchanges):
        self.ahead = list(exchanges)

    def ask(self, call, context=None):
        method, args, result = self.ahead.pop(0)
        assert [type(call).__name__, without_times(call.to_args())] == [method, args]
        if isinstance(result, dict) and result.keys() == {"error"}:
            raise errors.decode(result["error"])
        return luxi.Reply(result)

    def wait(self, call, gone):
        future = Future()
        future.set_result(luxi.pack({"success": True, "result": self.ask(call).result})[:-1])
        return future


def read(name):
    """The request of a file; its line ends are made CRLF where the header is."""
    head, _, body = (WIRE / f"{name}.http").read_bytes().partition(b"\n\n")
    reader = RequestParser()
    reader.feed(head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + body.rstrip(b"\n"))
    request = reader.next()
    assert request is not None, "the request is not complete"
    return request


@pytest.mark.parametrize("name", NAMES)
def test_conversation(name):
    expected = json.loads((WIRE / f"{name}.json").read_text(encoding="utf-8"))
    master = Recording(expected["luxi"])
    application = Application(master, master, FakeUsers(), make_id=lambda: "r1")
    response = settled(application.handle(read(name)))
    assert not master.ahead, "the master was not asked everything"
    assert response.status == expected["status"]
    assert json.loads(response.body) == expected["body"]


def test_there_are_some():
    assert len(NAMES) > 10


def test_the_password_is_the_tests_own():
    assert base64.b64decode("YWRtaW46c2VjcmV0") == b"admin:secret"
