"""Changing what an instance is, its disks, where it lives, and keeping copies of it."""

from __future__ import annotations

import re
from typing import Any

from ganeti import opcodes
from ganeti.rapi.arguments import Text, choice, flag
from ganeti.rapi.baserlib import Resource, ResourceRequest
from ganeti.rapi.rlib2.instances import with_size
from ganeti.rapi.submit import Submit

# -- parameters, place, copies ---------------------------------------------------------


class SubmitInstanceModify(Submit):
    """Takes the names that reading has (2.10.3), USB devices with blanks between, and sizes of
    disks as texts."""

    def __init__(self, *, access: str) -> None:
        super().__init__(
            opcodes.OpInstanceSetParams,
            access=access,
            renames={"custom_beparams": "beparams", "custom_hvparams": "hvparams"},
        )

    def body_fields(self, request: ResourceRequest) -> dict[str, Any]:
        fields = super().body_fields(request)
        if isinstance(fields.get("disks"), list):
            fields["disks"] = [
                _change_with_size(index, change) for index, change in enumerate(fields["disks"])
            ]
        hvparams = fields.get("hvparams")
        if isinstance(hvparams, dict) and isinstance(hvparams.get("usb_devices"), str):
            # Commas separate parameters on Ganeti's command line, and so are blanks there.
            fields["hvparams"] = {
                **hvparams,
                "usb_devices": hvparams["usb_devices"].replace(" ", ","),
            }
        return fields


def _change_with_size(index: int, change: Any) -> Any:
    """A change of a disk, its last part what the disk is to be like."""
    if not isinstance(change, list) or not change:
        return change
    return [*change[:-1], with_size(f"disks[{index}].size", change[-1])]


class R_2_instances_name_modify(Resource):
    """Change an instance's parameters, disks and network cards."""

    URI = "/2/instances/{instance_name}/modify"
    SINCE = "2.2.0"
    PUT = SubmitInstanceModify(access="instances.modify")


class R_2_instances_name_rename(Resource):
    """Give an instance another name."""

    URI = "/2/instances/{instance_name}/rename"
    SINCE = "2.2.0"
    PUT = Submit(opcodes.OpInstanceRename, access="instances.rename")


class R_2_instances_name_migrate(Resource):
    """Move a running instance to another node."""

    URI = "/2/instances/{instance_name}/migrate"
    SINCE = "2.2.0"
    PUT = Submit(opcodes.OpInstanceMigrate, access="instances.migrate")


class R_2_instances_name_failover(Resource):
    """Start an instance on another node."""

    URI = "/2/instances/{instance_name}/failover"
    SINCE = "2.5.0"
    PUT = Submit(opcodes.OpInstanceFailover, access="instances.failover")


class R_2_instances_name_prepare_export(Resource):
    """Prepare the export of an instance."""

    URI = "/2/instances/{instance_name}/prepare-export"
    SINCE = "2.2.0"
    PUT = Submit(
        opcodes.OpBackupPrepare,
        access="instances.export.prepare",
        mode=choice("local", "remote", shared=True),
    )


class R_2_instances_name_export(Resource):
    """Exports of an instance."""

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
#: Words that were in the query until 2.5, and still may be.
_ELSEWHERE = Text(shared=True)


class R_2_instances_name_activate_disks(Resource):
    """Make the disks of a stopped instance usable."""

    URI = "/2/instances/{instance_name}/activate-disks"
    SINCE = "2.1.2"
    PUT = Submit(
        opcodes.OpInstanceActivateDisks, access="instances.activate_disks", ignore_size=flag
    )


class R_2_instances_name_deactivate_disks(Resource):
    """Undo activate-disks."""

    URI = "/2/instances/{instance_name}/deactivate-disks"
    SINCE = "2.1.2"
    LATER = {"force": "2.15.2"}
    PUT = Submit(opcodes.OpInstanceDeactivateDisks, access="instances.deactivate_disks", force=flag)


class SubmitRecreate(Submit):
    """Sizes may come as texts."""

    def body_fields(self, request: ResourceRequest) -> dict[str, Any]:
        fields = super().body_fields(request)
        if isinstance(fields.get("disks"), list):
            fields["disks"] = [
                _disk_with_size(index, disk) for index, disk in enumerate(fields["disks"])
            ]
        return fields


def _disk_with_size(index: int, disk: Any) -> Any:
    """A disk's number, or that and what it is to have instead."""
    if not isinstance(disk, list) or len(disk) != 2:
        return disk
    return [disk[0], with_size(f"disks[{index}].size", disk[1])]


class R_2_instances_name_recreate_disks(Resource):
    """Make disks that were lost anew."""

    URI = "/2/instances/{instance_name}/recreate-disks"
    SINCE = "2.6.0"
    POST = SubmitRecreate(opcodes.OpInstanceRecreateDisks, access="instances.recreate_disks")


class SubmitReplace(Submit):
    """Disks may come as ``"0,1"`` as well, in the query or in the body."""

    def __init__(self, *, access: str) -> None:
        super().__init__(
            opcodes.OpInstanceReplaceDisks,
            access=access,
            mode=_ELSEWHERE,
            disks=_ELSEWHERE,
            remote_node=_ELSEWHERE,
            iallocator=_ELSEWHERE,
        )

    def uri_fields(self, request: ResourceRequest) -> dict[str, Any]:
        fields = super().uri_fields(request)
        return {**fields, "disks": _numbers(fields["disks"])}

    def body_fields(self, request: ResourceRequest) -> dict[str, Any]:
        fields = super().body_fields(request)
        return {**fields, "disks": _numbers(fields["disks"])} if "disks" in fields else fields


def _numbers(disks: Any) -> Any:
    """[0, 1] of "0, 1"; anything else is left to the opcode's own check."""
    if isinstance(disks, str) and _NUMBERS.fullmatch(disks):
        return [int(number) for number in disks.split(",")]
    return disks


class R_2_instances_name_replace_disks(Resource):
    """Make the mirror of an instance's disks anew."""

    URI = "/2/instances/{instance_name}/replace-disks"
    SINCE = "2.1.0"
    POST = SubmitReplace(access="instances.replace_disks")


class SubmitGrow(Submit):
    """The disk's number is text in the URI."""

    def uri_fields(self, request: ResourceRequest) -> dict[str, Any]:
        fields = super().uri_fields(request)
        return {**fields, "disk": int(fields["disk"])}


class R_2_instances_name_disk_grow(Resource):
    """Enlarge a disk."""

    URI = "/2/instances/{instance_name}/disk/{disk}/grow"
    SINCE = "2.4.0"
    POST = SubmitGrow(opcodes.OpInstanceGrowDisk, access="instances.grow_disk")
