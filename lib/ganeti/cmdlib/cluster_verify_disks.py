"""OP_CLUSTER_VERIFY_DISKS: follow-up jobs that look for missing disks."""

from __future__ import annotations

from ganeti import opcodes
from ganeti.cmdlib.base import FollowUps, JobContext, LogicalUnit


class LUClusterVerifyDisks(LogicalUnit[opcodes.OpClusterVerifyDisks]):
    """Submit the jobs that look for missing disks: one for each group, or for the named one."""

    RERUN_SAFE = True

    def check(self) -> None:
        """Find the groups; ``OpPrereqError`` if the named one is unknown."""
        if self.op.group_name is None:
            self._groups = self.config.groups()
        else:
            self._groups = [self.config.group(self.op.group_name)]

    def execute(self, run: JobContext) -> FollowUps:
        """Return a job of one OP_GROUP_VERIFY_DISKS for each group."""
        return FollowUps(
            [
                [
                    opcodes.OpGroupVerifyDisks(
                        group_name=group.name, priority=self.op.priority, reason=self.op.reason
                    )
                ]
                for group in self._groups
            ]
        )
