"""OP_INSTANCE_REMOVE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ganeti import errors, opcodes
from ganeti.cmdlib.base import InstanceUnit, JobContext, check_node_online
from ganeti.objects import Node


class LUInstanceRemove(InstanceUnit[opcodes.OpInstanceRemove]):
    """Stop an instance, remove its disks, and forget it.

    The record is removed last, with the result: if the master dies in the middle,
    its next start runs the job again. Stopping a stopped guest and removing missing
    disks do no harm, so that is safe.
    """

    RERUN_SAFE = True

    def check(self) -> None:
        """Its nodes must answer, unless failures are to be ignored."""
        super().check()
        if not self.op.ignore_failures:
            for node in self._nodes():
                check_node_online(node, f"cannot remove '{self.instance.name}' from it")

    def execute(self, run: JobContext) -> Any:
        """Null."""
        agent = self.nodes.agent(self.primary)
        self._attempt(
            run,
            "stop the guest",
            lambda: agent.stop(self.instance, timeout=self.op.shutdown_timeout, force=False),
        )
        self._attempt(run, "remove the disks", lambda: agent.remove_disks(self.instance))
        self.tx.remove(self.instance)
        return None

    def _nodes(self) -> list[Node]:
        return [
            self.config.node_by_uuid(uuid)
            for uuid in (self.instance.primary_node, *self.instance.secondary_nodes)
        ]

    def _attempt(self, run: JobContext, what: str, step: Callable[[], object]) -> None:
        """Do a step; its failure is only a line in the log when failures are ignored."""
        try:
            step()
        except errors.GenericError as err:
            if not self.op.ignore_failures:
                raise errors.OpExecError(
                    f"Could not {what} of '{self.instance.name}': {err}"
                ) from err
            run.log(f"Could not {what}, going on as told: {err}")
