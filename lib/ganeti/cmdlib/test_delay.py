"""OP_TEST_DELAY: a job that only lets time pass."""

from __future__ import annotations

from collections.abc import Sequence

from ganeti import errors, locking, opcodes
from ganeti.cmdlib.base import JobContext, LogicalUnit, check_node_online
from ganeti.constants import ErrorCode
from ganeti.locking import Level, Want
from ganeti.objects import Node


class LUTestDelay(LogicalUnit[opcodes.OpTestDelay]):
    """Let time pass, while holding the locks of some nodes unless ``no_locks`` is set.

    ``repeat`` is the number of delays; 0 means one, as in Ganeti 3.0.
    """

    CANCELLABLE = True

    def locks(self) -> Sequence[Want]:
        """Return exclusive locks of the nodes; none with ``no_locks``."""
        if self.op.no_locks:
            return ()
        return [locking.exclusive(Level.NODE, node.name) for node in self._nodes()]

    def check(self) -> None:
        """Check that the duration is positive and that the nodes are online."""
        if self.op.duration <= 0:
            raise errors.OpPrereqError("The duration must be greater than zero", ErrorCode.INVAL)
        for name in self.op.on_nodes:
            check_node_online(self.config.node(name))

    def effective_op(self) -> opcodes.OpTestDelay:
        """Return the opcode with the uuids of its nodes."""
        if not self.op.on_nodes:
            return self.op
        return self.op.replace(
            on_node_uuids=[self.config.node(name).uuid for name in self.op.on_nodes]
        )

    def execute(self, run: JobContext) -> None:
        """Pause as often as asked for; the result is null. Cancelling ends a pause at once."""
        count = max(1, self.op.repeat)
        for number in range(count):
            if self.op.repeat:
                run.log(f"Delay {number + 1} of {count}")
            run.stop_if_cancelled()
            self._ask_nodes()
            run.pause(self.op.duration)
            run.stop_if_cancelled()

    def _ask_nodes(self) -> None:
        """Raise ``OpExecError`` if a node does not answer: in Ganeti the nodes do the waiting."""
        for name in self.op.on_nodes:
            node = self.config.node(name)
            try:
                self.nodes.agent(node).check_reachable()
            except errors.GenericError as err:
                raise errors.OpExecError(f"Node '{node.name}' does not answer: {err}") from err

    def _nodes(self) -> list[Node]:
        found = [self.config.find_node(name) for name in self.op.on_nodes]
        nodes = [node for node in found if node is not None]
        return [*nodes, self.config.master] if self.op.on_master else nodes
