"""Opcodes about node groups."""

from __future__ import annotations

from typing import Any, Literal

from ganeti import ht
from ganeti.opcodes.base import OpCode, opcode
from ganeti.opcodes.instance import DiskParams
from ganeti.opcodes.node import NdParamChanges, NdParams

#: Whether an allocator may choose a group's nodes: yes, if nothing else is left, no.
AllocPolicy = Literal["preferred", "last_resort", "unallocable"]


@opcode
class OpGroupAdd(OpCode):
    """Create a group, without nodes."""

    SUMMARY_FIELD = "group_name"

    group_name: ht.NonEmptyString
    alloc_policy: AllocPolicy | None = None
    disk_state: dict[str, Any] | None = None
    diskparams: DiskParams | None = None
    hv_state: dict[str, Any] | None = None
    ipolicy: dict[str, Any] | None = None
    ndparams: NdParams | None = None


@opcode
class OpGroupSetParams(OpCode):
    """Change a group's parameters. The job answers ``[[what, new value], ...]``."""

    SUMMARY_FIELD = "group_name"

    group_name: ht.NonEmptyString
    alloc_policy: AllocPolicy | None = None
    disk_state: dict[str, Any] | None = None
    diskparams: DiskParams | None = None
    hv_state: dict[str, Any] | None = None
    ipolicy: dict[str, Any] | None = None
    ndparams: NdParamChanges | None = None


@opcode
class OpGroupRemove(OpCode):
    """Remove a group without nodes, unless it is the last one."""

    SUMMARY_FIELD = "group_name"

    group_name: ht.NonEmptyString


@opcode
class OpGroupRename(OpCode):
    """Give a group another name. The job answers it."""

    group_name: ht.NonEmptyString
    new_name: ht.NonEmptyString


@opcode
class OpGroupAssignNodes(OpCode):
    """Put nodes into a group; with ``force`` also where that splits mirrored instances."""

    SUMMARY_FIELD = "group_name"

    group_name: ht.NonEmptyString
    nodes: list[ht.NonEmptyString]
    force: bool = False
    node_uuids: list[ht.NonEmptyString] | None = None


@opcode
class OpGroupEvacuate(OpCode):
    """Move all instances of a group to other groups."""

    SUMMARY_FIELD = "group_name"

    group_name: ht.NonEmptyString
    early_release: bool = False
    force_failover: bool = False
    iallocator: ht.NonEmptyString | None = None
    sequential: bool = False
    target_groups: list[ht.NonEmptyString] | None = None


@opcode
class OpGroupVerifyDisks(OpCode):
    """Find disks of a group's instances that should be usable and are not."""

    SUMMARY_FIELD = "group_name"

    group_name: ht.NonEmptyString
