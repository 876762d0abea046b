"""OP_TEST_DELAY."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ganeti import errors, locking, opcodes
from ganeti.cmdlib.base import JobContext, LogicalUnit, check_node_online
from ganeti.constants import ErrorCode
from ganeti.locking import Level, Want
from ganeti.objects import Node


class LUTestDelay(LogicalUnit[opcodes.OpTestDelay]):
    """Let time pass, alone on some nodes if locks are wanted.

    ``repeat`` counts the delays, and 0 is one as well: so does Ganeti 3.0.
    """

    CANCELLABLE = True

    def locks(self) -> Sequence[Want]:
        """The nodes, each alone, unless ``no_locks`` says that none is wanted."""
        if self.op.no_locks:
            return ()
        return [locking.exclusive(Level.NODE, node.name) for node in self._nodes()]

    def check(self) -> None:
        """The duration is one; the nodes are there and answer."""
        if self.op.duration <= 0:
            raise errors.OpPrereqError("The duration must be greater than zero", ErrorCode.INVAL)
        for name in self.op.on_nodes:
            check_node_online(self.config.node(name))

    def effective_op(self) -> opcodes.OpTestDelay:
        """With the uuids of the nodes."""
        if not self.op.on_nodes:
            return self.op
        return self.op.replace(
            on_node_uuids=[self.config.node(name).uuid for name in self.op.on_nodes]
        )

    def execute(self, run: JobContext) -> Any:
        """One pause each; cancelling the job ends it at once."""
        count = max(1, self.op.repeat)
        for number in range(count):
            if self.op.repeat:
                run.log(f"Delay {number + 1} of {count}")
            run.stop_if_cancelled()
            self._ask_nodes()
            run.pause(self.op.duration)
            run.stop_if_cancelled()
        return None

    def _ask_nodes(self) -> None:
        """Raise ``OpExecError`` if a node does not answer: time passes on the nodes, too."""
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
