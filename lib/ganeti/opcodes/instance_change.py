"""Opcodes that change an instance's parameters, its name or its nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from ganeti import constants, ht, params
from ganeti.opcodes.base import Array, Object, OpCode, opcode
from ganeti.opcodes.instance import (
    DiskTemplate,
    FileDriver,
    InstanceOpCode,
    OsParamChanges,
    disk_problem,
    nic_problem,
    parameters,
)

#: Changes of a disk or network card; the second line has those that the form of 2.0 names, where
#: a bare number means "modify". Tuples, not sets: the value that is looked up can be a list.
_ACTIONS = ("add", "attach", "detach", "modify", "remove")
_OLD_ACTIONS = ("add", "attach", "detach", "remove")


def _is_index(value: object) -> bool:
    return isinstance(value, str) or ht.check_for(int).fits(value)


def _is_disk(parameters: Object) -> bool:
    """Return whether these are parameters of a disk: any key, with a string or an integer."""
    return disk_problem(parameters) is None and all(
        value != "" if isinstance(value, str) else ht.check_for(int).fits(value)
        for value in parameters.values()
    )


def _is_change(entry: object, fits: Callable[[Object], bool]) -> bool:
    """Return whether this is ``[action, number or name, {parameters}]``.

    The form of 2.0 is ``[action or number, {parameters}]``.
    """
    if not isinstance(entry, (list, tuple)) or len(entry) not in (2, 3):
        return False
    *head, parameters = entry
    if not isinstance(parameters, dict) or not fits(parameters):
        return False
    if len(head) == 2:
        return head[0] in _ACTIONS and _is_index(head[1])
    return ht.check_for(ht.NonNegativeInt).fits(head[0]) or head[0] in _OLD_ACTIONS


def _changes(what: str, fits: Callable[[Object], bool]) -> ht.Refinement:
    return ht.Refinement(
        f"a list of [action, number or name, {{parameters}}] of {what}, the action one of "
        + ", ".join(_ACTIONS),
        lambda entries: (
            all(_is_change(entry, fits) for entry in entries)
            and len({len(entry) for entry in entries}) < 2
        ),
    )


DiskChanges = Annotated[
    Array, _changes('disks, with strings or numbers, the size in MiB or as "1G"', _is_disk)
]
NicChanges = Annotated[
    Array,
    _changes(
        "network cards, with strings for keys among " + ", ".join(sorted(constants.NIC_KEYS)),
        lambda nic: nic_problem(nic) is None,
    ),
]

BeParamChanges = Annotated[
    Object, parameters("backend", params.beparams_problem, params.AT_BACKEND_CHANGE)
]
HvParamChanges = Annotated[
    Object, parameters("hypervisor", params.hvparams_problem, params.AT_CHANGE)
]


@opcode
class OpInstanceSetParams(InstanceOpCode):
    """Change an instance's parameters, disks and network cards.

    The result is an array of ``[parameter, new value]``.
    """

    SECRET = frozenset({"osparams_private"})

    beparams: BeParamChanges = {}
    conflicts_check: bool = True
    disk_template: DiskTemplate | None = None
    disks: DiskChanges = []
    ext_params: Object = {}
    file_driver: FileDriver | None = None
    file_storage_dir: ht.NonEmptyString | None = None
    force: bool = False
    force_variant: bool = False
    hotplug: bool = True
    hotplug_if_possible: bool = False
    hvparams: HvParamChanges = {}
    iallocator: ht.NonEmptyString | None = None
    ignore_ipolicy: bool = False
    instance_communication: bool | None = None
    nics: NicChanges = []
    offline: bool | None = None
    os_name: ht.NonEmptyString | None = None
    osparams: OsParamChanges = {}
    osparams_private: OsParamChanges | None = None
    pnode: ht.NonEmptyString | None = None
    pnode_uuid: ht.NonEmptyString | None = None
    remote_node: ht.NonEmptyString | None = None
    remote_node_uuid: ht.NonEmptyString | None = None
    runtime_mem: ht.PositiveInt | None = None
    wait_for_sync: bool = True


@opcode
class OpInstanceRename(OpCode):
    """Rename a stopped instance; the result is its new full name."""

    instance_name: ht.NonEmptyString
    new_name: ht.NonEmptyString
    instance_uuid: ht.NonEmptyString | None = None
    ip_check: bool = False
    name_check: bool = False


@opcode
class OpInstanceMigrate(InstanceOpCode):
    """Move a running instance to another node without stopping it."""

    allow_failover: bool = False
    allow_runtime_changes: bool = True
    cleanup: bool = False
    iallocator: ht.NonEmptyString | None = None
    ignore_hvversions: bool = False
    ignore_ipolicy: bool = False
    live: bool | None = None
    mode: ht.MigrationMode | None = None
    target_node: ht.NonEmptyString | None = None
    target_node_uuid: ht.NonEmptyString | None = None


@opcode
class OpInstanceFailover(InstanceOpCode):
    """Stop an instance, and start it on another node that has its disks."""

    cleanup: bool = False
    iallocator: ht.NonEmptyString | None = None
    ignore_consistency: bool = False
    ignore_ipolicy: bool = False
    shutdown_timeout: ht.NonNegativeInt = 120
    target_node: ht.NonEmptyString | None = None
    target_node_uuid: ht.NonEmptyString | None = None


@opcode
class OpInstanceMove(InstanceOpCode):
    """Copy a stopped instance's disks to another node, which becomes its primary node."""

    target_node: ht.NonEmptyString
    compress: str = "none"
    ignore_consistency: bool = False
    ignore_ipolicy: bool = False
    shutdown_timeout: ht.NonNegativeInt = 120
    target_node_uuid: ht.NonEmptyString | None = None


@opcode
class OpInstanceChangeGroup(InstanceOpCode):
    """Move an instance to nodes of another group."""

    early_release: bool = False
    iallocator: ht.NonEmptyString | None = None
    target_groups: list[ht.NonEmptyString] | None = None


@opcode
class OpInstanceMultiAlloc(OpCode):
    """Create many instances, on nodes that an allocator chooses for all of them together.

    The result is ``{"jobs", "allocatable", "failed"}``: the jobs that create instances, the names
    of those instances, and the names of instances that no node has room for.
    """

    instances: Array = []
    iallocator: ht.NonEmptyString | None = None
    opportunistic_locking: bool = False


@opcode
class OpInstanceConsole(InstanceOpCode):
    """Report how to reach an instance's console."""
