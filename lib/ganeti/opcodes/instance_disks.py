"""Opcodes about the disks of an instance."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from ganeti import constants, ht
from ganeti.opcodes.base import opcode
from ganeti.opcodes.instance import InstanceOpCode, disk_problem

DiskIndex = Annotated[
    int,
    ht.Refinement(
        f"the number of a disk, 0 to {constants.MAX_DISKS - 1}",
        lambda number: 0 <= number < constants.MAX_DISKS,
    ),
]


def _is_recreated(disk: object) -> bool:
    """A disk's number, or that and what it is to have instead."""
    is_number = ht.check_for(ht.NonNegativeInt).fits
    if not isinstance(disk, (list, tuple)) or len(disk) != 2:
        return is_number(disk)
    number, changes = disk
    if not is_number(number) or not isinstance(changes, dict):
        return False
    return disk_problem(changes) is None and changes.get("size", 0) is not None


#: All of one form.
RecreatedDisks = Annotated[
    list[Any],
    ht.Refinement(
        "a list of disks' numbers, or of [number, {parameters}]",
        lambda disks: (
            all(map(_is_recreated, disks)) and len({isinstance(disk, int) for disk in disks}) < 2
        ),
    ),
]


@opcode
class OpInstanceActivateDisks(InstanceOpCode):
    """Make the disks of a stopped instance usable on its primary node.

    The job answers ``[[node, name, path], ...]``.
    """

    ignore_size: bool = False
    wait_for_sync: bool = False


@opcode
class OpInstanceDeactivateDisks(InstanceOpCode):
    """Undo what activate-disks did."""

    force: bool = False


@opcode
class OpInstanceGrowDisk(InstanceOpCode):
    """Enlarge a disk by ``amount`` MiB, or with ``absolute`` to that."""

    disk: DiskIndex
    amount: ht.NonNegativeInt
    absolute: bool = False
    ignore_ipolicy: bool = False
    wait_for_sync: bool = True


@opcode
class OpInstanceRecreateDisks(InstanceOpCode):
    """Make disks that were lost anew, without what was on them."""

    disks: RecreatedDisks = []
    iallocator: ht.NonEmptyString | None = None
    node_uuids: list[ht.NonEmptyString] | None = None
    nodes: list[ht.NonEmptyString] = []


@opcode
class OpInstanceReplaceDisks(InstanceOpCode):
    """Make the mirror of an instance's disks anew, on the same nodes or on another one."""

    mode: Literal[
        "replace_on_primary", "replace_on_secondary", "replace_new_secondary", "replace_auto"
    ]
    disks: list[DiskIndex] = []
    early_release: bool = False
    iallocator: ht.NonEmptyString | None = None
    ignore_ipolicy: bool = False
    remote_node: ht.NonEmptyString | None = None
    remote_node_uuid: ht.NonEmptyString | None = None
