"""OP_INSTANCE_REMOVE: the end of an instance, with its guest and disks."""

from __future__ import annotations

from collections.abc import Callable

from ganeti import errors, opcodes
from ganeti.cmdlib.base import InstanceUnit, JobContext, check_node_online


class LUInstanceRemove(InstanceUnit[opcodes.OpInstanceRemove]):
    """Stop an instance, then remove its disks and its record.

    The record is removed last, together with the result. If the master dies before, its next
    start runs the job again, which is safe: stopping a stopped guest and removing missing
    disks succeed.
    """

    RERUN_SAFE = True

    def check(self) -> None:
        """Check that no node of the instance is offline, unless failures are ignored."""
        super().check()
        if not self.op.ignore_failures:
            for node in self.members:
                check_node_online(node, f"cannot remove '{self.instance.name}' from it")

    def execute(self, run: JobContext) -> None:
        """Stop the guest and remove disks and record; the result is null."""
        agent = self.nodes.agent(self.primary)
        self._attempt(
            run,
            "stop the guest",
            lambda: agent.stop(self.instance, timeout=self.op.shutdown_timeout, force=False),
        )
        self._attempt(run, "remove the disks", lambda: agent.remove_disks(self.instance))
        self.tx.remove(self.instance)

    def _attempt(self, run: JobContext, what: str, step: Callable[[], object]) -> None:
        """Do a step; log its failure if ``ignore_failures`` is set, else raise ``OpExecError``."""
        try:
            step()
        except errors.GenericError as err:
            if not self.op.ignore_failures:
                raise errors.OpExecError(
                    f"Could not {what} of '{self.instance.name}': {err}"
                ) from err
            run.log(f"Could not {what}, continuing (ignore_failures): {err}")
