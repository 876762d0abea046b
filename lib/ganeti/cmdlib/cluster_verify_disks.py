"""OP_CLUSTER_VERIFY_DISKS."""

from __future__ import annotations

from ganeti import opcodes
from ganeti.cmdlib.base import FollowUps, JobContext, LogicalUnit


class LUClusterVerifyDisks(LogicalUnit[opcodes.OpClusterVerifyDisks]):
    """Submit the jobs that look for lost disks: one a group, or for the group that is named."""

    RERUN_SAFE = True

    def check(self) -> None:
        """The group is known, if one is named."""
        self._groups = (
            self.config.groups()
            if self.op.group_name is None
            else [self.config.group(self.op.group_name)]
        )

    def execute(self, run: JobContext) -> FollowUps:
        """The follow-up jobs."""
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
