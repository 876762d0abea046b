"""OP_CLUSTER_VERIFY_GROUP: nodes and guests compared with the configuration."""

from __future__ import annotations

from collections import defaultdict

from ganeti import errors, opcodes
from ganeti.cmdlib.base import JobContext, LogicalUnit
from ganeti.cmdlib.common import missing_disks, policy_violations
from ganeti.cmdlib.findings import SIMULATED_ERROR, Code, Findings
from ganeti.constants import AdminState
from ganeti.hypervisor.hv_base import Guest, NodeResources
from ganeti.objects import Instance, Node

#: The only check that ``skip_checks`` may name, as in Ganeti 3.0.
SKIP_N1 = "nplusone_mem"


class LUClusterVerifyGroup(LogicalUnit[opcodes.OpClusterVerifyGroup]):
    """Check the nodes and instances of one group against the configuration.

    It takes no locks: locking every instance of a group would hold up all their jobs. A
    running job can therefore look like a fault, so a guest that seems to contradict the
    configuration is looked at again before it is reported.
    """

    RERUN_SAFE = True

    def check(self) -> None:
        """Find the group; ``OpPrereqError`` if it is unknown."""
        self._group = self.config.group(self.op.group_name)

    def execute(self, run: JobContext) -> bool:
        """Verify the group; return true if there is no error."""
        self._found = Findings(run, error_codes=self.op.error_codes, ignored=self.op.ignore_errors)
        members = self.config.group_nodes(self._group.uuid)
        self._found.section(f"Verifying the {len(members)} node(s) of group '{self._group.name}'")
        resources: dict[str, NodeResources] = {}
        guests: dict[str, dict[str, Guest]] = {}
        for node in members:
            self._query_node(node, resources, guests)
        self._found.section("Verifying instances")
        for node in members:
            for instance in self.config.primary_instances(node.uuid):
                self._verify_instance(node, instance, guests)
        self._found.section("Verifying that all guests belong to instances")
        for node in members:
            for name in guests.get(node.uuid, {}):
                self._verify_guest(node, name)
        if SKIP_N1 in self.op.skip_checks:
            self._found.note("the memory for failovers is not verified (skip_checks)")
        else:
            self._found.section("Verifying the memory for failovers")
            self._verify_spare_memory(members, resources)
        if self.op.debug_simulate_errors:
            self._found.error(Code.NODE_HYPERVISOR, self.config.master.name, SIMULATED_ERROR)
        return self._found.good

    def _query_node(
        self, node: Node, resources: dict[str, NodeResources], guests: dict[str, dict[str, Guest]]
    ) -> None:
        if node.offline:
            self._found.note(f"node {node.name} is offline and is not verified")
            return
        agent = self.nodes.agent(node)
        try:
            resources[node.uuid] = agent.resources()
            guests[node.uuid] = agent.guests()
        except errors.GenericError as err:
            self._found.error(Code.NODE_DOWN, node.name, f"does not answer: {err}")

    def _verify_instance(
        self, node: Node, instance: Instance, guests: dict[str, dict[str, Guest]]
    ) -> None:
        for uuid, running in guests.items():
            if uuid != node.uuid and instance.name in running:
                self._found.error(
                    Code.INSTANCE_WRONG_NODE,
                    instance.name,
                    f"runs on {self.config.node_by_uuid(uuid).name}, "
                    f"not on its primary node {node.name}",
                )
        if node.uuid in guests:
            if self._contradicts_configuration(instance, instance.name in guests[node.uuid]):
                self._recheck(node, instance)
            for path in missing_disks(self.nodes, node, instance):
                self._found.error(
                    Code.INSTANCE_DISK, instance.name, f"its disk {path} is missing on {node.name}"
                )
        elif instance.admin_state == AdminState.UP and node.offline:
            self._found.error(
                Code.INSTANCE_DOWN,
                instance.name,
                f"should run, but its primary node {node.name} is offline",
            )
        self._verify_policy(instance)

    def _contradicts_configuration(self, instance: Instance, running: bool) -> bool:
        return running != (instance.admin_state == AdminState.UP)

    def _recheck(self, node: Node, instance: Instance) -> None:
        """Look at a guest again, and report it unless a job had only just changed it."""
        now = self.config.find_instance(instance.uuid)
        running = self.nodes.agent(node).guest(instance.name) is not None
        if now is None or not self._contradicts_configuration(now, running):
            return
        if running:
            self._found.warning(
                Code.INSTANCE_UP, now.name, f"runs, although it is marked {now.admin_state}"
            )
        else:
            self._found.error(
                Code.INSTANCE_DOWN, now.name, f"should run on {node.name}, but does not"
            )

    def _verify_policy(self, instance: Instance) -> None:
        broken = policy_violations(
            self.config,
            self._group,
            instance,
            nic_count=len(instance.nics),
            disk_sizes=[disk.size for disk in instance.disks],
        )
        for text in broken:
            self._found.warning(Code.INSTANCE_POLICY, instance.name, text)

    def _verify_guest(self, node: Node, name: str) -> None:
        instance = self.config.find_instance(name)
        # Short names and uuids find an instance too, hence the comparison.
        known = instance is not None and instance.name == name
        if not known and self.nodes.agent(node).guest(name) is not None:
            self._found.error(
                Code.ORPHAN, node.name, f"runs the guest '{name}', which belongs to no instance"
            )

    def _verify_spare_memory(
        self, members: list[Node], resources: dict[str, NodeResources]
    ) -> None:
        """Report the nodes that could not take over the instances of any one other node."""
        for node in members:
            if node.uuid not in resources:
                continue
            needed: dict[str, int] = defaultdict(int)
            for instance in self.config.secondary_instances(node.uuid):
                filled = self.config.beparams(instance)
                if filled["auto_balance"] and instance.admin_state == AdminState.UP:
                    needed[instance.primary_node] += filled["minmem"]
            for uuid, memory in needed.items():
                if memory > resources[node.uuid].memory_free:
                    self._found.error(
                        Code.NODE_N1,
                        node.name,
                        f"has {resources[node.uuid].memory_free} MiB of free memory, but would "
                        f"need {memory} MiB if {self.config.node_by_uuid(uuid).name} failed",
                    )
