"""Agents, which act on nodes: on this machine, or on a simulated node beside it.

An agent represents one node. It is made for each use, since the node may have changed
meanwhile, and it changes nothing in the configuration. The local agent works on this
machine. A simulated node is a model: it has the memory, disk space and CPUs that it was
given, its guests are files, its disks are sparse files, and the rest of its resources is
free. To see what a client does when a node fails, create a file ``failed`` in the node's
state directory (``run/ganeti/simulated-nodes/NAME``); the node does not answer while the
file exists.
"""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from ganeti import errors, pathutils
from ganeti.config.config import Config
from ganeti.constants import DiskTemplate, ErrorCode
from ganeti.hypervisor import DRIVERS, FakeHypervisor
from ganeti.hypervisor.hv_base import Guest, Hypervisor, NodeResources, StartParameters
from ganeti.jqueue.live import JobContext
from ganeti.node import osdef
from ganeti.objects import Disk, Instance, Node
from ganeti.params import Values
from ganeti.storage import FILE_BASED, CountedDisks, FileDisks, NodeDisks
from ganeti.utils import host

#: A simulated node's figures where none were given: MiB, MiB, CPUs.
DEFAULT_CAPACITY = {"memory": 16 * 1024, "disk": 512 * 1024, "cpus": 8}


class NodeAgent(ABC):
    """Base of all agents, with everything that does not depend on where the node is.

    A method that fails raises ``HypervisorError``, ``BlockDeviceError``,
    ``FileStoragePathError`` or ``OpExecError``, all with words for people.
    """

    def __init__(
        self,
        node: Node,
        config: Config,
        paths: pathutils.Paths,
        hypervisors: Mapping[str, Hypervisor],
    ) -> None:
        self.node = node
        self._config = config
        self._paths = paths
        self._hypervisors = hypervisors

    # -- what differs between kinds of nodes ---------------------------------------

    @abstractmethod
    def check_reachable(self) -> None:
        """Raise ``HypervisorError`` if the node does not answer."""

    @abstractmethod
    def resources(self) -> NodeResources:
        """Return the node's size and its free resources."""

    @abstractmethod
    def disk_path(self, disk: Disk) -> str:
        """Return the path of a disk's data on this node."""

    @abstractmethod
    def _create_disk(self, disk: Disk) -> None:
        """Create one disk; raise ``BlockDeviceError`` if it exists already."""

    @abstractmethod
    def _remove_disk(self, disk: Disk) -> None:
        """Remove one disk; do nothing if it does not exist."""

    # -- state ---------------------------------------------------------------------

    def alive(self) -> bool:
        """Return whether the node answers, without raising an error."""
        try:
            self.check_reachable()
        except errors.HypervisorError:
            return False
        return True

    def guests(self) -> dict[str, Guest]:
        """Return all guests that the node knows, by name."""
        self.check_reachable()
        return {
            name: guest
            for hypervisor in self._hypervisors.values()
            for name, guest in hypervisor.guests().items()
        }

    def guest(self, name: str) -> Guest | None:
        """Return one guest, or None if the node does not know it."""
        self.check_reachable()
        found = [hypervisor.guest(name) for hypervisor in self._hypervisors.values()]
        return next((guest for guest in found if guest is not None), None)

    def problems(self) -> list[str]:
        """Return what is wrong with the node, in words, for cluster verification."""
        try:
            self.check_reachable()
        except errors.HypervisorError as err:
            return [str(err)]
        return [
            problem
            for hypervisor in self._hypervisors.values()
            for problem in hypervisor.problems()
        ]

    # -- guests ----------------------------------------------------------------------

    def start(self, instance: Instance, *, paused: bool = False) -> None:
        """Start a guest unless it runs already.

        It gets its maximum memory or, if less is free, what is free, but at least its
        minimum.
        """
        if self.guest(instance.name) is None:
            for disk in instance.disks:
                self.disk_path(disk)  # fails for a disk that is not where disks may be
            beparams = self._config.beparams(instance)
            memory: int = beparams["minmem"]
            if beparams["maxmem"] > memory:
                memory = max(memory, min(beparams["maxmem"], self.resources().memory_free))
            self._hypervisor(instance).start(
                StartParameters(
                    instance,
                    memory,
                    beparams,
                    self._config.hvparams(instance),
                    [*map(self._config.nicparams, instance.nics)],
                    paused,
                )
            )

    def stop(self, instance: Instance, *, timeout: int, force: bool) -> None:
        """Stop a guest if it runs; it has ``timeout`` seconds to shut down by itself."""
        self.check_reachable()
        self._hypervisor(instance).stop(instance.name, timeout=timeout, force=force)

    def reboot(self, instance: Instance, reboot_type: str) -> None:
        """Reboot a running guest; the type "full" stops and starts it."""
        self.check_reachable()
        if reboot_type == "full":
            self.stop(instance, timeout=0, force=False)
            self.start(instance)
        else:
            self._hypervisor(instance).reboot(instance.name)

    def _hypervisor(self, instance: Instance) -> Hypervisor:
        try:
            return self._hypervisors[instance.hypervisor]
        except KeyError:
            raise errors.HypervisorError(
                f"Node '{self.node.name}' has no hypervisor '{instance.hypervisor}'"
            ) from None

    # -- disks -----------------------------------------------------------------------

    def create_disks(self, instance: Instance, log: Callable[[str], object]) -> None:
        """Create all disks of an instance, or none; ``log`` is called for each."""
        self.check_reachable()
        made: list[Disk] = []
        try:
            for index, disk in enumerate(instance.disks):
                log(f"Creating disk {index} of {instance.name} ({disk.size} MiB)")
                self._create_disk(disk)
                made.append(disk)
        except errors.GenericError:
            for disk in reversed(made):
                self._remove_disk(disk)
            raise

    def remove_disks(self, instance: Instance) -> None:
        """Remove all disks of an instance that exist."""
        self.check_reachable()
        for disk in instance.disks:
            self._remove_disk(disk)

    # -- operating systems -------------------------------------------------------------

    def os_definitions(self) -> list[osdef.OsDefinition]:
        """Return all OS definitions of the node, sorted by name, with the broken ones."""
        self.check_reachable()
        return osdef.scan(self._paths.os_search_path)

    def os_definition(self, os_name: str) -> osdef.OsDefinition:
        """Return the definition of an OS, whatever its variant; ``OpPrereqError`` if invalid."""
        self.check_reachable()
        found = osdef.find(self._paths.os_search_path, os_name)
        if found is None:
            raise errors.OpPrereqError(
                f"OS '{os_name}' not known on node '{self.node.name}'", ErrorCode.NOENT
            )
        if not found.valid:
            raise errors.OpPrereqError(
                f"OS '{os_name}' cannot be used on node '{self.node.name}': {found.problem}",
                ErrorCode.INVAL,
            )
        return found

    def run_os_create(
        self,
        instance: Instance,
        *,
        reinstall: bool,
        run: JobContext,
        secrets: Mapping[str, object] | None = None,
        debug_level: int = 0,
    ) -> None:
        """Run the create script of an instance's OS.

        ``secrets`` are OS parameters that must not be shown anywhere. Raise
        ``OpExecError`` with the end of the log if the script fails, and ``JobCanceled``,
        after ending the script, if the job is canceled.
        """
        hidden = {**instance.osparams_private, **(secrets or {})}
        definition = self.os_definition(instance.os)
        osdef.run_create(
            definition,
            self._script_input(instance, hidden, debug_level),
            self._paths,
            run,
            reinstall=reinstall,
            hidden=hidden,
        )

    def run_os_verify(
        self,
        os_name: str,
        osparams: Mapping[str, object],
        hidden: Mapping[str, object],
        run: JobContext | None,
    ) -> None:
        """Run the verify script of an OS; ``hidden`` parameters are private or secret.

        Raise ``OpExecError`` with the script's output if it refuses the values, and
        ``JobCanceled``, after ending the script, if the job is canceled.
        """
        osdef.run_verify(
            self.os_definition(os_name),
            os_name,
            {**self._cluster_osparams(os_name), **osparams, **hidden},
            run,
            hidden=hidden,
        )

    def _script_input(
        self, instance: Instance, hidden: Mapping[str, object], debug_level: int
    ) -> osdef.ScriptInput:
        return osdef.ScriptInput(
            instance=instance,
            beparams=self._config.beparams(instance),
            hvparams=self._config.hvparams(instance),
            osparams={**self._cluster_osparams(instance.os), **instance.osparams, **hidden},
            disk_paths=[*map(self.disk_path, instance.disks)],
            nicparams=[*map(self._config.nicparams, instance.nics)],
            debug_level=debug_level,
        )

    def _cluster_osparams(self, os_name: str) -> Values:
        """Return the cluster's parameters of an OS, overridden by those of its variant."""
        cluster_wide = self._config.cluster.osparams
        return {
            **cluster_wide.get(osdef.split_name(os_name)[0], {}),
            **cluster_wide.get(os_name, {}),
        }


class LocalNode(NodeAgent):
    """This machine; figures that were given for it replace the real ones."""

    def __init__(
        self,
        node: Node,
        config: Config,
        paths: pathutils.Paths,
        hypervisors: Mapping[str, Hypervisor],
        disks_of: Callable[[Node], CountedDisks],
    ) -> None:
        super().__init__(node, config, paths, hypervisors)
        self._disks_of = disks_of

    def check_reachable(self) -> None:
        """Do nothing, because the caller runs on this node."""

    def resources(self) -> NodeResources:
        """Return what the kernel reports, less the memory that fake guests would use."""
        memory, cpus = host.memory(), host.cpus()
        disk_total, disk_free = host.disk(
            self._config.cluster.file_storage_dir or self._paths.lib_dir
        )
        given = self.node.capacity
        memory_total = given.get("memory", memory.total)
        available = memory_total if "memory" in given else memory.available
        if "disk" in given:
            disk_total = given["disk"]
            disk_free = max(0, disk_total - self._disks_of(self.node).used())
        cpu_total = given.get("cpus", cpus.total)
        return NodeResources(
            memory_total=memory_total,
            memory_node=memory_total - available,
            memory_free=max(0, available - self._claimed_memory()),
            disk_total=disk_total,
            disk_free=disk_free,
            cpu_total=cpu_total,
            cpu_nodes=cpus.nodes,
            cpu_sockets=cpus.sockets,
            cpu_node=cpu_total,
            bootid=host.boot_id(),
        )

    def disk_path(self, disk: Disk) -> str:
        """Return the path of a disk's file."""
        return self._disks_for(disk).path(disk)

    def _create_disk(self, disk: Disk) -> None:
        self._disks_for(disk).create(disk)

    def _remove_disk(self, disk: Disk) -> None:
        self._disks_for(disk).remove(disk)

    def _disks_for(self, disk: Disk) -> NodeDisks:
        if disk.dev_type not in FILE_BASED:
            raise errors.BlockDeviceError(
                f"Node '{self.node.name}' has no disks of the template '{disk.dev_type}'"
            )
        if "disk" in self.node.capacity:
            return self._disks_of(self.node)
        return FileDisks(self._config.cluster, self._paths)

    def _claimed_memory(self) -> int:
        """Return the memory that fake guests would use; the kernel counts that of real ones."""
        return sum(
            guest.memory
            for hypervisor in self._hypervisors.values()
            if isinstance(hypervisor, FakeHypervisor)
            for guest in hypervisor.guests().values()
        )


class SimulatedNode(NodeAgent):
    """A node of the model; its guests and disks are files in its state directory."""

    def __init__(
        self,
        node: Node,
        config: Config,
        paths: pathutils.Paths,
        hypervisors: Mapping[str, Hypervisor],
        disks_of: Callable[[Node], CountedDisks],
    ) -> None:
        super().__init__(node, config, paths, hypervisors)
        self._disks_of = disks_of

    def check_reachable(self) -> None:
        """Raise ``HypervisorError`` if the node was made to fail."""
        self._check_node_reachable(self.node)

    def resources(self) -> NodeResources:
        """Return the size that the node was given, less what its guests and disks use."""
        self.check_reachable()
        size = {**DEFAULT_CAPACITY, **self.node.capacity}
        claimed = sum(guest.memory for guest in self.guests().values())
        return NodeResources(
            memory_total=size["memory"],
            memory_node=0,
            memory_free=max(0, size["memory"] - claimed),
            disk_total=size["disk"],
            disk_free=max(0, size["disk"] - self._disks_of(self.node).used()),
            cpu_total=size["cpus"],
            cpu_nodes=1,
            cpu_sockets=1,
            cpu_node=size["cpus"],
            bootid=host.boot_id(),
        )

    def disk_path(self, disk: Disk) -> str:
        """Return the path of a disk's file."""
        return self._disks_of(self.node).path(disk)

    def _create_disk(self, disk: Disk) -> None:
        made: list[Node] = []
        try:
            for node in self._nodes_of(disk):
                self._check_node_reachable(node)
                self._disks_of(node).create(disk)
                made.append(node)
        except errors.GenericError:
            for node in made:
                self._disks_of(node).remove(disk)
            raise

    def _remove_disk(self, disk: Disk) -> None:
        for node in self._nodes_of(disk):
            self._check_node_reachable(node)
            self._disks_of(node).remove(disk)

    def _nodes_of(self, disk: Disk) -> list[Node]:
        """Return this node, and the other node of a mirrored disk."""
        if disk.dev_type != DiskTemplate.DRBD:
            return [self.node]
        return [self._config.node_by_uuid(uuid) for uuid in disk.logical_id[:2]]

    def _check_node_reachable(self, node: Node) -> None:
        if node.offline:
            raise errors.HypervisorError(f"Node '{node.name}' is offline")
        if os.path.exists(self._paths.simulated_failure(node.name)):
            raise errors.HypervisorError(
                f"Node '{node.name}' does not answer (it is simulated, and was made to fail)"
            )


class OfflineNode(NodeAgent):
    """A node that is marked offline: everything fails without contacting it."""

    def check_reachable(self) -> None:
        """Raise ``HypervisorError``, because an offline node is never contacted."""
        raise errors.HypervisorError(f"Node '{self.node.name}' is offline")

    def resources(self) -> NodeResources:
        """Raise ``HypervisorError``, because an offline node is never contacted."""
        self.check_reachable()
        raise AssertionError("an offline node answered")

    def disk_path(self, disk: Disk) -> str:
        """Raise ``HypervisorError``, because an offline node is never contacted."""
        self.check_reachable()
        raise AssertionError("an offline node answered")

    def _create_disk(self, disk: Disk) -> None:
        self.check_reachable()

    def _remove_disk(self, disk: Disk) -> None:
        self.check_reachable()


class Nodes:
    """All nodes: finds the agent of each. ``drivers`` are those of this machine, by name."""

    def __init__(self, config: Config, paths: pathutils.Paths) -> None:
        self._config = config
        self._paths = paths
        self._mutex = threading.Lock()
        self.drivers = self._make_drivers(paths.fake_hypervisor_dir)
        self._simulated_drivers: dict[str, dict[str, Hypervisor]] = {}
        self._disks: dict[str, CountedDisks] = {}

    def agent(self, node: Node) -> NodeAgent:
        """Return the agent that acts on this node."""
        if node.offline:
            return OfflineNode(node, self._config, self._paths, {})
        if node.simulated:
            drivers = self._drivers_of(node)
            return SimulatedNode(node, self._config, self._paths, drivers, self._disks_of)
        return LocalNode(node, self._config, self._paths, self.drivers, self._disks_of)

    def _make_drivers(self, directory: str) -> dict[str, Hypervisor]:
        return {
            name: DRIVERS[name](directory)
            for name in self._config.cluster.enabled_hypervisors
            if name in DRIVERS
        }

    def _drivers_of(self, node: Node) -> dict[str, Hypervisor]:
        """Return a simulated node's drivers, which remember what they have read."""
        with self._mutex:
            if node.name not in self._simulated_drivers:
                self._simulated_drivers[node.name] = self._make_drivers(
                    self._paths.simulated_guests(node.name)
                )
            return self._simulated_drivers[node.name]

    def _disks_of(self, node: Node) -> CountedDisks:
        # Kept for each node, because counting the entries again costs a walk of them.
        with self._mutex:
            if node.name not in self._disks:
                self._disks[node.name] = CountedDisks(
                    self._paths.counted_disks(node.name),
                    FileDisks(self._config.cluster, self._paths),
                )
            return self._disks[node.name]
