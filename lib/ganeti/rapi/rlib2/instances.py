"""Instances: their list, their creation, their life; ``instances_change`` has the rest.

Creation takes two forms of body and makes one opcode of them. ``{"__version__": 1, ...}`` is
Ganeti's since 2.1.3: nested disks, NICs and parameters, which go into the opcode as they are.
A body without a version (or with version 0) is 2.0's: flat, sizes in MiB, exactly one NIC. 3.x
refuses that form; we translate it. Neither name nor address is looked up unless the client
asks for it, whichever master there is: Ganeti's default was true until 3.0 and is false since
3.1.

Reinstallation stops, installs and starts, as one job. 2.0.2 has words in the query (``os``,
``nostartup``), 2.4 a body (``os``, ``start``, ``osparams``). One form at a time.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from ganeti import constants, ht, opcodes
from ganeti.http import errors as http_errors
from ganeti.opcodes.base import COMMON_FIELDS
from ganeti.rapi.arguments import Fixed, Integer, choice, flag, text, unlocked
from ganeti.rapi.baserlib import Resource, ResourceRequest, verb
from ganeti.rapi.reading import NotModified, StreamedList, entries, read_all, read_one
from ganeti.rapi.submit import COMMON, Submit, body_object, build, reason_trail, rename

# -- creation --------------------------------------------------------------------------


_RENAMES = {"name": "instance_name", "os": "os_type"}
_REQUIRED_FLAT = {
    "instance_name": "name",
    "disk_template": "disk_template",
    "os_type": "os",
    "disks": "disks",
}
#: Fields of the flat form that go into the opcode as they are.
_PLAIN_FLAT = frozenset(
    {
        "instance_name",
        "disk_template",
        "os_type",
        "pnode",
        "snode",
        "iallocator",
        "hypervisor",
        "file_storage_dir",
        "file_driver",
        "start",
        "ip_check",
        "name_check",
        "depends",
        "priority",
        "comment",
        "debug_level",
    }
)
_BE_FLAT = frozenset({"memory", "vcpus", "auto_balance"})
_HV_FLAT = frozenset(
    {
        "boot_order",
        "cdrom_image_path",
        "nic_type",
        "disk_type",
        "vnc_bind_address",
        "vnc_tls",
        "vnc_x509_path",
        "vnc_x509_verify",
        "acpi",
        "pae",
        "kernel_args",
        "kernel_path",
        "initrd_path",
        "root_path",
        "serial_console",
        "usb_mouse",
        "device_model",
    }
)
_NIC_FLAT = frozenset({"mac", "ip", "bridge"})
_KNOWN_FLAT = _PLAIN_FLAT | _BE_FLAT | _HV_FLAT | _NIC_FLAT | {"disks"}


class SubmitCreate(Submit):
    """Reads either body."""

    def __init__(self, *, access: str) -> None:
        super().__init__(
            opcodes.OpInstanceCreate,
            access=access,
            renames=_RENAMES,
            names_object=("instance_name", "name"),
        )

    def body_fields(self, request: ResourceRequest) -> dict[str, Any]:
        if not isinstance(request.body, dict):
            raise http_errors.BadRequest(
                "The body must be an object that describes the "
                f"instance, not {ht.shorten(request.body)}"
            )
        body = rename(dict(request.body), self.renames)
        version = body.pop("__version__", 0)
        if version == 1 and not isinstance(version, bool):
            fields = _with_sizes(body)
        elif version in (0, None) and not isinstance(version, bool):
            self.refuse_overwriting(body, {"dry_run", "reason"})
            fields = _from_flat(body)
        else:
            raise http_errors.BadRequest(
                "Parameter '__version__' must be 1 (or be left out, "
                f"for a body as of 2.0), not {ht.shorten(version)}"
            )
        return _with_checks(fields)

    def object_name(self, slots: Mapping[str, str], body: Any) -> str | None:
        """The name as the master will store it, which rights are about."""
        name = super().object_name(slots, body)
        return None if name is None else ht.stored_name(name)

    def body_reference(self) -> list[str]:
        """Both forms."""
        fields = super().body_reference()[1]
        plain = ", ".join(
            f"``{name}``"
            for name in sorted(_KNOWN_FLAT - _REQUIRED_FLAT.keys() - set(COMMON_FIELDS))
        )
        return [
            'Body: an object with ``"__version__": 1`` and any of these and of the common fields.',
            fields,
            "Or the flat object of version 2.0, without ``__version__``: ``name``, ``os``, "
            "``disk_template`` and ``disks`` (a list of sizes) are required, and these can "
            f"be given besides: {plain}.",
        ]


class SubmitMany(Submit):
    """Creations within one opcode, each as the body of a single one with version 1."""

    def __init__(self, *, access: str) -> None:
        super().__init__(opcodes.OpInstanceMultiAlloc, access=access)
        self.large_body = True

    def body_fields(self, request: ResourceRequest) -> dict[str, Any]:
        fields = super().body_fields(request)
        instances = fields.get("instances")
        if not isinstance(instances, list):
            raise http_errors.BadRequest(
                "Parameter 'instances' must be a list of objects that "
                f"describe instances, not {ht.shorten(instances)}"
            )
        fields["instances"] = [self._creation(number, one) for number, one in enumerate(instances)]
        return fields

    @staticmethod
    def _creation(number: int, given: Any) -> dict[str, Any]:
        where = f"instances[{number}]"
        if not isinstance(given, dict):
            raise _invalid(where, f"must be an object, not {ht.shorten(given)}")
        try:
            fields = _with_checks(_with_sizes(rename(dict(given), _RENAMES)))
            return build(opcodes.OpInstanceCreate, fields).to_wire()
        except http_errors.BadRequest as err:
            problem = err.message.removeprefix("Invalid body parameters: ")
            raise _invalid(where, f"is no creation: {problem}") from None

    def body_reference(self) -> list[str]:
        """What an instance is stands elsewhere."""
        first, fields = super().body_reference()
        return [
            first + " ``instances`` is required; each is what ``POST /2/instances`` takes "
            "with ``__version__``, but without that.",
            fields,
        ]


def _with_checks(fields: dict[str, Any]) -> dict[str, Any]:
    """Say explicitly whether name and address are looked up.

    Who wants the address checked must have the name resolved, or the job fails.
    """
    if fields.get("ip_check") is None:
        fields["ip_check"] = False
    if fields.get("name_check") is None:
        fields["name_check"] = fields["ip_check"] is True
    return fields


def _with_sizes(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields, with the sizes of all disks in MiB."""
    disks = fields.get("disks")
    if isinstance(disks, list):
        fields["disks"] = [
            with_size(f"disks[{index}].size", disk) for index, disk in enumerate(disks)
        ]
    return fields


def with_size(where: str, disk: Any) -> Any:
    """A disk with its size in MiB, whether that came as a number or as "1G"; all else as it is.

    A real master reads "1G" as well, but closes the connection on "1.5G".
    """
    if not isinstance(disk, dict) or "size" not in disk:
        return disk
    return {**disk, "size": _size(where, disk["size"])}


def _invalid(name: str, problem: str) -> http_errors.BadRequest:
    return http_errors.BadRequest(f"Invalid body parameters: parameter '{name}' {problem}")


def _from_flat(body: dict[str, Any]) -> dict[str, Any]:
    """The opcode's fields of a flat body."""
    given = {name: value for name, value in body.items() if value not in (None, "")}
    for name, word in _REQUIRED_FLAT.items():
        if name not in given:
            raise http_errors.BadRequest(f"Required parameter '{word}' is missing")
    for name in given:
        if name not in _KNOWN_FLAT:
            raise _invalid(name, 'is unknown in a body without "__version__": 1')
    fields = _only(given, _PLAIN_FLAT)
    fields["mode"] = "create"
    fields["disks"] = _disks(given["disks"])
    fields["nics"] = [_nic(_only(given, _NIC_FLAT))]
    beparams = _only(given, _BE_FLAT)
    if "memory" in beparams:
        beparams["memory"] = _size("memory", beparams["memory"])
    if beparams:
        fields["beparams"] = beparams
    hvparams = _only(given, _HV_FLAT)
    if hvparams:
        fields["hvparams"] = hvparams
    if given.get("ip") == constants.VALUE_AUTO:
        # The address is what the name resolves to.
        fields.setdefault("name_check", True)
    return fields


def _only(values: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in names}


def _size(name: str, value: Any) -> int:
    try:
        return ht.parse_size(value)
    except ValueError as err:
        raise http_errors.BadRequest(
            f"Invalid body parameters: parameter '{name}': {err}"
        ) from None


def _disks(sizes: Any) -> list[dict[str, Any]]:
    if not isinstance(sizes, list):
        raise _invalid("disks", f"must be a list of sizes, not {ht.shorten(sizes)}")
    return [{"size": _size(f"disks[{index}]", size)} for index, size in enumerate(sizes)]


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _invalid(name, f"must be a string, not {ht.shorten(value)}")
    return value


def _nic(given: dict[str, Any]) -> dict[str, Any]:
    """The one NIC; a bridge was a key of its own in 2.0, since 2.5 it is a link."""
    words = {name: _text(name, value) for name, value in given.items()}
    nic = {"mac": words.get("mac", constants.VALUE_AUTO)}
    if "ip" in words:
        nic["ip"] = words["ip"]
    if "bridge" in words:
        nic.update(mode="bridged", link=words["bridge"])
    return nic


# -- reinstallation --------------------------------------------------------------------


_JOB_FIELDS = ("priority", "comment", "debug_level")


class SubmitReinstall(Submit):
    """Two or three opcodes in one job."""

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
        self, request: ResourceRequest, words: dict[str, Any], body: dict[str, Any], start: bool
    ) -> list[opcodes.OpCode]:
        """The opcodes; what the whole job depends on, its first one does."""
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
        """One field more than the opcode has."""
        first, fields = super().body_reference()
        return [
            first + " Not together with ``os`` or ``nostartup`` in the query.",
            fields + "\n- ``start``: true or false; default ``true``",
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


def _shape(request: ResourceRequest, instance: dict[str, Any]) -> dict[str, Any]:
    """Give the memory its old name as well (split in 2.6), and 2.0 its kind of state."""
    beparams = instance["beparams"]
    if isinstance(beparams, dict) and "maxmem" in beparams:
        instance["beparams"] = {**beparams, "memory": beparams["maxmem"]}
    if request.like_2_0:
        instance["admin_state"] = instance["admin_state"] == constants.AdminState.UP
    return instance


class R_2_instances(Resource):
    """All instances."""

    URI = "/2/instances"
    SINCE = "2.0.0"
    ALIASES = ("/instances",)

    @verb("instances.list", long=True, bulk=flag, lock=unlocked)
    def GET(
        self, bulk: bool | None, lock: None
    ) -> list[dict[str, Any]] | StreamedList | NotModified:
        """List the instances: ``{"id", "name", "uri"}`` each, or all their keys with ``bulk=1``."""
        if bulk:
            return read_all(
                self.request, "instance", FIELDS, functools.partial(_shape, self.request)
            )
        return entries(self.request, "instance", "/2/instances")

    POST = SubmitCreate(access="instances.create")


class R_2_instances_multi_alloc(Resource):
    """Create many instances at once."""

    URI = "/2/instances-multi-alloc"
    SINCE = "2.7.0"
    POST = SubmitMany(access="instances.multi_alloc")


class R_2_instances_name(Resource):
    """One instance."""

    URI = "/2/instances/{instance_name}"
    SINCE = "2.0.0"
    ALIASES = ("/instances/{instance_name}",)

    @verb("instances.query", lock=unlocked)
    def GET(self, lock: None) -> dict[str, Any]:
        """Everything about an instance; a short name will do where only one begins so."""
        return _shape(
            self.request,
            read_one(self.request, "instance", FIELDS, self.request.slots["instance_name"]),
        )

    DELETE = Submit(
        opcodes.OpInstanceRemove, access="instances.remove", ignore_failures=Fixed(False)
    )


class R_2_instances_name_reboot(Resource):
    """Reboot an instance."""

    URI = "/2/instances/{instance_name}/reboot"
    SINCE = "2.0.0"
    POST = Submit(
        opcodes.OpInstanceReboot,
        access="instances.reboot",
        reboot_type=choice("soft", "hard", "full", word="type", default="hard"),
        ignore_secondaries=flag,
    )


class R_2_instances_name_shutdown(Resource):
    """Stop an instance."""

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
    """Boot a stopped instance."""

    URI = "/2/instances/{instance_name}/startup"
    SINCE = "2.0.0"
    LATER = {"no_remember": "2.4.3"}
    PUT = Submit(
        opcodes.OpInstanceStartup, access="instances.startup", force=flag, no_remember=flag
    )


class R_2_instances_name_reinstall(Resource):
    """Install an instance's OS again."""

    URI = "/2/instances/{instance_name}/reinstall"
    SINCE = "2.0.2"
    POST = SubmitReinstall(access="instances.reinstall")


class SubmitInfo(Submit):
    """The job is about a list of names, of which this resource has one."""

    def __init__(self, *, access: str) -> None:
        super().__init__(opcodes.OpInstanceQueryData, access=access, static=flag)
        self.open = True

    def uri_fields(self, request: ResourceRequest) -> dict[str, Any]:
        fields = super().uri_fields(request)
        fields["instances"] = [fields.pop("instance_name")]
        return fields


class R_2_instances_name_info(Resource):
    """Everything that is known of an instance, by a job that asks its nodes."""

    URI = "/2/instances/{instance_name}/info"
    SINCE = "2.1.0"
    GET = SubmitInfo(access="instances.info")


class R_2_instances_name_console(Resource):
    """How to reach an instance's console."""

    URI = "/2/instances/{instance_name}/console"
    SINCE = "2.4.0"

    @verb("instances.query.console", open=False)
    def GET(self) -> dict[str, Any]:
        """How to reach the console of a running instance; 503 while it does not run.

        ``{"instance", "kind", "message", "host", "port", "user", "command", "display"}``, where
        ``kind`` is ``ssh`` (run the command there), ``vnc`` or ``spice`` (a port there) or ``msg``
        (there is none; the message says why). What a kind does not have is null.
        """
        name = self.request.slots["instance_name"]
        found = read_one(self.request, "instance", ("console", "oper_state"), name)
        if not found["oper_state"]:
            raise http_errors.ServiceUnavailable(f"Instance {name} does not run")
        console = found["console"]
        if not isinstance(console, dict):
            raise http_errors.ServiceUnavailable(f"The console of {name} cannot be reached")
        return {**dict.fromkeys(CONSOLE_KEYS), **console}
