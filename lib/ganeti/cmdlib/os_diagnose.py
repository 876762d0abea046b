"""OP_OS_DIAGNOSE: the OS definitions on all nodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from ganeti import errors, opcodes
from ganeti.cmdlib.base import JobContext, LogicalUnit
from ganeti.constants import ErrorCode
from ganeti.node.osdef import OsDefinition
from ganeti.objects import Cluster
from ganeti.utils.text import nice_sorted

T = TypeVar("T")


@dataclass
class _Os:
    """An OS and its definitions on each node (by uuid); a node uses the first one found."""

    name: str
    on_nodes: dict[str, list[OsDefinition]] = field(default_factory=dict)
    node_count: int = 0

    @property
    def found(self) -> list[OsDefinition]:
        """Return the definition that each node uses, of the nodes that have any."""
        return [definitions[0] for definitions in self.on_nodes.values()]

    @property
    def valid(self) -> bool:
        """Return whether every node has a valid definition."""
        return len(self.found) == self.node_count and all(one.valid for one in self.found)

    def common(self, values: Callable[[OsDefinition], list[T]]) -> list[T]:
        """Return the values that all nodes have, in the first node's order; none if invalid."""
        if not self.valid:
            return []
        first, *others = [values(one) for one in self.found]
        return [value for value in first if all(value in other for other in others)]


def _node_status(os: _Os) -> dict[str, list[list[object]]]:
    return {
        uuid: [
            [
                one.path,
                one.valid,
                one.problem,
                list(one.variants),
                [list(pair) for pair in one.parameters],
                list(one.api_versions),
                not one.untrusted,
            ]
            for one in definitions
        ]
        for uuid, definitions in os.on_nodes.items()
    }


#: Column -> value; names are Ganeti 3.0's.
COLUMNS: dict[str, Callable[[_Os, Cluster], object]] = {
    "name": lambda os, cluster: os.name,
    "valid": lambda os, cluster: os.valid,
    "variants": lambda os, cluster: nice_sorted(os.common(lambda one: list(one.variants))),
    "node_status": lambda os, cluster: _node_status(os),
    "parameters": lambda os, cluster: os.common(
        lambda one: [list(pair) for pair in one.parameters]
    ),
    "api_versions": lambda os, cluster: os.common(lambda one: list(one.api_versions)),
    "hidden": lambda os, cluster: os.name in cluster.hidden_os,
    "blacklisted": lambda os, cluster: os.name in cluster.blacklisted_os,
    "os_hvp": lambda os, cluster: cluster.os_hvp.get(os.name, {}),
    "osparams": lambda os, cluster: cluster.osparams.get(os.name, {}),
    "trusted": lambda os, cluster: not any(one.untrusted for one in os.found),
}


class LUOsDiagnose(LogicalUnit[opcodes.OpOsDiagnose]):
    """List the OS definitions of all nodes that answer.

    An OS that is hidden, blacklisted or invalid is listed only if the column that says so is
    among the output fields (as in Ganeti 3.0).
    """

    RERUN_SAFE = True

    def check(self) -> None:
        """Check that the output fields are known."""
        unknown = [name for name in self.op.output_fields if name not in COLUMNS]
        if unknown:
            raise errors.OpPrereqError(
                "Unknown output fields selected: " + ", ".join(unknown), ErrorCode.INVAL
            )

    def execute(self, run: JobContext) -> list[list[object]]:
        """List the definitions; the result has a row for each OS, sorted by name."""
        cluster, fields = self.config.cluster, self.op.output_fields
        return [
            [COLUMNS[name](os, cluster) for name in fields]
            for _, os in sorted(self._collect(run).items())
            if self._is_shown(os)
        ]

    def _is_shown(self, os: _Os) -> bool:
        if self.op.names and os.name not in self.op.names:
            return False
        cluster, fields = self.config.cluster, self.op.output_fields
        if not os.valid and "valid" not in fields:
            return False
        if os.name in cluster.hidden_os and "hidden" not in fields:
            return False
        return os.name not in cluster.blacklisted_os or "blacklisted" in fields

    def _collect(self, run: JobContext) -> dict[str, _Os]:
        found: dict[str, _Os] = {}
        answered = 0
        for node in self.config.nodes():
            if node.offline or not node.vm_capable:
                continue
            try:
                definitions = self.nodes.agent(node).os_definitions()
            except errors.GenericError as err:
                # Counting the node would make every OS invalid. Ganeti 3.0 leaves it out, too.
                run.log(f"Leaving out node '{node.name}', which does not answer: {err}")
                continue
            answered += 1
            for definition in definitions:
                os = found.setdefault(definition.name, _Os(definition.name))
                os.on_nodes.setdefault(node.uuid, []).append(definition)
        for os in found.values():
            os.node_count = answered
        return found
