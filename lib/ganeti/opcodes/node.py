"""Opcodes about nodes: their roles, their instances, their storage."""

from __future__ import annotations

from typing import Annotated, Literal

from ganeti import ht, params
from ganeti.opcodes.base import Object, OpCode, opcode
from ganeti.opcodes.instance import parameters

NdParams = Annotated[Object, parameters("node", params.ndparams_problem, ())]
NdParamChanges = Annotated[Object, parameters("node", params.ndparams_problem, params.AT_CHANGE)]

StorageType = Literal[
    "blockdev", "diskless", "ext", "file", "gluster", "lvm-pv", "lvm-vg", "rados", "sharedfile"
]
EvacuationMode = Literal["primary-only", "secondary-only", "all"]


@opcode
class OpNodeAdd(OpCode):
    """Add a machine to the cluster as a node; ``readd`` adds a known node again."""

    SUMMARY_FIELD = "node_name"

    node_name: ht.NonEmptyString
    disk_state: Object | None = None
    group: ht.NonEmptyString | None = None
    hv_state: Object | None = None
    master_capable: bool | None = None
    ndparams: NdParams | None = None
    node_setup: bool = False
    primary_ip: ht.NonEmptyString | None = None
    readd: bool = False
    secondary_ip: ht.NonEmptyString | None = None
    vm_capable: bool | None = None


@opcode
class OpNodeRemove(OpCode):
    """Remove a node, which must have no instances, from the cluster."""

    SUMMARY_FIELD = "node_name"

    node_name: ht.NonEmptyString
    node_uuid: ht.NonEmptyString | None = None


@opcode
class OpNodeSetParams(OpCode):
    """Change a node's role and parameters; the result is an array of ``[parameter, new value]``."""

    SUMMARY_FIELD = "node_name"

    node_name: ht.NonEmptyString
    auto_promote: bool = False
    disk_state: Object | None = None
    drained: bool | None = None
    force: bool = False
    hv_state: Object | None = None
    master_candidate: bool | None = None
    master_capable: bool | None = None
    ndparams: NdParamChanges | None = None
    node_uuid: ht.NonEmptyString | None = None
    offline: bool | None = None
    powered: bool | None = None
    secondary_ip: ht.NonEmptyString | None = None
    vm_capable: bool | None = None


@opcode
class OpNodePowercycle(OpCode):
    """Reset a node at once, without stopping its instances."""

    SUMMARY_FIELD = "node_name"

    node_name: ht.NonEmptyString
    force: bool = False
    node_uuid: ht.NonEmptyString | None = None


@opcode
class OpNodeEvacuate(OpCode):
    """Move instances away from a node, by follow-up jobs that the result names."""

    SUMMARY_FIELD = "node_name"

    node_name: ht.NonEmptyString
    mode: EvacuationMode
    early_release: bool = False
    iallocator: ht.NonEmptyString | None = None
    ignore_soft_errors: bool | None = None
    node_uuid: ht.NonEmptyString | None = None
    remote_node: ht.NonEmptyString | None = None
    remote_node_uuid: ht.NonEmptyString | None = None


@opcode
class OpNodeMigrate(OpCode):
    """Migrate all instances that run on a node, by follow-up jobs that the result names."""

    SUMMARY_FIELD = "node_name"

    node_name: ht.NonEmptyString
    allow_runtime_changes: bool = True
    iallocator: ht.NonEmptyString | None = None
    ignore_ipolicy: bool = False
    live: bool | None = None
    mode: ht.MigrationMode | None = None
    node_uuid: ht.NonEmptyString | None = None
    target_node: ht.NonEmptyString | None = None
    target_node_uuid: ht.NonEmptyString | None = None


@opcode
class OpNodeQueryvols(OpCode):
    """List the logical volumes of nodes: a row for each, with the requested columns."""

    output_fields: list[ht.NonEmptyString]
    nodes: list[ht.NonEmptyString] = []


@opcode
class OpNodeQueryStorage(OpCode):
    """List the storage units of nodes: a row for each, with the requested columns."""

    output_fields: list[ht.NonEmptyString]
    name: ht.NonEmptyString | None = None
    nodes: list[ht.NonEmptyString] = []
    storage_type: StorageType | None = None


@opcode
class OpNodeModifyStorage(OpCode):
    """Change a storage unit of a node."""

    SUMMARY_FIELD = "node_name"

    node_name: ht.NonEmptyString
    storage_type: StorageType
    changes: Object
    name: ht.NonEmptyString | None = None
    node_uuid: ht.NonEmptyString | None = None


@opcode
class OpRepairNodeStorage(OpCode):
    """Repair a storage unit of a node."""

    SUMMARY_FIELD = "node_name"

    node_name: ht.NonEmptyString
    storage_type: StorageType
    ignore_consistency: bool = False
    name: ht.NonEmptyString | None = None
    node_uuid: ht.NonEmptyString | None = None


@opcode
class OpOobCommand(OpCode):
    """Control the power of nodes by the out-of-band program of the cluster."""

    command: Literal["health", "power-cycle", "power-off", "power-on", "power-status"]
    ignore_status: bool = False
    node_names: list[ht.NonEmptyString] = []
    node_uuids: list[ht.NonEmptyString] | None = None
    power_delay: ht.NonNegativeFloat = 2.0
    timeout: int = 60


@opcode
class OpRestrictedCommand(OpCode):
    """Run one of the restricted commands that are installed on the nodes."""

    command: ht.NonEmptyString
    nodes: list[ht.NonEmptyString]
    node_uuids: list[ht.NonEmptyString] | None = None
    use_locking: bool = False
