"""OP_INSTANCE_REBOOT: a soft, hard or full reboot."""

from __future__ import annotations

from ganeti import opcodes
from ganeti.cmdlib import allocation
from ganeti.cmdlib.base import (
    ONLINE,
    InstanceUnit,
    JobContext,
    check_admin_state,
    check_node_online,
)
from ganeti.constants import AdminState
from ganeti.objects import copy_of


class LUInstanceReboot(InstanceUnit[opcodes.OpInstanceReboot]):
    """Reboot an instance; a stopped one is started and marked up (as in Ganeti 3.0).

    A soft reboot asks the guest, a hard one resets it, a full one stops and starts it.
    """

    def check(self) -> None:
        """Check states of instance and node; reserve memory for an instance that is stopped."""
        super().check()
        check_admin_state(self.instance, ONLINE, "cannot reboot it")
        check_node_online(self.primary, f"cannot reboot '{self.instance.name}' on it")
        self._running = self.is_running()
        if not self._running:
            allocation.reserve_for_start(self.config, self.nodes, self.job_id, self.instance)

    def execute(self, run: JobContext) -> None:
        """Reboot or start the guest and mark the instance up; the result is null."""
        agent = self.nodes.agent(self.primary)
        if self._running and self.op.reboot_type != "full":
            agent.reboot(self.instance, self.op.reboot_type)
        else:
            if self._running:
                agent.stop(self.instance, timeout=self.op.shutdown_timeout, force=False)
            else:
                run.log("The instance was not running; starting it")
                self.on_failure(lambda: agent.stop(self.instance, timeout=0, force=True))
            agent.start(self.instance)
        changed = copy_of(self.instance)
        changed.admin_state = AdminState.UP
        changed.admin_state_source = "admin"
        changed.disks_active = True
        if changed != self.instance:
            self.tx.save(changed)
