"""Opcodes that change nothing, for testing a queue."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from ganeti import ht
from ganeti.opcodes.base import Array, Object, OpCode, opcode
from ganeti.opcodes.instance import DiskTemplate, Hypervisor, NicSpecs

#: Seconds. The clocks of some systems overflow at ten times this number.
MAX_DURATION = 1e9

Duration = Annotated[
    float,
    ht.Refinement(
        f"a number of seconds, 0 to {MAX_DURATION:.0f}", lambda number: 0 <= number <= MAX_DURATION
    ),
]


@opcode
class OpTestDelay(OpCode):
    """Wait for ``duration`` seconds, ``repeat`` times if that is not 0."""

    SUMMARY_FIELD = "duration"

    duration: Duration
    on_master: bool = True
    on_nodes: list[ht.NonEmptyString] = []
    on_node_uuids: list[str] = []
    repeat: ht.NonNegativeInt = 0
    interruptible: bool = False
    no_locks: bool = True


@opcode
class OpTestAllocator(OpCode):
    """Run an allocator without using its answer."""

    SUMMARY_FIELD = "iallocator"

    direction: Literal["in", "out"]
    mode: Literal[
        "allocate",
        "relocate",
        "multi-allocate",
        "node-evacuate",
        "change-group",
        "allocate-secondary",
    ]
    name: ht.NonEmptyString
    count: ht.NonNegativeInt = 1
    disk_template: DiskTemplate | None = None
    disks: Array | None = None
    evac_mode: Literal["primary-only", "secondary-only", "all"] | None = None
    group_name: ht.NonEmptyString | None = None
    hypervisor: Hypervisor | None = None
    iallocator: ht.NonEmptyString | None = None
    instances: list[ht.NonEmptyString] | None = None
    memory: ht.NonNegativeInt | None = None
    nics: NicSpecs | None = None
    os: ht.NonEmptyString | None = None
    spindle_use: ht.NonNegativeInt = 1
    tags: list[ht.NonEmptyString] = []
    target_groups: list[ht.NonEmptyString] | None = None
    vcpus: ht.NonNegativeInt | None = None


@opcode
class OpTestJqueue(OpCode):
    """Notify a test of a job queue when the job waits for locks and when it runs."""

    fail: bool = False
    log_messages: list[str] = []
    notify_exec: bool = False
    notify_waitlock: bool = False


@opcode
class OpTestDummy(OpCode):
    """Return ``result`` after logging ``messages``, submitting jobs or failing, as requested."""

    result: Any
    messages: Any
    fail: Any
    submit_jobs: Any


@opcode
class OpTestOsParams(OpCode):
    """Take secret OS parameters, to test that no job shows them."""

    SECRET = frozenset({"osparams_secret"})

    osparams_secret: Object | None = None
