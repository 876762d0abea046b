"""OP_CLUSTER_VERIFY_CONFIG: contradictions within the configuration."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

from ganeti import errors, ht, opcodes, params
from ganeti.cmdlib.base import JobContext, LogicalUnit
from ganeti.cmdlib.findings import SIMULATED_ERROR, Code, Findings
from ganeti.objects import ConfigObject, Instance


class LUClusterVerifyConfig(LogicalUnit[opcodes.OpClusterVerifyConfig]):
    """Check that the configuration does not contradict itself.

    No locks are needed: each object is read whole, and running jobs do not cause the
    contradictions that are looked for.
    """

    RERUN_SAFE = True

    def execute(self, run: JobContext) -> bool:
        """Verify the configuration; return true if there is no error."""
        self._found = Findings(run, error_codes=self.op.error_codes, ignored=self.op.ignore_errors)
        self._found.section("Verifying the settings of the cluster")
        self._verify_cluster()
        self._found.section("Verifying the references of nodes and instances")
        self._verify_references()
        self._found.section("Verifying the parameters of instances")
        self._verify_instances()
        self._found.section("Verifying that nothing is used twice")
        self._verify_uniqueness()
        if self.op.debug_simulate_errors:
            self._cluster_error(SIMULATED_ERROR)
        return self._found.good

    def _cluster_error(self, text: str) -> None:
        self._found.error(Code.CLUSTER, self.config.cluster.name, text)

    def _verify_cluster(self) -> None:
        cluster = self.config.cluster
        if not cluster.enabled_hypervisors:
            self._cluster_error("no hypervisor is enabled")
        for hypervisor in cluster.enabled_hypervisors:
            self._attempt(lambda: self._check_hypervisor(hypervisor), f"hypervisor {hypervisor}")
        self._attempt(
            lambda: params.check_beparams(cluster.beparams.get("default", {})), "backend parameters"
        )
        self._attempt(
            lambda: params.check_nicparams(cluster.nicparams.get("default", {})), "NIC parameters"
        )

    def _check_hypervisor(self, name: str) -> None:
        if name not in params.HYPERVISOR:
            raise errors.ConfigurationError("this master does not support it")
        params.check_hvparams(name, self.config.cluster.hvparams.get(name, {}))

    def _attempt(self, check: Callable[[], object], what: str) -> None:
        try:
            check()
        except errors.GenericError as err:
            self._cluster_error(f"{what}: {err}")

    def _verify_references(self) -> None:
        groups = {group.uuid for group in self.config.groups()}
        nodes = {node.uuid for node in self.config.nodes()}
        if self.config.cluster.master_node not in nodes:
            self._cluster_error("the master node is not in the cluster")
        for node in self.config.nodes():
            if node.group not in groups:
                self._found.error(
                    Code.DANGLING_NODE,
                    node.name,
                    f"belongs to a group that does not exist ({node.group})",
                )
        for instance in self.config.instances():
            for uuid in (instance.primary_node, *instance.secondary_nodes):
                if uuid not in nodes:
                    self._found.error(
                        Code.DANGLING_INSTANCE,
                        instance.name,
                        f"is on a node that does not exist ({uuid})",
                    )
            if instance.primary_node in instance.secondary_nodes:
                self._found.error(
                    Code.INSTANCE_LAYOUT,
                    instance.name,
                    "has the same primary and secondary node",
                )

    def _verify_instances(self) -> None:
        for instance in self.config.instances():
            for problem in self._problems(instance):
                self._found.error(Code.INSTANCE_PARAMETERS, instance.name, problem)

    def _problems(self, instance: Instance) -> Iterator[str]:
        cluster = self.config.cluster
        if instance.hypervisor not in cluster.enabled_hypervisors:
            yield f"its hypervisor {instance.hypervisor} is not enabled"
        else:
            try:
                params.check_hvparams(instance.hypervisor, instance.hvparams)
            except errors.GenericError as err:
                yield f"hypervisor parameters: {err}"
        try:
            params.check_beparams(instance.beparams)
            params.check_memory_bounds(self.config.beparams(instance))
        except errors.GenericError as err:
            yield f"backend parameters: {err}"
        if instance.disk_template not in cluster.enabled_disk_templates:
            yield f"its disk template {instance.disk_template} is not enabled"

    def _verify_uniqueness(self) -> None:
        users: dict[str, list[str]] = defaultdict(list)
        for instance in self.config.instances():
            for what in _unique_resources(instance):
                users[what].append(instance.name)
        for what, names in sorted(users.items()):
            if len(names) > 1:
                self._cluster_error(f"{what} is used more than once: by {', '.join(names)}")
        for target in self._tagged():
            for tag in target.tags:
                problem = ht.tag_problem(tag)
                if problem:
                    self._cluster_error(f"invalid tag: {problem}")

    def _tagged(self) -> list[ConfigObject]:
        return [
            self.config.cluster,
            *self.config.groups(),
            *self.config.nodes(),
            *self.config.instances(),
        ]


def _unique_resources(instance: Instance) -> Iterator[str]:
    """Yield the resources of an instance that no other instance may use, in words."""
    for nic in instance.nics:
        yield f"MAC address {nic.mac}"
    for disk in instance.disks:
        # The sixth element, of a mirrored disk, is its secret: no message may show it.
        yield "disk " + "/".join(map(str, disk.logical_id[:5]))
    if instance.network_port is not None:
        yield f"port {instance.network_port}"
