"""Instances: their list, their life."""

from __future__ import annotations

from typing import Any

from ganeti import constants, opcodes
from ganeti.rapi.arguments import Fixed, Integer, choice, flag
from ganeti.rapi.baserlib import Exchange, Resource, verb
from ganeti.rapi.reading import entries, read, read_one
from ganeti.rapi.rlib2.creation import SubmitCreate
from ganeti.rapi.rlib2.reinstall import SubmitReinstall
from ganeti.rapi.submit import Submit

#: Keys of 2.0.6 and of 3.x, which has all of the former.
FIELDS = (
    "name", "admin_state", "os", "pnode", "snodes", "disk_template",
    "nic.ips", "nic.macs", "nic.modes", "nic.uuids", "nic.names", "nic.links",
    "nic.networks", "nic.networks.names", "nic.bridges",
    "network_port", "disk.sizes", "disk.spindles", "disk_usage", "disk.uuids", "disk.names",
    "beparams", "hvparams", "oper_state", "oper_ram", "oper_vcpus", "status",
    "custom_hvparams", "custom_beparams", "custom_nicparams", "custom_osparams",
    "ctime", "mtime", "uuid", "serial_no", "tags",
)


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

    @verb(bulk=flag)
    def GET(self, bulk: bool | None) -> list[dict[str, Any]]:
        """List the instances: ``{"id", "name", "uri"}`` each, or all their keys with ``bulk=1``."""
        if bulk:
            return [_shape(self.exchange, instance)
                    for instance in read(self.exchange, "instance", FIELDS)]
        return entries(self.exchange, "instance", "/2/instances")

    POST = SubmitCreate(access="instances.create")


class R_2_instances_name(Resource):
    """One instance."""

    URI = "/2/instances/{instance_name}"
    ALIASES = ("/instances/{instance_name}",)

    @verb()
    def GET(self) -> dict[str, Any]:
        """Everything about an instance; a short name will do where only one begins so."""
        return _shape(self.exchange, read_one(self.exchange, "instance", FIELDS,
                                              self.exchange.slots["instance_name"]))

    DELETE = Submit(opcodes.OpInstanceRemove, access="instances.delete",
                    ignore_failures=Fixed(False))


class R_2_instances_name_reboot(Resource):
    """Reboot an instance."""

    URI = "/2/instances/{instance_name}/reboot"
    POST = Submit(opcodes.OpInstanceReboot, access="instances.reboot",
                  reboot_type=choice("soft", "hard", "full", word="type", default="hard"),
                  ignore_secondaries=flag)


class R_2_instances_name_shutdown(Resource):
    """Stop an instance."""

    URI = "/2/instances/{instance_name}/shutdown"
    PUT = Submit(opcodes.OpInstanceShutdown, access="instances.shutdown",
                 timeout=Integer(shared=True), no_remember=flag)


class R_2_instances_name_startup(Resource):
    """Boot a stopped instance."""

    URI = "/2/instances/{instance_name}/startup"
    PUT = Submit(opcodes.OpInstanceStartup, access="instances.startup",
                 force=flag, no_remember=flag)


class R_2_instances_name_reinstall(Resource):
    """Install an instance's OS again."""

    URI = "/2/instances/{instance_name}/reinstall"
    POST = SubmitReinstall(access="instances.reinstall")
