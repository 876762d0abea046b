"""Opcodes about node groups: sets of nodes with a policy and parameters."""

from __future__ import annotations

from typing import Literal

from ganeti import ht
from ganeti.opcodes.base import Object, OpCode, opcode
from ganeti.opcodes.instance import DiskParams
from ganeti.opcodes.node import NdParamChanges, NdParams

#: May an allocator choose nodes of the group: yes, only as a last resort, or never.
AllocPolicy = Literal["preferred", "last_resort", "unallocable"]


@opcode
class OpGroupAdd(OpCode):
    """Create a node group without nodes; parameters that are not given are the cluster's."""

    SUMMARY_FIELD = "group_name"

    group_name: ht.NonEmptyString
    alloc_policy: AllocPolicy | None = None
    disk_state: Object | None = None
    diskparams: DiskParams | None = None
    hv_state: Object | None = None
    ipolicy: Object | None = None
    ndparams: NdParams | None = None


@opcode
class OpGroupSetParams(OpCode):
    """Change a group's parameters; the result is an array of ``[parameter, new value]``."""

    SUMMARY_FIELD = "group_name"

    group_name: ht.NonEmptyString
    alloc_policy: AllocPolicy | None = None
    disk_state: Object | None = None
    diskparams: DiskParams | None = None
    hv_state: Object | None = None
    ipolicy: Object | None = None
    ndparams: NdParamChanges | None = None


@opcode
class OpGroupRemove(OpCode):
    """Remove a group, which must have no nodes and not be the last one."""

    SUMMARY_FIELD = "group_name"

    group_name: ht.NonEmptyString


@opcode
class OpGroupRename(OpCode):
    """Rename a group; the result is its new name."""

    group_name: ht.NonEmptyString
    new_name: ht.NonEmptyString


@opcode
class OpGroupAssignNodes(OpCode):
    """Assign nodes to a group; ``force`` allows that to split mirrored instances."""

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
    """Find disks of a group's instances that should be usable but are not."""

    SUMMARY_FIELD = "group_name"

    group_name: ht.NonEmptyString
