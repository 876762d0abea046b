"""Instances: listing, reading, starting, stopping, reinstalling.

``instances_creation`` creates instances, ``instances_change`` has the rest. Reinstallation is one
job of two or three opcodes: stop, install, start. 2.0.2 has words in the query (``os``,
``nostartup``), 2.4 a body (``os``, ``start``, ``osparams``). A request uses one of these forms.
"""

from __future__ import annotations

import functools
from typing import Any

from ganeti import constants, ht, opcodes
from ganeti.http import errors as http_errors
from ganeti.rapi.arguments import Fixed, Integer, choice, flag, text, unlocked
from ganeti.rapi.baserlib import Resource, ResourceRequest, verb
from ganeti.rapi.reading import NotModified, StreamedList, entries, read_all, read_one
from ganeti.rapi.rlib2.instances_creation import SubmitCreate
from ganeti.rapi.submit import COMMON, Submit, body_object, build, reason_trail, rename
from ganeti.serializer import JsonObject

# -- reinstallation --------------------------------------------------------------------


_JOB_FIELDS = ("priority", "comment", "debug_level")


class SubmitReinstall(Submit):
    """Submits two or three opcodes in one job."""

    def __init__(self, *, access: str) -> None:
        super().__init__(
            opcodes.OpInstanceReinstall,
            access=access,
            renames={"os": "os_type"},
            doc="Stop an instance, run its OS create script again, and start it.",
        )
        self.arguments = {"os": text, "nostartup": flag, **COMMON}

    def ops(self, request: ResourceRequest) -> list[opcodes.OpCode]:
        words = self.read_arguments(request)
        body = rename(body_object(request), self.renames)
        if body and any(words[name] is not None for name in ("os", "nostartup")):
            raise http_errors.BadRequest(
                "Parameters 'os' and 'nostartup' of the query cannot be combined with a body"
            )
        self.refuse_overwriting(body, {*request.slots, "dry_run", "reason"})
        start = body.pop("start", None)
        if start is None:
            start = not words["nostartup"]
        elif not isinstance(start, bool):
            raise http_errors.BadRequest(
                "Invalid body parameters: parameter 'start' must be "
                f"true or false, not {ht.shorten(start)}"
            )
        if words["os"] is not None:
            body["os_type"] = words["os"]
        return self._chain(request, words, body, start)

    def _chain(
        self, request: ResourceRequest, words: dict[str, Any], body: JsonObject, start: bool
    ) -> list[opcodes.OpCode]:
        """Return the opcodes; dependencies of the job are given to the first one."""
        shared = {
            "instance_name": request.slots["instance_name"],
            "reason": reason_trail(request, self.resource, words["reason"]),
            "dry_run": words["dry_run"],
            **{name: body.pop(name, None) for name in _JOB_FIELDS},
        }
        ops = [
            build(opcodes.OpInstanceShutdown, {**shared, "depends": body.pop("depends", None)}),
            build(self.op, {**body, **shared}),
        ]
        if start:
            ops.append(build(opcodes.OpInstanceStartup, shared))
        return ops

    def body_reference(self) -> list[str]:
        """Describe the fields of the opcode, and ``start``, which it does not have."""
        first, fields = super().body_reference()
        return [
            first + " Not together with ``os`` or ``nostartup`` in the query.",
            fields + "\n- ``start``: boolean; default ``true``",
        ]


# -- the resources ---------------------------------------------------------------------


#: Keys of 2.0.6 and of 3.x, which has all of the former; ``hypervisor`` comes after 3.1.
FIELDS = (
    "name",
    "admin_state",
    "os",
    "pnode",
    "snodes",
    "disk_template",
    "hypervisor",
    "nic.ips",
    "nic.macs",
    "nic.modes",
    "nic.uuids",
    "nic.names",
    "nic.links",
    "nic.networks",
    "nic.networks.names",
    "nic.bridges",
    "network_port",
    "disk.sizes",
    "disk.spindles",
    "disk_usage",
    "disk.uuids",
    "disk.names",
    "beparams",
    "hvparams",
    "oper_state",
    "oper_ram",
    "oper_vcpus",
    "status",
    "custom_hvparams",
    "custom_beparams",
    "custom_nicparams",
    "custom_osparams",
    "ctime",
    "mtime",
    "uuid",
    "serial_no",
    "tags",
)

CONSOLE_KEYS = ("instance", "kind", "message", "host", "port", "user", "command", "display")


def _shape(request: ResourceRequest, instance: JsonObject) -> JsonObject:
    """Add the name that the memory had before 2.6, and for 2.0 make the state a boolean."""
    beparams = instance["beparams"]
    if isinstance(beparams, dict) and "maxmem" in beparams:
        instance["beparams"] = {**beparams, "memory": beparams["maxmem"]}
    if request.like_2_0:
        instance["admin_state"] = instance["admin_state"] == constants.AdminState.UP
    return instance


class R_2_instances(Resource):
    """All instances.

    Example::

        GET /2/instances

        [{"id": "web.example.com", "name": "web.example.com",
          "uri": "/2/instances/web.example.com"}]

    Another::

        POST /2/instances
        {"__version__": 1, "mode": "create", "name": "db.example.com", "os_type": "noop",
         "disk_template": "file", "disks": [{"size": "1G"}], "nics": [{}]}

        17
    """

    URI = "/2/instances"
    SINCE = "2.0.0"
    ALIASES = ("/instances",)

    @verb("instances.list", long=True, bulk=flag, lock=unlocked)
    def GET(self, bulk: bool | None, lock: None) -> list[JsonObject] | StreamedList | NotModified:
        """List the instances: an array of ``{"id", "name", "uri"}``.

        With ``bulk=1`` each object has all its keys.
        """
        if bulk:
            return read_all(
                self.request, "instance", FIELDS, functools.partial(_shape, self.request)
            )
        return entries(self.request, "instance", "/2/instances")

    POST = SubmitCreate(access="instances.create")


class R_2_instances_name(Resource):
    """One instance.

    Example (of the answer only some keys are shown)::

        GET /2/instances/web

        {"name": "web.example.com", "status": "running", "pnode": "node1.example.com",
         "os": "noop", "disk.sizes": [1024], "oper_ram": 128, "tags": []}

    Another::

        DELETE /2/instances/web.example.com

        17
    """

    URI = "/2/instances/{instance_name}"
    SINCE = "2.0.0"
    ALIASES = ("/instances/{instance_name}",)

    @verb("instances.query", lock=unlocked)
    def GET(self, lock: None) -> JsonObject:
        """Describe an instance; its name may be cut off at a dot if only one begins so."""
        return _shape(
            self.request,
            read_one(self.request, "instance", FIELDS, self.request.slots["instance_name"]),
        )

    DELETE = Submit(
        opcodes.OpInstanceRemove, access="instances.remove", ignore_failures=Fixed(False)
    )


class R_2_instances_name_reboot(Resource):
    """Reboot an instance.

    Example::

        POST /2/instances/web.example.com/reboot?type=soft

        17
    """

    URI = "/2/instances/{instance_name}/reboot"
    SINCE = "2.0.0"
    POST = Submit(
        opcodes.OpInstanceReboot,
        access="instances.reboot",
        reboot_type=choice("soft", "hard", "full", word="type", default="hard"),
        ignore_secondaries=flag,
    )


class R_2_instances_name_shutdown(Resource):
    """Stop an instance.

    Example::

        PUT /2/instances/web.example.com/shutdown?dry-run=1
        {"timeout": 30}

        17
    """

    URI = "/2/instances/{instance_name}/shutdown"
    SINCE = "2.0.0"
    LATER = {"no_remember": "2.4.3", "timeout": "ours"}
    PUT = Submit(
        opcodes.OpInstanceShutdown,
        access="instances.shutdown",
        urgent=True,
        timeout=Integer(shared=True),
        no_remember=flag,
    )


class R_2_instances_name_startup(Resource):
    """Start a stopped instance.

    Example::

        PUT /2/instances/web.example.com/startup

        17
    """

    URI = "/2/instances/{instance_name}/startup"
    SINCE = "2.0.0"
    LATER = {"no_remember": "2.4.3"}
    PUT = Submit(
        opcodes.OpInstanceStartup, access="instances.startup", force=flag, no_remember=flag
    )


class R_2_instances_name_reinstall(Resource):
    """Install an instance's OS again.

    Example::

        POST /2/instances/web.example.com/reinstall
        {"os": "noop", "start": false}

        17
    """

    URI = "/2/instances/{instance_name}/reinstall"
    SINCE = "2.0.2"
    POST = SubmitReinstall(access="instances.reinstall")


class SubmitInfo(Submit):
    """Submits an opcode that takes a list of names with the one in the URI."""

    def __init__(self, *, access: str) -> None:
        super().__init__(
            opcodes.OpInstanceQueryData,
            access=access,
            doc="Submit a job that reports everything about an instance.",
            static=flag,
        )
        self.open = True

    def uri_fields(self, request: ResourceRequest) -> JsonObject:
        fields = super().uri_fields(request)
        fields["instances"] = [fields.pop("instance_name")]
        return fields


class R_2_instances_name_info(Resource):
    """Everything about an instance, reported by a job that asks its nodes.

    Example::

        GET /2/instances/web.example.com/info?static=1

        17
    """

    URI = "/2/instances/{instance_name}/info"
    SINCE = "2.1.0"
    GET = SubmitInfo(access="instances.info")


class R_2_instances_name_console(Resource):
    """The console of an instance.

    Example::

        GET /2/instances/web.example.com/console

        {"instance": "web.example.com", "kind": "msg", "host": null, "port": null, "user": null,
         "command": null, "display": null,
         "message": "Guests of the hypervisor 'fake' have no console here"}
    """

    URI = "/2/instances/{instance_name}/console"
    SINCE = "2.4.0"

    @verb("instances.query.console", open=False)
    def GET(self) -> JsonObject:
        """Report how to reach the console of a running instance; 503 if it does not run.

        The answer is ``{"instance", "kind", "message", "host", "port", "user", "command",
        "display"}``. ``kind`` is ``ssh`` (run the command on the host), ``vnc`` or ``spice``
        (connect to the port of the host) or ``msg`` (there is no console; the message says why).
        Keys that a kind does not use are null.
        """
        name = self.request.slots["instance_name"]
        found = read_one(self.request, "instance", ("console", "oper_state"), name)
        if not found["oper_state"]:
            raise http_errors.ServiceUnavailable(f"Instance {name} is not running")
        console = found["console"]
        if not isinstance(console, dict):
            raise http_errors.ServiceUnavailable(f"The console of {name} cannot be reached")
        return {**dict.fromkeys(CONSOLE_KEYS), **console}
