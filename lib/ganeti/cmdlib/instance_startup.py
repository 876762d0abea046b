"""OP_INSTANCE_STARTUP: an instance marked up and its guest started."""

from __future__ import annotations

from ganeti import opcodes, params
from ganeti.cmdlib import allocation
from ganeti.cmdlib.base import (
    ONLINE,
    InstanceUnit,
    JobContext,
    check_admin_state,
    check_node_online,
)
from ganeti.constants import AdminState
from ganeti.objects import Instance, copy_of


class LUInstanceStartup(InstanceUnit[opcodes.OpInstanceStartup]):
    """Mark an instance up and start it on its primary node.

    Parameters of the opcode hold for this run of the guest only. Starting an instance that
    already runs succeeds. With ``no_remember`` the mark is unchanged.
    """

    def check(self) -> None:
        """Check parameters and states; reserve the memory unless the instance runs."""
        super().check()
        self._started = self._with_parameters()
        check_admin_state(self.instance, ONLINE, "cannot start it")
        self._mark_only = self.primary.offline and self.op.ignore_offline_nodes
        self._running = False
        if self._mark_only:
            return
        check_node_online(self.primary, f"cannot start '{self.instance.name}' on it")
        self._running = self.is_running()
        if not self._running:
            allocation.reserve_for_start(self.config, self.nodes, self.job_id, self._started)

    def execute(self, run: JobContext) -> None:
        """Start the guest and mark the instance up; the result is null."""
        changed = copy_of(self.instance)
        if not self.op.no_remember:
            changed.admin_state = AdminState.UP
            changed.admin_state_source = "admin"
        if self._mark_only:
            run.log(f"Node '{self.primary.name}' is offline; only marking the instance up")
        else:
            changed.disks_active = True
            self._start()
        if changed != self.instance:
            self.tx.save(changed)

    def _start(self) -> None:
        if self._running:
            return
        agent = self.nodes.agent(self.primary)
        self.on_failure(lambda: agent.stop(self._started, timeout=0, force=True))
        agent.start(self._started, paused=self.op.startup_paused)

    def _with_parameters(self) -> Instance:
        """Return the instance, or a copy of it with the parameters that the opcode gives."""
        if not self.op.beparams and not self.op.hvparams:
            return self.instance
        beparams = params.check_beparams(self.op.beparams)
        hvparams = params.check_hvparams(self.instance.hypervisor, self.op.hvparams)
        started = copy_of(self.instance)
        started.beparams = {**started.beparams, **beparams}
        started.hvparams = {**started.hvparams, **hvparams}
        return started
