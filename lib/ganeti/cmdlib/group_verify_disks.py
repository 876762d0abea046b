"""OP_GROUP_VERIFY_DISKS: missing disks of one group's instances."""

from __future__ import annotations

from ganeti import errors, opcodes
from ganeti.cmdlib.base import JobContext, LogicalUnit
from ganeti.cmdlib.common import missing_disks


class LUGroupVerifyDisks(LogicalUnit[opcodes.OpGroupVerifyDisks]):
    """Look for missing disks of a group's instances.

    No disk ever needs to be activated here: a disk that exists can be used.
    """

    RERUN_SAFE = True

    def check(self) -> None:
        """Find the group; ``OpPrereqError`` if it is unknown."""
        self._group = self.config.group(self.op.group_name)

    def execute(self, run: JobContext) -> list[object]:
        """Look for the disks; the result has three elements, as in Ganeti 3.0.

        They are: node -> error, for the nodes that do not answer; the instances whose disks
        must be activated (none); instance -> ``[[node, path], ...]`` of its missing disks.
        """
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
