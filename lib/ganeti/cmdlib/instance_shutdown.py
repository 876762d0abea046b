"""OP_INSTANCE_SHUTDOWN: an instance marked down and its guest stopped."""

from __future__ import annotations

from ganeti import errors, opcodes
from ganeti.cmdlib.base import (
    ONLINE,
    InstanceUnit,
    JobContext,
    check_admin_state,
    check_node_online,
)
from ganeti.constants import AdminState, ErrorCode
from ganeti.objects import copy_of


class LUInstanceShutdown(InstanceUnit[opcodes.OpInstanceShutdown]):
    """Mark an instance down and stop it.

    Stopping a stopped instance succeeds. With ``no_remember`` the mark is unchanged; with
    ``force`` an instance that is marked offline is stopped, too.
    """

    def check(self) -> None:
        """Check that the instance may be stopped and that its node is online."""
        super().check()
        if not self.op.force:
            check_admin_state(self.instance, ONLINE, "cannot shut it down")
        self._mark_only = self.primary.offline and self.op.ignore_offline_nodes
        if not self._mark_only:
            check_node_online(self.primary, f"cannot shut down '{self.instance.name}' on it")
        if self.op.admin_state_source == "user":
            # Our hypervisors cannot distinguish a guest that its user shut down from one that
            # crashed, so enabled_user_shutdown is always off.
            raise errors.OpPrereqError(
                f"Instance '{self.instance.name}' was not shut down by its user", ErrorCode.STATE
            )

    def execute(self, run: JobContext) -> None:
        """Stop the guest and mark the instance down; the result is null."""
        changed = copy_of(self.instance)
        # An instance that is marked offline stays offline: shutdown must not bring it back.
        if not self.op.no_remember and self.instance.admin_state in ONLINE:
            changed.admin_state = AdminState.DOWN
            changed.admin_state_source = "admin"
        if self._mark_only:
            run.log(f"Node '{self.primary.name}' is offline; only marking the instance down")
        else:
            self.nodes.agent(self.primary).stop(self.instance, timeout=self.op.timeout, force=False)
            changed.disks_active = False
        if changed != self.instance:
            self.tx.save(changed)
