"""The life of a logical unit: locks, check, execute.

The processor calls ``locks`` (what is needed, from the current configuration),
takes them, asks again and starts over if the answer changed; then ``check``
(may this be done? changes nothing); then ``execute``. When that fails, the
steps registered with ``on_failure`` are undone, last one first.

Changes of the configuration go into ``self.tx``. ``self.tx.commit()`` makes
what is in it durable at once, for steps that must be known before the next one
begins; what is in it when ``execute`` returns is committed together with the
opcode's result.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from ganeti import errors, ht, locking, opcodes
from ganeti.config.config import Config, Transaction
from ganeti.constants import AdminState, ErrorCode
from ganeti.locking import BIG_LOCK, Level, Want
from ganeti.node.agents import Nodes
from ganeti.objects import Instance, Node

OpT = TypeVar("OpT", bound=opcodes.OpCode)


class JobContext(Protocol):
    """What an opcode's execution sees of its job."""

    @property
    def job_id(self) -> int: ...

    def log(self, text: str, kind: str = ...) -> None:
        """Add a line to the job's log."""

    def cancelled(self) -> bool:
        """Was the job told to stop? Ask at points where stopping is safe."""

    def stop_if_cancelled(self) -> None:
        """Raise ``JobCanceled`` if the job was told to stop."""

    def pause(self, seconds: float) -> None:
        """Let time pass, on the job's clock; returns early when the job is told to stop."""


@dataclass(frozen=True)
class FollowUps:
    """A result that submits further jobs: the client sees ``{"jobs": [[true, id], ...]}``.

    The jobs are accepted in the same commit that stores the result.
    """

    jobs: Sequence[Sequence[opcodes.OpCode]]
    others: dict[str, Any] = field(default_factory=dict)  # further keys of the result


@dataclass(frozen=True)
class Environment:
    """What logical units work with."""

    config: Config
    nodes: Nodes


class LogicalUnit(Generic[OpT]):
    """Base of all logical units."""

    #: After a crash in the middle, may the opcode simply be run again? True for
    #: work whose only effect is the transaction committed with its result.
    RERUN_SAFE: ClassVar[bool] = False
    #: Does ``execute`` ask ``run.cancelled()`` at points where it can stop?
    CANCELLABLE: ClassVar[bool] = False

    def __init__(self, op: OpT, environment: Environment, job_id: int) -> None:
        self.op = op
        self.config = environment.config
        self.nodes = environment.nodes
        #: Owner of this job's reservations in the configuration.
        self.job_id = job_id
        self.tx: Transaction = self.config.begin()
        self._undo: list[Callable[[], object]] = []

    def locks(self) -> Sequence[Want]:
        """The locks needed, beside the cluster's own; computed without waiting."""
        return ()

    def check(self) -> None:
        """Raise ``OpPrereqError`` if this cannot be done; locks are held, nothing changes."""

    def dry_run_result(self) -> Any:
        """The answer when only ``check`` was wanted."""
        return None

    def execute(self, run: JobContext) -> Any:
        """Do it; returns the opcode's result (JSON values), or ``FollowUps``."""
        raise NotImplementedError

    def effective_op(self) -> OpT:
        """The opcode with what ``check`` found out (full names): what the job shows."""
        return self.op

    def on_failure(self, undo: Callable[[], object]) -> None:
        """Call ``undo`` if ``execute`` fails after this point."""
        self._undo.append(undo)

    def undo_steps(self) -> list[Callable[[], object]]:
        """What to undo now, last step first."""
        return self._undo[::-1]

    # -- names ---------------------------------------------------------------

    def instance_lock(self, name: str) -> Want:
        """Exclusive lock of an instance, by its full name if it is known.

        The creation of an unknown instance may be under way: then this is the
        lock that the creation holds, and the instance is looked up again later.
        """
        found = self.config.find_instance(name)
        if found:
            return locking.exclusive(Level.INSTANCE, found.name)
        stored = ht.stored_name(name)
        return locking.exclusive(
            Level.INSTANCE, self.config.reservations.expected_name(stored) or stored
        )


def big_lock(exclusive: bool = False) -> Want:
    """The cluster's own lock."""
    return Want(Level.CLUSTER, BIG_LOCK, exclusive)


# -- units about one instance -------------------------------------------------------


#: Neither state forbids starting and stopping.
ONLINE = frozenset({AdminState.UP, AdminState.DOWN})

InstanceOpT = TypeVar("InstanceOpT", bound=opcodes.InstanceOpCode)


class InstanceUnit(LogicalUnit[InstanceOpT]):
    """Work on one instance that exists: locks it alone, and looks it up under the lock."""

    instance: Instance

    def locks(self) -> Sequence[Want]:
        """The instance, alone."""
        return (self.instance_lock(self.op.instance_name),)

    def check(self) -> None:
        """Find the instance; the one that was meant, if the caller gave its uuid."""
        self.instance = self.config.instance(self.op.instance_name)
        check_uuid("Instance", self.instance, self.op.instance_uuid)

    def effective_op(self) -> InstanceOpT:
        """With the full name and the uuid, once they are known."""
        if not hasattr(self, "instance"):
            return self.op
        return self.op.replace(instance_name=self.instance.name, instance_uuid=self.instance.uuid)

    @property
    def primary(self) -> Node:
        """The instance's primary node."""
        return self.config.node_by_uuid(self.instance.primary_node)


def check_uuid(kind: str, found: Instance | Node, expected: str | None) -> None:
    """``OpPrereqError`` when the caller gave a uuid and the object of the name has another."""
    if expected is not None and expected != found.uuid:
        raise errors.OpPrereqError(
            f"{kind} '{found.name}' has the UUID {found.uuid}, not {expected}: "
            "it is no longer the one that was meant",
            ErrorCode.NOTUNIQUE,
        )


def check_node_online(node: Node, purpose: str = "") -> None:
    """Raise ``OpPrereqError`` (wrong_state) when nothing can be done on a node."""
    if node.offline:
        text = f"Node '{node.name}' is offline"
        raise errors.OpPrereqError(f"{text}, {purpose}" if purpose else text, ErrorCode.STATE)


def check_node_usable(node: Node) -> None:
    """Raise ``OpPrereqError`` (wrong_state) unless a node takes new instances."""
    check_node_online(node)
    if node.drained:
        raise errors.OpPrereqError(f"Node '{node.name}' is drained", ErrorCode.STATE)
    if not node.vm_capable:
        raise errors.OpPrereqError(
            f"Node '{node.name}' does not take instances (vm_capable)", ErrorCode.STATE
        )


def check_admin_state(instance: Instance, allowed: Collection[str], refusal: str) -> None:
    """Raise ``OpPrereqError`` (wrong_state) unless an instance is meant to be in such a state."""
    if instance.admin_state not in allowed:
        raise errors.OpPrereqError(
            f"Instance '{instance.name}' is marked to be {instance.admin_state}, {refusal}",
            ErrorCode.STATE,
        )
