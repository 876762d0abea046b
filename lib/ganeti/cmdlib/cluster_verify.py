"""OP_CLUSTER_VERIFY: follow-up jobs that verify the configuration and the groups."""

from __future__ import annotations

from typing import Any

from ganeti import opcodes
from ganeti.cmdlib.base import FollowUps, JobContext, LogicalUnit


class LUClusterVerify(LogicalUnit[opcodes.OpClusterVerify]):
    """Submit the jobs that verify the cluster: one for the configuration, one for each group.

    The jobs for groups depend on the first one, whatever its final status (as in Ganeti 3.0).
    With ``group_name`` only the job for that group is submitted, and an unknown group is an
    error of that job.
    """

    RERUN_SAFE = True

    def execute(self, run: JobContext) -> FollowUps:
        """Return the jobs for configuration and groups, or only the one for the named group."""
        if self.op.group_name is not None:
            return FollowUps([[self._group_op(self.op.group_name)]])
        jobs: list[list[opcodes.OpCode]] = [[opcodes.OpClusterVerifyConfig(**self._options())]]
        for group in self.config.groups():
            jobs.append([self._group_op(group.name, depends=[[-len(jobs), []]])])
        return FollowUps(jobs)

    def _group_op(
        self, name: str, depends: list[list[object]] | None = None
    ) -> opcodes.OpClusterVerifyGroup:
        return opcodes.OpClusterVerifyGroup(
            group_name=name,
            skip_checks=self.op.skip_checks,
            verify_clutter=self.op.verify_clutter,
            depends=depends,
            **self._options(),
        )

    def _options(self) -> dict[str, Any]:
        op = self.op
        return {
            "ignore_errors": op.ignore_errors,
            "error_codes": op.error_codes,
            "verbose": op.verbose,
            "debug_simulate_errors": op.debug_simulate_errors,
            "priority": op.priority,
            "reason": op.reason,
        }
