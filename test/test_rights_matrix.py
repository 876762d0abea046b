"""Access to every verb of every resource, for every kind of user, in both modes.

The expectation is a few rules of its own, which do not depend on how the front decides.
"""

import base64

import pytest

from ganeti import errors, luxi
from ganeti.http.message import Headers, Request
from ganeti.rapi import permissions
from ganeti.rapi.auth.authenticator import denied, parse_basic
from ganeti.rapi.auth.rights import parse_rights
from ganeti.rapi.auth.users import User
from ganeti.rapi.rlib2 import RESOURCES
from ganeti.server.pipeline import RequestPipeline
from support.rapi import FakePool, routed, run_steps

VERBS = [(resource, method) for resource in RESOURCES for method in resource.verbs()]
SLOTS = {
    "instance_name": "web1.example.com",
    "node_name": "node1.example.com",
    "group_name": "default",
    "job_id": "7",
    "resource": "instance",
    "disk": "0",
    "filter_uuid": "26c6bea0-b226-4059-8388-d9b4f50ee654",
    "network_name": "net1",
}
#: What needs a user everywhere, and every reading right of Ganeti's grammar.
CLOSED_READS = {("/2/query/{resource}", "GET"), ("/2/query/{resource}", "PUT")}
#: What a user with ``read`` may, and Ganeti's role for readers may not.
WITH_READ = {("/2/instances/{instance_name}/console", "GET")}
#: What Ganeti 3.0.2 gives to writers only, though it changes nothing.
WRITERS_READ = {
    ("/2/jobs/{job_id}/wait", "GET"),
    ("/2/jobs/wait", "GET"),
    ("/2/nodes/{node_name}/storage", "GET"),
}
#: What Ganeti's role for operators may do beside what ``read`` gives.
OPERATING = {
    (f"/2/instances/{{instance_name}}/{verb}", method)
    for verb, method in (
        ("startup", "PUT"),
        ("shutdown", "PUT"),
        ("reboot", "POST"),
        ("migrate", "PUT"),
        ("failover", "PUT"),
        ("replace-disks", "POST"),
        ("prepare-export", "PUT"),
        ("export", "PUT"),
        ("export", "DELETE"),
    )
}
#: What the body names where the URI does not.
NAMED = {("/2/instances", "POST"), ("/2/groups", "POST"), ("/2/networks", "POST")}
BODY = b'{"__version__": 1, "name": "web1.example.com", "mode": "create"}'

ANONYMOUS, EXPIRED = object(), object()


class Anybody:
    """Users of any name, whose password is their third field in the users file."""

    def authenticate(self, header, peer):
        name, field = parse_basic(header)
        if name == "expired":
            raise denied()
        return User(name, parse_rights(field, permissions.VOCABULARY)[0])


class UnreachedMaster(FakePool):
    """Knows nobody by another name, and answers nothing: who comes so far may do it."""

    def ask(self, call, context=None):
        if isinstance(call, luxi.Query) and call.fields == ["name"]:
            raise errors.OpPrereqError("there is none", "unknown_entity")
        raise AssertionError("reached the master")

    wait_for_job = ask


def status(resource, method, field, required):
    """Return the status that the front answers before it asks its master: 401, 403, else 200."""
    path = resource.URI.format(**SLOTS)
    headers = []
    if field is not ANONYMOUS:
        name, field = ("expired", "write") if field is EXPIRED else ("user", field)
        token = base64.b64encode(f"{name}:{field}".encode()).decode()
        headers.append(("Authorization", f"Basic {token}"))
    body = BODY if (resource.URI, method) in NAMED else b""
    pipeline = RequestPipeline(UnreachedMaster(), Anybody(), require_authentication=required)
    request = Request(method, path, path, headers=Headers(headers), body=body)
    answer = run_steps(routed(pipeline, request))
    return answer.status if answer.status in (401, 403) else 200


def expected(resource, method, field, required):
    """Return the status that the rules give."""
    if resource.PUBLIC:
        return 200
    if field is EXPIRED:
        return 401
    uri, right = resource.URI, resource.verbs()[method].access
    is_open = method == "GET" and (uri, method) not in CLOSED_READS | WITH_READ | WRITERS_READ
    if is_open and not required:
        return 200
    if field is ANONYMOUS:
        return 401
    if field == "":
        return 200 if is_open else 403
    if field in ("write", "all", "@admin"):
        return 200
    if field in ("read", "@readonly", "@operator"):
        also = {"read": WITH_READ, "@readonly": set(), "@operator": WITH_READ | OPERATING}[field]
        return 200 if is_open or (uri, method) in CLOSED_READS | also else 403
    name, _, pattern = field.partition(":")
    has_object = "{" in uri or (uri, method) in NAMED
    fits = not pattern or (has_object and pattern == "*")
    return 200 if name == right and fits else 403


FIELDS = [
    ANONYMOUS,
    EXPIRED,
    "",
    "read",
    "write",
    "all",
    "@readonly",
    "@operator",
    "@admin",
    "no.such",
    *sorted(permissions.ALL),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("required", [False, True], ids=["open", "required"])
@pytest.mark.parametrize(
    ("resource", "method"), VERBS, ids=[f"{method} {resource.URI}" for resource, method in VERBS]
)
def test_each_verb_answers_by_the_rules(resource, method, required):
    right = resource.verbs()[method].access
    for field in [*FIELDS, f"{right}:*", f"{right}:another*"]:
        assert status(resource, method, field, required) == expected(
            resource, method, field, required
        ), field


def test_a_script_may_start_and_stop_these_and_nothing_else():
    field = "instances.startup:web*.example.com,instances.shutdown:web*.example.com"
    allowed = {
        (resource.URI, method)
        for resource, method in VERBS
        if not resource.PUBLIC and status(resource, method, field, True) == 200
    }
    assert allowed == {
        ("/2/instances/{instance_name}/startup", "PUT"),
        ("/2/instances/{instance_name}/shutdown", "PUT"),
    }


def test_a_role_without_one_of_its_rights_is_refused_that_one_only():
    migrate, startup = (
        next(
            found for found, _ in VERBS if found.URI.endswith(verb) and "instance_name" in found.URI
        )
        for verb in ("migrate", "startup")
    )
    for field, expected in (
        ("@operator,-instances.migrate", 403),
        ("@operator", 200),
        ("-instances.migrate,@operator", 403),
        ("@operator,-instances.migrate:web*", 403),
        ("@operator,-instances.migrate:db*", 200),
    ):
        assert status(migrate, "PUT", field, False) == expected, field
        assert status(startup, "PUT", field, False) == 200, field


def test_creation_is_allowed_by_the_name_in_the_body():
    resource = next(found for found, _ in VERBS if found.URI == "/2/instances")
    assert status(resource, "POST", "instances.create:web*", True) == 200
    assert status(resource, "POST", "instances.create:db*", True) == 403
    assert status(resource, "POST", "@admin,-instances.create:web*", True) == 403
