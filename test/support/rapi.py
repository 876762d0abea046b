"""Requests without sockets: what the front asks the master, and what it answers.

self.put("/2/instances/x/startup?force=1")
self.assert_submitted(OpInstanceStartup(instance_name="x", force=True))
"""

import base64
import concurrent.futures
import json
import unittest
import urllib.parse
from concurrent.futures import Future

from ganeti import constants, errors, luxi, opcodes
from ganeti.http.message import Headers, Request, RequestHead, Response
from ganeti.rapi.auth.authenticator import denied, parse_basic
from ganeti.rapi.auth.rights import parse_rights
from ganeti.rapi.auth.users import User
from ganeti.rapi.permissions import VOCABULARY
from ganeti.server.pipeline import RequestPipeline

JOB_ID = 17


class FakePool:
    """In place of connections to a master: a subclass has ``ask``, ``begin``, ``wait_for_job``."""

    def bound(self, context, before_change=None):
        """Return the real client of one request, which asks here."""
        return luxi.BoundClient(self, context, before_change)


class FakeMaster(FakePool):
    """Records LUXI calls, and answers them from ``answers``: class of the call -> answer.

    An answer may be an exception, which is raised, a function of the call, or a ``Reply``
    with notes.
    """

    def __init__(self):
        self.calls = []
        self.contexts = []
        self.answers = {
            luxi.SubmitJob: JOB_ID,
            luxi.QueryClusterInfo: {"software_version": constants.RELEASE_VERSION},
        }

    def ask(self, call, context=None):
        self.calls.append(call)
        self.contexts.append(context)
        if type(call) not in self.answers:
            raise errors.NoMaster("nobody answers " + type(call).__name__)
        answer = self.answers[type(call)]
        if callable(answer):
            answer = answer(call)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, luxi.Reply) else luxi.Reply(answer)

    def begin(self, call, context=None):
        """Ask at once, and return a function that returns the answer."""
        try:
            reply = self.ask(call, context)
            answer = {"success": True, "result": reply.result, **reply.notes}
        except errors.GenericError as err:
            answer = {"success": False, "result": errors.encode(err)}
        return lambda: luxi.pack(answer)[:-1]

    def wait_for_job(self, call, gone):
        future = Future()
        try:
            answer = (
                None
                if gone()
                else luxi.pack({"success": True, "result": self.ask(call).result})[:-1]
            )
        except errors.GenericError as err:
            answer = luxi.pack({"success": False, "result": errors.encode(err)})[:-1]
        future.set_result(answer)
        return future


class FakeUsers:
    """admin may everything, reader read, each with the password ``secret``."""

    USERS = {"admin": "write", "reader": "read"}

    def authenticate(self, header, peer=""):
        name, password = parse_basic(header)
        if name not in self.USERS or password != "secret":
            raise denied()
        return User(name, parse_rights(self.USERS[name], VOCABULARY)[0])


def table(call, objects):
    """Return the answer to a Query about ``objects``, dicts; a missing field is unknown."""

    def cell(item, field):
        return [0, item[field]] if field in item else [1, None]

    return {
        "fields": [],
        "data": [[cell(item, field) for field in call.fields] for item in objects],
    }


def run_steps(steps, timeout=20):
    """Return the response of a handler that may wait for several futures."""
    try:
        while True:
            concurrent.futures.wait([next(steps)], timeout)
    except StopIteration as end:
        return end.value


def head_of(request):
    """Return the head of a request."""
    return RequestHead(
        request.method,
        request.target,
        request.path,
        request.query,
        request.version,
        request.headers,
        request.host,
        request.keep_alive,
        length=len(request.body),
        expects_continue=False,
    )


def routed(pipeline, request):
    """Return the steps to the answer."""
    return pipeline.route(head_of(request)).handle(request)


class RapiTestCase(unittest.TestCase):
    """One request at a time, by ``user`` unless the test says otherwise."""

    user = "admin"
    options = {}

    def setUp(self):
        self.master = FakeMaster()
        self.gone = lambda: False
        self.pipeline = RequestPipeline(
            self.master, FakeUsers(), make_id=lambda: "r1", **self.options
        )

    def objects(self, *items):
        """Set what the master answers to a Query."""
        self.master.answers[luxi.Query] = lambda call: table(call, items)

    # -- requests ------------------------------------------------------------------

    def request(self, method, target, body=None, headers=None):
        """Return the response; ``body`` is bytes, or a value to be sent as JSON.

        ``headers``: a dict, or pairs where a name is repeated.
        """
        fields = {}
        if self.user is not None:
            token = base64.b64encode(f"{self.user}:secret".encode()).decode()
            fields["Authorization"] = f"Basic {token}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            fields["Content-Type"] = "application/json"
        more = list(headers.items() if isinstance(headers, dict) else headers or [])
        fields = [pair for pair in fields.items() if pair[0] not in dict(more)] + more
        path, _, query = target.partition("?")
        response = run_steps(
            routed(
                self.pipeline,
                Request(
                    method=method,
                    target=target,
                    path=urllib.parse.unquote(path),
                    query=query,
                    headers=Headers(fields),
                    body=body or b"",
                    host="localhost",
                    peer="192.0.2.1",
                    gone=lambda: self.gone(),
                ),
            )
        )
        assert isinstance(response, Response)
        return response

    def route(self, method, target, body=b""):
        """Return the route of a request."""
        path, _, query = target.partition("?")
        return self.pipeline.route(head_of(Request(method, target, path, query, body=body)))

    def header(self, name, response):
        """Return the value of a response's header; None without it."""
        found = [value for other, value in response.headers if other == name]
        self.assertLessEqual(len(found), 1, name)
        return found[0] if found else None

    def get(self, target, **options):
        """Return the JSON that answers a successful GET."""
        return self.assert_status(200, self.request("GET", target, **options))

    def put(self, target, body=None):
        """Send a PUT that submits a job."""
        self.assert_job(self.request("PUT", target, body))

    def post(self, target, body=None):
        """Send a POST that submits a job."""
        self.assert_job(self.request("POST", target, body))

    def delete(self, target, body=None):
        """Send a DELETE that submits a job."""
        self.assert_job(self.request("DELETE", target, body))

    # -- what came of it ---------------------------------------------------------------

    def assert_status(self, status, response):
        """Check the status, and return the response's JSON."""
        self.assertEqual(response.status, status, response.body)
        return json.loads(response.body) if response.body else None

    def assert_job(self, response):
        self.assertEqual(self.assert_status(200, response), JOB_ID)

    def assert_refused(self, status, method, target, body=None, text="", **options):
        """Check that a request fails with this status and text, and submits no job."""
        answer = self.assert_status(status, self.request(method, target, body, **options))
        self.assertEqual(answer["code"], status)
        self.assertIn(text, answer["message"] + answer.get("detail", ""))
        self.assertEqual(self.submitted(), [])
        return answer

    def submitted(self):
        """Return the jobs that were submitted: wire opcodes without their reasons."""
        jobs = [call.ops for call in self.master.calls if isinstance(call, luxi.SubmitJob)]
        return [
            [{name: value for name, value in op.items() if name != "reason"} for op in ops]
            for ops in jobs
        ]

    def assert_submitted(self, *ops):
        """Check that one job with these opcodes was submitted, and with no other fields."""
        expected = [
            {name: value for name, value in op.to_wire().items() if name != "reason"} for op in ops
        ]
        self.assertEqual(self.submitted(), [expected])
        for wire in self.master.calls[-1].ops:
            opcodes.load(wire)

    def reasons(self):
        """Return the reason trail of the last submission's first opcode."""
        return self.master.calls[-1].ops[0]["reason"]
