"""OP_GROUP_VERIFY_DISKS."""

from __future__ import annotations

from typing import Any

from ganeti import errors, opcodes
from ganeti.cmdlib.base import JobContext, LogicalUnit
from ganeti.cmdlib.common import missing_disks


class LUGroupVerifyDisks(LogicalUnit[opcodes.OpGroupVerifyDisks]):
    """Look for disks of a group's instances that are lost.

    None needs to be activated here: whatever disk is there can be used.
    """

    RERUN_SAFE = True

    def check(self) -> None:
        """The group is known."""
        self._group = self.config.group(self.op.group_name)

    def execute(self, run: JobContext) -> Any:
        """``[{node: what is wrong with it}, [instances whose disks need to be activated],
        {instance: [[node, path], ...]}]``, as Ganeti 3.0 answers."""
        broken: dict[str, str] = {}
        lost: dict[str, list[list[str]]] = {}
        for node in self.config.group_nodes(self._group.uuid):
            if node.offline:
                continue
            try:
                self.nodes.agent(node).resources()
            except errors.GenericError as err:
                broken[node.name] = str(err)
                continue
            for instance in self.config.primary_instances(node.uuid):
                paths = missing_disks(self.nodes, node, instance)
                if paths:
                    lost[instance.name] = [[node.name, path] for path in paths]
        return [broken, [], lost]
