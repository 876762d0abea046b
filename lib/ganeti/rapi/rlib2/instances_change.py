"""Changing instances: parameters, name, nodes and disks; exporting them."""

from __future__ import annotations

import re

from ganeti import opcodes
from ganeti.rapi.arguments import Text, choice, flag
from ganeti.rapi.baserlib import Resource, ResourceRequest
from ganeti.rapi.rlib2.instances_creation import with_size
from ganeti.rapi.submit import Submit
from ganeti.serializer import Json, JsonObject

# -- parameters, nodes, exports --------------------------------------------------------


class SubmitInstanceModify(Submit):
    """Submits changes of an instance.

    The body may use the names that reading has (2.10.3), separate USB devices by blanks, and give
    sizes of disks as strings.
    """

    def __init__(self, *, access: str) -> None:
        super().__init__(
            opcodes.OpInstanceSetParams,
            access=access,
            renames={"custom_beparams": "beparams", "custom_hvparams": "hvparams"},
        )

    def body_fields(self, request: ResourceRequest) -> JsonObject:
        fields = super().body_fields(request)
        if isinstance(fields.get("disks"), list):
            fields["disks"] = [
                _change_with_size(index, change) for index, change in enumerate(fields["disks"])
            ]
        hvparams = fields.get("hvparams")
        if isinstance(hvparams, dict) and isinstance(hvparams.get("usb_devices"), str):
            # Ganeti's command line takes blanks, since commas separate parameters there.
            fields["hvparams"] = {
                **hvparams,
                "usb_devices": hvparams["usb_devices"].replace(" ", ","),
            }
        return fields


def _change_with_size(index: int, change: Json) -> Json:
    """Return a change of a disk with the size, if it gives one, in MiB."""
    if not isinstance(change, list) or not change:
        return change
    return [*change[:-1], with_size(f"disks[{index}].size", change[-1])]


class R_2_instances_name_modify(Resource):
    """Change an instance's parameters, disks and network cards.

    Example::

        PUT /2/instances/web.example.com/modify
        {"beparams": {"vcpus": 2}, "disks": [["add", -1, {"size": "1G"}]]}

        17
    """

    URI = "/2/instances/{instance_name}/modify"
    SINCE = "2.2.0"
    PUT = SubmitInstanceModify(access="instances.modify")


class R_2_instances_name_rename(Resource):
    """Rename an instance.

    Example::

        PUT /2/instances/web.example.com/rename
        {"new_name": "www.example.com"}

        17
    """

    URI = "/2/instances/{instance_name}/rename"
    SINCE = "2.2.0"
    PUT = Submit(opcodes.OpInstanceRename, access="instances.rename")


class R_2_instances_name_migrate(Resource):
    """Move a running instance to another node.

    Example::

        PUT /2/instances/web.example.com/migrate
        {"mode": "live"}

        17
    """

    URI = "/2/instances/{instance_name}/migrate"
    SINCE = "2.2.0"
    PUT = Submit(opcodes.OpInstanceMigrate, access="instances.migrate")


class R_2_instances_name_failover(Resource):
    """Start an instance on another node.

    Example::

        PUT /2/instances/web.example.com/failover
        {"ignore_consistency": true}

        17
    """

    URI = "/2/instances/{instance_name}/failover"
    SINCE = "2.5.0"
    PUT = Submit(opcodes.OpInstanceFailover, access="instances.failover")


class R_2_instances_name_prepare_export(Resource):
    """Prepare the export of an instance.

    Example::

        PUT /2/instances/web.example.com/prepare-export?mode=remote

        17
    """

    URI = "/2/instances/{instance_name}/prepare-export"
    SINCE = "2.2.0"
    PUT = Submit(
        opcodes.OpBackupPrepare,
        access="instances.export.prepare",
        mode=choice("local", "remote", shared=True),
    )


class R_2_instances_name_export(Resource):
    """Exports of an instance.

    Example::

        PUT /2/instances/web.example.com/export
        {"destination": "node2.example.com", "shutdown": true}

        17

    Another::

        DELETE /2/instances/web.example.com/export

        17
    """

    URI = "/2/instances/{instance_name}/export"
    SINCE = "2.2.0"
    LATER = {"DELETE": "after 3.1"}
    PUT = Submit(
        opcodes.OpBackupExport,
        access="instances.export.create",
        renames={"destination": "target_node"},
    )
    DELETE = Submit(opcodes.OpBackupRemove, access="instances.export.remove")


# -- disks -----------------------------------------------------------------------------


_NUMBERS = re.compile(r"[ ]*[0-9]{1,9}[ ]*(?:,[ ]*[0-9]{1,9}[ ]*)*", re.ASCII)
#: Words that were in the query until 2.5, and are still accepted there.
_ELSEWHERE = Text(shared=True)


class R_2_instances_name_activate_disks(Resource):
    """Activate the disks of a stopped instance.

    Example::

        PUT /2/instances/web.example.com/activate-disks?ignore_size=1

        17
    """

    URI = "/2/instances/{instance_name}/activate-disks"
    SINCE = "2.1.2"
    PUT = Submit(
        opcodes.OpInstanceActivateDisks, access="instances.activate_disks", ignore_size=flag
    )


class R_2_instances_name_deactivate_disks(Resource):
    """Deactivate the disks of a stopped instance.

    Example::

        PUT /2/instances/web.example.com/deactivate-disks

        17
    """

    URI = "/2/instances/{instance_name}/deactivate-disks"
    SINCE = "2.1.2"
    LATER = {"force": "2.15.2"}
    PUT = Submit(opcodes.OpInstanceDeactivateDisks, access="instances.deactivate_disks", force=flag)


class SubmitRecreate(Submit):
    """Submits disks to recreate; their sizes may be strings."""

    def body_fields(self, request: ResourceRequest) -> JsonObject:
        fields = super().body_fields(request)
        if isinstance(fields.get("disks"), list):
            fields["disks"] = [
                _disk_with_size(index, disk) for index, disk in enumerate(fields["disks"])
            ]
        return fields


def _disk_with_size(index: int, disk: Json) -> Json:
    """Return a disk's number, or ``[number, {parameters}]`` with the size in MiB."""
    if not isinstance(disk, list) or len(disk) != 2:
        return disk
    return [disk[0], with_size(f"disks[{index}].size", disk[1])]


class R_2_instances_name_recreate_disks(Resource):
    """Create lost disks again.

    Example::

        POST /2/instances/web.example.com/recreate-disks
        {"disks": [[0, {"size": "2G"}]]}

        17
    """

    URI = "/2/instances/{instance_name}/recreate-disks"
    SINCE = "2.6.0"
    POST = SubmitRecreate(opcodes.OpInstanceRecreateDisks, access="instances.recreate_disks")


class SubmitReplace(Submit):
    """Submits disks to replace, which may be ``"0,1"``, in the query or in the body."""

    def __init__(self, *, access: str) -> None:
        super().__init__(
            opcodes.OpInstanceReplaceDisks,
            access=access,
            mode=_ELSEWHERE,
            disks=_ELSEWHERE,
            remote_node=_ELSEWHERE,
            iallocator=_ELSEWHERE,
        )

    def uri_fields(self, request: ResourceRequest) -> JsonObject:
        fields = super().uri_fields(request)
        return {**fields, "disks": _numbers(fields["disks"])}

    def body_fields(self, request: ResourceRequest) -> JsonObject:
        fields = super().body_fields(request)
        return {**fields, "disks": _numbers(fields["disks"])} if "disks" in fields else fields


def _numbers(disks: Json) -> Json:
    """Return [0, 1] for "0, 1"; anything else is left to the check of the opcode."""
    if isinstance(disks, str) and _NUMBERS.fullmatch(disks):
        return [int(number) for number in disks.split(",")]
    return disks


class R_2_instances_name_replace_disks(Resource):
    """Replace the mirrors of an instance's disks.

    Example::

        POST /2/instances/web.example.com/replace-disks
        {"mode": "replace_on_secondary", "disks": [0]}

        17
    """

    URI = "/2/instances/{instance_name}/replace-disks"
    SINCE = "2.1.0"
    POST = SubmitReplace(access="instances.replace_disks")


class SubmitGrow(Submit):
    """Submits the number of a disk, which is a string in the URI."""

    def uri_fields(self, request: ResourceRequest) -> JsonObject:
        fields = super().uri_fields(request)
        return {**fields, "disk": int(fields["disk"])}


class R_2_instances_name_disk_grow(Resource):
    """Enlarge a disk.

    Example::

        POST /2/instances/web.example.com/disk/0/grow
        {"amount": 1024}

        17
    """

    URI = "/2/instances/{instance_name}/disk/{disk}/grow"
    SINCE = "2.4.0"
    POST = SubmitGrow(opcodes.OpInstanceGrowDisk, access="instances.grow_disk")
