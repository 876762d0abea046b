"""Instances: their list, their life; ``instance_change`` and ``instance_disks`` have the rest."""

from __future__ import annotations

import functools
from typing import Any

from ganeti import constants, opcodes
from ganeti.http import errors as http_errors
from ganeti.rapi.arguments import Fixed, Integer, choice, flag, unlocked
from ganeti.rapi.baserlib import Exchange, Resource, verb
from ganeti.rapi.reading import Rows, Unchanged, entries, read_all, read_one
from ganeti.rapi.rlib2.creation import SubmitCreate, SubmitMany
from ganeti.rapi.rlib2.reinstall import SubmitReinstall
from ganeti.rapi.submit import Submit

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


def _shape(exchange: Exchange, instance: dict[str, Any]) -> dict[str, Any]:
    """Give the memory its old name as well (split in 2.6), and 2.0 its kind of state."""
    beparams = instance["beparams"]
    if isinstance(beparams, dict) and "maxmem" in beparams:
        instance["beparams"] = {**beparams, "memory": beparams["maxmem"]}
    if exchange.like_2_0:
        instance["admin_state"] = instance["admin_state"] == constants.AdminState.UP
    return instance


class R_2_instances(Resource):
    """All instances."""

    URI = "/2/instances"
    ALIASES = ("/instances",)

    @verb("instances.list", long=True, bulk=flag, lock=unlocked)
    def GET(self, bulk: bool | None, lock: None) -> list[dict[str, Any]] | Rows | Unchanged:
        """List the instances: ``{"id", "name", "uri"}`` each, or all their keys with ``bulk=1``."""
        if bulk:
            return read_all(
                self.exchange, "instance", FIELDS, functools.partial(_shape, self.exchange)
            )
        return entries(self.exchange, "instance", "/2/instances")

    POST = SubmitCreate(access="instances.create")


class R_2_instances_multi_alloc(Resource):
    """Create many instances at once."""

    URI = "/2/instances-multi-alloc"
    POST = SubmitMany(access="instances.multi_alloc")


class R_2_instances_name(Resource):
    """One instance."""

    URI = "/2/instances/{instance_name}"
    ALIASES = ("/instances/{instance_name}",)

    @verb("instances.query", lock=unlocked)
    def GET(self, lock: None) -> dict[str, Any]:
        """Everything about an instance; a short name will do where only one begins so."""
        return _shape(
            self.exchange,
            read_one(self.exchange, "instance", FIELDS, self.exchange.slots["instance_name"]),
        )

    DELETE = Submit(
        opcodes.OpInstanceRemove, access="instances.remove", ignore_failures=Fixed(False)
    )


class R_2_instances_name_reboot(Resource):
    """Reboot an instance."""

    URI = "/2/instances/{instance_name}/reboot"
    POST = Submit(
        opcodes.OpInstanceReboot,
        access="instances.reboot",
        reboot_type=choice("soft", "hard", "full", word="type", default="hard"),
        ignore_secondaries=flag,
    )


class R_2_instances_name_shutdown(Resource):
    """Stop an instance."""

    URI = "/2/instances/{instance_name}/shutdown"
    PUT = Submit(
        opcodes.OpInstanceShutdown,
        access="instances.shutdown",
        urgent=True,
        timeout=Integer(shared=True),
        no_remember=flag,
    )


class R_2_instances_name_startup(Resource):
    """Boot a stopped instance."""

    URI = "/2/instances/{instance_name}/startup"
    PUT = Submit(
        opcodes.OpInstanceStartup, access="instances.startup", force=flag, no_remember=flag
    )


class R_2_instances_name_reinstall(Resource):
    """Install an instance's OS again."""

    URI = "/2/instances/{instance_name}/reinstall"
    POST = SubmitReinstall(access="instances.reinstall")


class SubmitInfo(Submit):
    """The job is about a list of names, of which this resource has one."""

    def __init__(self, *, access: str) -> None:
        super().__init__(opcodes.OpInstanceQueryData, access=access, static=flag)
        self.open = True

    def uri_fields(self, exchange: Exchange) -> dict[str, Any]:
        fields = super().uri_fields(exchange)
        fields["instances"] = [fields.pop("instance_name")]
        return fields


class R_2_instances_name_info(Resource):
    """Everything that is known of an instance, by a job that asks its nodes."""

    URI = "/2/instances/{instance_name}/info"
    GET = SubmitInfo(access="instances.info")


class R_2_instances_name_console(Resource):
    """How to reach an instance's console."""

    URI = "/2/instances/{instance_name}/console"

    @verb("instances.query.console", open=False)
    def GET(self) -> dict[str, Any]:
        """How to reach the console of a running instance; 503 while it does not run.

        ``{"instance", "kind", "message", "host", "port", "user", "command", "display"}``, where
        ``kind`` is ``ssh`` (run the command there), ``vnc`` or ``spice`` (a port there) or ``msg``
        (there is none; the message says why). What a kind does not have is null.
        """
        name = self.exchange.slots["instance_name"]
        found = read_one(self.exchange, "instance", ("console", "oper_state"), name)
        if not found["oper_state"]:
            raise http_errors.ServiceUnavailable(f"Instance {name} does not run")
        console = found["console"]
        if not isinstance(console, dict):
            raise http_errors.ServiceUnavailable(f"The console of {name} cannot be reached")
        return {**dict.fromkeys(CONSOLE_KEYS), **console}
