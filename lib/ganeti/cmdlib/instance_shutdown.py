"""OP_INSTANCE_SHUTDOWN."""

from __future__ import annotations

from typing import Any

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

#: Who wanted an instance down: the administrator, or its user from inside.
SOURCE_ADMIN = "admin"
SOURCE_USER = "user"


class LUInstanceShutdown(InstanceUnit[opcodes.OpInstanceShutdown]):
    """Mark an instance down and stop it.

    Stopping a stopped instance succeeds; ``no_remember`` leaves the mark
    alone, ``force`` stops also one that is marked offline.
    """

    def check(self) -> None:
        """The node answers, and the instance is one that may be stopped."""
        super().check()
        if not self.op.force:
            check_admin_state(self.instance, ONLINE, "cannot shut it down")
        self._mark_only = self.primary.offline and self.op.ignore_offline_nodes
        if not self._mark_only:
            check_node_online(self.primary, f"cannot shut down '{self.instance.name}' on it")
        if self.op.admin_state_source == SOURCE_USER:
            # The hypervisors here do not tell a guest that its user shut down from one that
            # crashed; clusters of ours have enabled_user_shutdown off for that reason.
            raise errors.OpPrereqError(
                f"Instance '{self.instance.name}' was not shut down by its user", ErrorCode.STATE
            )

    def execute(self, run: JobContext) -> Any:
        """Null."""
        changed = copy_of(self.instance)
        # One that is marked offline stays so: being stopped does not bring it back.
        if not self.op.no_remember and self.instance.admin_state in ONLINE:
            changed.admin_state = AdminState.DOWN
            changed.admin_state_source = SOURCE_ADMIN
        if self._mark_only:
            run.log(f"Node '{self.primary.name}' is offline: only marked the instance down")
        else:
            self.nodes.agent(self.primary).stop(self.instance, timeout=self.op.timeout, force=False)
            changed.disks_active = False
        if changed != self.instance:
            self.tx.save(changed)
        return None
