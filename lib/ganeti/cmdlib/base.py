"""Logical units: their life, the base of those about one instance, and checks for most of them.

The processor (``mcpu``) calls ``locks``, takes the locks that it names, and asks again: if the
answer has changed, it starts over. Then it calls ``check``, which changes nothing and raises
``OpPrereqError`` if the work is impossible, and ``execute``, which does the work. If that fails,
the steps registered with ``on_failure`` are undone, the last one first.

Changes of the configuration go into ``self.tx``. Whatever is in it when ``execute`` returns is
committed together with the opcode's result. ``self.tx.commit()`` makes its content durable at
once, for steps that must be on disk before the next one begins.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar

from ganeti import errors, ht, locking, opcodes
from ganeti.config.config import Config, Transaction
from ganeti.constants import AdminState, ErrorCode
from ganeti.jqueue.live import JobContext as JobContext  # units import it from here
from ganeti.locking import BIG_LOCK, Level, Want
from ganeti.node.agents import Nodes
from ganeti.objects import Instance, Node
from ganeti.serializer import JsonObject

OpT = TypeVar("OpT", bound=opcodes.OpCode)


@dataclass(frozen=True)
class FollowUps:
    """A result that submits further jobs: the client sees ``{"jobs": [[true, id], ...]}``.

    The jobs are accepted in the same commit that stores the result.
    """

    jobs: Sequence[Sequence[opcodes.OpCode]]
    others: JsonObject = field(default_factory=dict)  # further members of the result


@dataclass(frozen=True)
class Environment:
    """The configuration and the nodes that logical units work with."""

    config: Config
    nodes: Nodes


class LogicalUnit(Generic[OpT]):
    """Base of all logical units; each overrides the steps that it needs."""

    #: Whether running the opcode again after a crash does no harm. True for work whose only
    #: effect is the transaction that is committed with its result.
    RERUN_SAFE: ClassVar[bool] = False
    #: Whether ``execute`` asks ``run.cancelled()`` at points where it can stop.
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
        """Return the locks needed, in addition to the cluster's; must not block."""
        return ()

    def check(self) -> None:
        """Raise ``OpPrereqError`` if the work is impossible; called with the locks held."""

    def dry_run_result(self) -> object:
        """Return the result of a dry run, which ends after ``check``, as a JSON value."""
        return None

    def execute(self, run: JobContext) -> object:
        """Do the work; return the opcode's result, a JSON value, or ``FollowUps``."""
        raise NotImplementedError

    def effective_op(self) -> OpT:
        """Return the opcode with what ``check`` found out (full names), as the job shows it."""
        return self.op

    def on_failure(self, undo: Callable[[], object]) -> None:
        """Call ``undo`` if ``execute`` fails after this point."""
        self._undo.append(undo)

    def undo_steps(self) -> list[Callable[[], object]]:
        """Return the registered steps, the last one first."""
        return self._undo[::-1]

    # -- names ---------------------------------------------------------------

    def instance_lock(self, name: str) -> Want:
        """Return the exclusive lock of an instance, by its full name if that is known.

        If the instance is just being created, this is the lock that its creation holds; once
        that is free, the name is looked up again.
        """
        found = self.config.find_instance(name)
        if found:
            return locking.exclusive(Level.INSTANCE, found.name)
        stored = ht.stored_name(name)
        return locking.exclusive(
            Level.INSTANCE, self.config.reservations.expected_name(stored) or stored
        )


def big_lock(exclusive: bool = False) -> Want:
    """Return the cluster's own lock; only changes that affect everything take it exclusively."""
    return Want(Level.CLUSTER, BIG_LOCK, exclusive)


# -- units about one instance -------------------------------------------------------


#: The states in which an instance may be started and stopped.
ONLINE = frozenset({AdminState.UP, AdminState.DOWN})

InstanceOpT = TypeVar("InstanceOpT", bound=opcodes.InstanceOpCode)


class InstanceUnit(LogicalUnit[InstanceOpT]):
    """Base of units about one existing instance, which lock it and look it up under the lock."""

    instance: Instance

    def locks(self) -> Sequence[Want]:
        """Return the lock of the instance."""
        return (self.instance_lock(self.op.instance_name),)

    def check(self) -> None:
        """Look up the instance; if the client gave its uuid, it must have that."""
        self.instance = self.config.instance(self.op.instance_name)
        check_uuid("Instance", self.instance, self.op.instance_uuid)

    def effective_op(self) -> InstanceOpT:
        """Return the opcode with the instance's full name and uuid, once they are known."""
        if not hasattr(self, "instance"):
            return self.op
        return self.op.replace(instance_name=self.instance.name, instance_uuid=self.instance.uuid)

    @property
    def primary(self) -> Node:
        """Return the primary node of the instance."""
        return self.config.node_by_uuid(self.instance.primary_node)

    def is_running(self) -> bool:
        """Return whether the guest runs; raise ``OpPrereqError`` (environment_error) if the
        primary node does not answer."""
        node, name = self.primary, self.instance.name
        try:
            guest = self.nodes.agent(node).guest(name)
        except errors.GenericError as err:
            raise errors.OpPrereqError(
                f"Node '{node.name}' does not say whether '{name}' runs: {err}", ErrorCode.ENVIRON
            ) from err
        return guest is not None and guest.running

    @property
    def members(self) -> list[Node]:
        """Return the nodes of the instance, the primary first."""
        return [self.primary, *map(self.config.node_by_uuid, self.instance.secondary_nodes)]


def check_uuid(kind: str, found: Instance | Node, expected: str | None) -> None:
    """Raise ``OpPrereqError`` if the client expects another uuid than the named object has."""
    if expected is not None and expected != found.uuid:
        raise errors.OpPrereqError(
            f"{kind} '{found.name}' has the UUID {found.uuid}, not {expected}: "
            "it is no longer the one that was meant",
            ErrorCode.NOTUNIQUE,
        )


def check_node_online(node: Node, purpose: str = "") -> None:
    """Raise ``OpPrereqError`` (wrong_state) if a node is offline; ``purpose`` ends the message."""
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
    """Raise ``OpPrereqError`` (wrong_state) if an instance's admin state is not an allowed one."""
    if instance.admin_state not in allowed:
        raise errors.OpPrereqError(
            f"Instance '{instance.name}' is marked to be {instance.admin_state}, {refusal}",
            ErrorCode.STATE,
        )
