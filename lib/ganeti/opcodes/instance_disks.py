"""Opcodes about the disks of an instance."""

from __future__ import annotations

from typing import Annotated, Literal

from ganeti import constants, ht
from ganeti.opcodes.base import Array, opcode
from ganeti.opcodes.instance import InstanceOpCode, disk_problem

DiskIndex = Annotated[
    int,
    ht.Refinement(
        f"the number of a disk, 0 to {constants.MAX_DISKS - 1}",
        lambda number: 0 <= number < constants.MAX_DISKS,
    ),
]


def _is_recreated(disk: object) -> bool:
    """Return whether this is a disk's number, or ``[number, {new parameters}]``."""
    is_number = ht.check_for(ht.NonNegativeInt).fits
    if not isinstance(disk, (list, tuple)) or len(disk) != 2:
        return is_number(disk)
    number, changes = disk
    if not is_number(number) or not isinstance(changes, dict):
        return False
    return disk_problem(changes) is None and changes.get("size", 0) is not None


#: Numbers and pairs cannot be mixed.
RecreatedDisks = Annotated[
    Array,
    ht.Refinement(
        "a list of the numbers of disks, or of [number, {parameters}]",
        lambda disks: (
            all(map(_is_recreated, disks)) and len({isinstance(disk, int) for disk in disks}) < 2
        ),
    ),
]


@opcode
class OpInstanceActivateDisks(InstanceOpCode):
    """Make the disks of a stopped instance usable on its primary node.

    The result is an array of ``[node, name, path]``, one for each disk.
    """

    ignore_size: bool = False
    wait_for_sync: bool = False


@opcode
class OpInstanceDeactivateDisks(InstanceOpCode):
    """Release the disks that were activated on the nodes of a stopped instance."""

    force: bool = False


@opcode
class OpInstanceGrowDisk(InstanceOpCode):
    """Enlarge a disk by ``amount`` MiB, or to ``amount`` MiB if ``absolute`` is true."""

    disk: DiskIndex
    amount: ht.NonNegativeInt
    absolute: bool = False
    ignore_ipolicy: bool = False
    wait_for_sync: bool = True


@opcode
class OpInstanceRecreateDisks(InstanceOpCode):
    """Create lost disks again, with undefined contents."""

    disks: RecreatedDisks = []
    iallocator: ht.NonEmptyString | None = None
    node_uuids: list[ht.NonEmptyString] | None = None
    nodes: list[ht.NonEmptyString] = []


@opcode
class OpInstanceReplaceDisks(InstanceOpCode):
    """Replace the mirrors of an instance's disks, on the same nodes or on another one."""

    mode: Literal[
        "replace_on_primary", "replace_on_secondary", "replace_new_secondary", "replace_auto"
    ]
    disks: list[DiskIndex] = []
    early_release: bool = False
    iallocator: ht.NonEmptyString | None = None
    ignore_ipolicy: bool = False
    remote_node: ht.NonEmptyString | None = None
    remote_node_uuid: ht.NonEmptyString | None = None
