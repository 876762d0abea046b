"""Changing what an instance is, where it lives, and keeping copies of it."""

from __future__ import annotations

from typing import Any

from ganeti import opcodes
from ganeti.rapi.arguments import choice
from ganeti.rapi.baserlib import Exchange, Resource
from ganeti.rapi.rlib2.creation import with_size
from ganeti.rapi.submit import Submit


class SubmitModify(Submit):
    """Takes the names that reading has (2.10.3), USB devices with blanks between, and sizes of
    disks as texts."""

    def __init__(self, *, access: str) -> None:
        super().__init__(
            opcodes.OpInstanceSetParams,
            access=access,
            renames={"custom_beparams": "beparams", "custom_hvparams": "hvparams"},
        )

    def body_fields(self, exchange: Exchange) -> dict[str, Any]:
        fields = super().body_fields(exchange)
        if isinstance(fields.get("disks"), list):
            fields["disks"] = [
                _with_size(index, change) for index, change in enumerate(fields["disks"])
            ]
        hvparams = fields.get("hvparams")
        if isinstance(hvparams, dict) and isinstance(hvparams.get("usb_devices"), str):
            # Commas separate parameters on Ganeti's command line, and so are blanks there.
            fields["hvparams"] = {
                **hvparams,
                "usb_devices": hvparams["usb_devices"].replace(" ", ","),
            }
        return fields


def _with_size(index: int, change: Any) -> Any:
    """A change of a disk, its last part what the disk is to be like."""
    if not isinstance(change, list) or not change:
        return change
    return [*change[:-1], with_size(f"disks[{index}].size", change[-1])]


class R_2_instances_name_modify(Resource):
    """Change an instance's parameters, disks and network cards."""

    URI = "/2/instances/{instance_name}/modify"
    PUT = SubmitModify(access="instances.modify")


class R_2_instances_name_rename(Resource):
    """Give an instance another name."""

    URI = "/2/instances/{instance_name}/rename"
    PUT = Submit(opcodes.OpInstanceRename, access="instances.rename")


class R_2_instances_name_migrate(Resource):
    """Move a running instance to another node."""

    URI = "/2/instances/{instance_name}/migrate"
    PUT = Submit(opcodes.OpInstanceMigrate, access="instances.migrate")


class R_2_instances_name_failover(Resource):
    """Start an instance on another node."""

    URI = "/2/instances/{instance_name}/failover"
    PUT = Submit(opcodes.OpInstanceFailover, access="instances.failover")


class R_2_instances_name_prepare_export(Resource):
    """Prepare the export of an instance."""

    URI = "/2/instances/{instance_name}/prepare-export"
    PUT = Submit(
        opcodes.OpBackupPrepare,
        access="instances.export.prepare",
        mode=choice("local", "remote", shared=True),
    )


class R_2_instances_name_export(Resource):
    """Exports of an instance."""

    URI = "/2/instances/{instance_name}/export"
    PUT = Submit(
        opcodes.OpBackupExport,
        access="instances.export.create",
        renames={"destination": "target_node"},
    )
    DELETE = Submit(opcodes.OpBackupRemove, access="instances.export.remove")
