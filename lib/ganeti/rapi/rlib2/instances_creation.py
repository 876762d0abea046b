"""Creating instances: both forms of the body, and many instances at once.

``{"__version__": 1, ...}`` is the form of Ganeti since 2.1.3: nested disks, NICs and parameters,
which go into the opcode unchanged. A body without a version (or with version 0) is the form of
2.0: flat, sizes in MiB, exactly one NIC. Ganeti 3.x refuses that form; it is translated here.
Name and address are not looked up unless the client asks for it, with any master: Ganeti's
default was true until 3.0 and is false since 3.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganeti import constants, ht, opcodes
from ganeti.http import errors as http_errors
from ganeti.opcodes.base import COMMON_FIELDS
from ganeti.rapi.baserlib import Resource, ResourceRequest
from ganeti.rapi.submit import Submit, build, rename
from ganeti.serializer import Json, JsonObject

_RENAMES = {"name": "instance_name", "os": "os_type"}
_REQUIRED_FLAT = {
    "instance_name": "name",
    "disk_template": "disk_template",
    "os_type": "os",
    "disks": "disks",
}
#: Fields of the flat form that go into the opcode unchanged.
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
    """Submits a creation from either form of body."""

    def __init__(self, *, access: str) -> None:
        super().__init__(
            opcodes.OpInstanceCreate,
            access=access,
            renames=_RENAMES,
            names_object=("instance_name", "name"),
        )

    def body_fields(self, request: ResourceRequest) -> JsonObject:
        if not isinstance(request.body, dict):
            raise http_errors.BadRequest(
                "The body must be an object that describes the "
                f"instance, not {ht.shorten(request.body)}"
            )
        body = rename(dict(request.body), self.renames)
        version = body.pop("__version__", 0)
        # True equals 1 in Python, but is not a version.
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
        """Return the name in the form that the master will store, which rights are matched with."""
        name = super().object_name(slots, body)
        return None if name is None else ht.stored_name(name)

    def body_reference(self) -> list[str]:
        """Describe the nested form and the flat one of 2.0."""
        fields = super().body_reference()[1]
        plain = ", ".join(
            f"``{name}``"
            for name in sorted(_KNOWN_FLAT - _REQUIRED_FLAT.keys() - set(COMMON_FIELDS))
        )
        return [
            'Body: an object with ``"__version__": 1`` and any of these and of the common fields.',
            fields,
            "Or the flat object of version 2.0, without ``__version__``: ``name``, ``os``, "
            "``disk_template`` and ``disks`` (an array of sizes) are required, and these are "
            f"optional: {plain}.",
        ]


class SubmitMany(Submit):
    """Submits many creations in one opcode, each in the form of a body with version 1."""

    def __init__(self, *, access: str) -> None:
        super().__init__(opcodes.OpInstanceMultiAlloc, access=access)
        self.large_body = True

    def body_fields(self, request: ResourceRequest) -> JsonObject:
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
    def _creation(number: int, given: Json) -> JsonObject:
        where = f"instances[{number}]"
        if not isinstance(given, dict):
            raise _invalid(where, f"must be an object, not {ht.shorten(given)}")
        try:
            fields = _with_checks(_with_sizes(rename(dict(given), _RENAMES)))
            return build(opcodes.OpInstanceCreate, fields).to_wire()
        except http_errors.BadRequest as err:
            problem = err.message.removeprefix("Invalid body parameters: ")
            raise _invalid(where, f"cannot be created: {problem}") from None

    def body_reference(self) -> list[str]:
        """Describe an instance by reference to the creation of a single one."""
        return [
            "Body: an object with ``instances``, and any of the others and of the common fields. "
            "Each instance is an object that ``POST /2/instances`` takes with ``__version__``, but "
            "without that key.",
            *super().body_reference()[1:],
        ]


def _with_checks(fields: JsonObject) -> JsonObject:
    """Return the fields with explicit values of ``ip_check`` and ``name_check``.

    A job that checks the address without resolving the name would fail.
    """
    if fields.get("ip_check") is None:
        fields["ip_check"] = False
    if fields.get("name_check") is None:
        fields["name_check"] = fields["ip_check"] is True
    return fields


def _with_sizes(fields: JsonObject) -> JsonObject:
    """Return the fields with the sizes of all disks in MiB."""
    disks = fields.get("disks")
    if isinstance(disks, list):
        fields["disks"] = [
            with_size(f"disks[{index}].size", disk) for index, disk in enumerate(disks)
        ]
    return fields


def with_size(where: str, disk: Json) -> Json:
    """Return a disk with its size in MiB, which may be given as a number or as "1G".

    Anything that is not a disk with a size is returned unchanged. A real master reads "1G" as
    well, but closes the connection on "1.5G".
    """
    if not isinstance(disk, dict) or "size" not in disk:
        return disk
    return {**disk, "size": _size(where, disk["size"])}


def _invalid(name: str, problem: str) -> http_errors.BadRequest:
    return http_errors.BadRequest(f"Invalid body parameters: parameter '{name}' {problem}")


def _from_flat(body: JsonObject) -> JsonObject:
    """Return the fields of the opcode for a flat body; raise ``BadRequest``."""
    given: JsonObject = {name: value for name, value in body.items() if value not in (None, "")}
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
        # The address is the one that the name resolves to.
        fields.setdefault("name_check", True)
    return fields


def _only(values: JsonObject, names: frozenset[str]) -> JsonObject:
    return {name: value for name, value in values.items() if name in names}


def _size(name: str, value: Json) -> int:
    try:
        return ht.parse_size(value)
    except ValueError as err:
        raise http_errors.BadRequest(
            f"Invalid body parameters: parameter '{name}': {err}"
        ) from None


def _disks(sizes: Json) -> list[Json]:
    if not isinstance(sizes, list):
        raise _invalid("disks", f"must be a list of sizes, not {ht.shorten(sizes)}")
    return [{"size": _size(f"disks[{index}]", size)} for index, size in enumerate(sizes)]


def _text(name: str, value: Json) -> str:
    if not isinstance(value, str):
        raise _invalid(name, f"must be a string, not {ht.shorten(value)}")
    return value


def _nic(given: JsonObject) -> JsonObject:
    """Return the one NIC of a flat body; its bridge is a link since 2.5."""
    words = {name: _text(name, value) for name, value in given.items()}
    nic: JsonObject = {"mac": words.get("mac", constants.VALUE_AUTO)}
    if "ip" in words:
        nic["ip"] = words["ip"]
    if "bridge" in words:
        nic.update(mode="bridged", link=words["bridge"])
    return nic


class R_2_instances_multi_alloc(Resource):
    """Create many instances at once.

    Example::

        POST /2/instances-multi-alloc
        {"iallocator": "hail", "instances": [
          {"mode": "create", "name": "db1.example.com", "os_type": "noop",
           "disk_template": "file", "disks": [{"size": "1G"}], "nics": [{}]}]}

        17
    """

    URI = "/2/instances-multi-alloc"
    SINCE = "2.7.0"
    POST = SubmitMany(access="instances.multi_alloc")
