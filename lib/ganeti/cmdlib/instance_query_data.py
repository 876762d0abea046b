"""OP_INSTANCE_QUERY_DATA: the full description of instances."""

from __future__ import annotations

import os.path
from collections.abc import Sequence

from ganeti import errors, locking, opcodes, params
from ganeti.cmdlib.base import JobContext, LogicalUnit
from ganeti.cmdlib.common import instances_named
from ganeti.constants import DiskTemplate
from ganeti.locking import Level, Want
from ganeti.objects import Disk, Instance, Nic, Node


class LUInstanceQueryData(LogicalUnit[opcodes.OpInstanceQueryData]):
    """Describe some instances in full; with ``static`` no node is asked for live data.

    The keys are Ganeti 3.0's, which ``gnt-instance info`` prints.
    """

    RERUN_SAFE = True

    def locks(self) -> Sequence[Want]:
        """Return shared locks of the named instances, if ``use_locking`` is set."""
        if not self.op.use_locking:
            return ()
        found = map(self.config.find_instance, self.op.instances)
        return [locking.shared(Level.INSTANCE, instance.name) for instance in found if instance]

    def check(self) -> None:
        """Find the instances; ``OpPrereqError`` if one is unknown."""
        self._instances = instances_named(self.config, self.op.instances)

    def execute(self, run: JobContext) -> dict[str, object]:
        """Describe the instances; the result maps each name to an object."""
        guests: dict[str, frozenset[str] | None] = {}
        for uuid in {instance.primary_node for instance in self._instances}:
            guests[uuid] = self._running_on(run, self.config.node_by_uuid(uuid))
        return {
            instance.name: self._describe(instance, guests[instance.primary_node])
            for instance in self._instances
        }

    def _running_on(self, run: JobContext, node: Node) -> frozenset[str] | None:
        """Return the names of the guests that run on a node; None if that is not known."""
        if self.op.static:
            return None
        if node.offline:
            run.log(f"Node '{node.name}' is offline; its instances are shown without live data")
            return None
        try:
            guests = self.nodes.agent(node).guests()
        except errors.GenericError as err:
            run.log(f"Node '{node.name}' does not answer: {err}")
            return None
        return frozenset(name for name, guest in guests.items() if guest.running)

    def _describe(self, instance: Instance, running: frozenset[str] | None) -> dict[str, object]:
        config = self.config
        primary = config.node_by_uuid(instance.primary_node)
        secondaries = [config.node_by_uuid(uuid) for uuid in instance.secondary_nodes]
        run_state = None
        if running is not None:
            run_state = "up" if instance.name in running else "down"
        return {
            "name": instance.name,
            "config_state": str(instance.admin_state),
            "run_state": run_state,
            "pnode": primary.name,
            "pnode_group_uuid": primary.group,
            "pnode_group_name": config.group_by_uuid(primary.group).name,
            "snodes": [node.name for node in secondaries],
            "snodes_group_uuids": [node.group for node in secondaries],
            "snodes_group_names": [config.group_by_uuid(node.group).name for node in secondaries],
            "os": instance.os,
            "nics": [self._nic(nic) for nic in instance.nics],
            "disk_template": instance.disk_template,
            "disks": [
                self._disk(instance, index, disk, running is not None)
                for index, disk in enumerate(instance.disks)
            ],
            "hypervisor": instance.hypervisor,
            "network_port": instance.network_port,
            "hv_instance": instance.hvparams,
            "hv_actual": {
                name: value
                for name, value in config.hvparams(instance).items()
                if name not in params.GLOBAL_HYPERVISOR
            },
            "be_instance": instance.beparams,
            "be_actual": config.beparams(instance),
            "os_instance": instance.osparams,
            "os_actual": {
                **config.cluster.osparams.get(instance.os.partition("+")[0], {}),
                **instance.osparams,
            },
            "serial_no": instance.serial_no,
            "mtime": instance.mtime,
            "ctime": instance.ctime,
            "uuid": instance.uuid,
        }

    def _nic(self, nic: Nic) -> list[object]:
        filled = self.config.nicparams(nic)
        return [
            nic.name,
            nic.uuid,
            nic.ip,
            nic.mac,
            filled["mode"],
            filled["link"],
            filled["vlan"],
            nic.network,
            None,  # description of the network: there are no networks
        ]

    def _disk(self, instance: Instance, index: int, disk: Disk, live: bool) -> dict[str, object]:
        logical_id: list[object] = disk.logical_id
        drbd_info = primary_status = secondary_status = None
        if live:
            primary_status = self._disk_status(instance.primary_node, disk)
        if disk.dev_type == DiskTemplate.DRBD:
            # The last element is the secret of the mirror, which Ganeti 3.0 hides as well.
            logical_id = [*disk.logical_id[:5], None]
            drbd_info = self._drbd_info(disk)
            if live:
                secondary_status = self._disk_status(instance.secondary_nodes[0], disk)
        return {
            "iv_name": f"disk/{index}",
            "dev_type": disk.dev_type,
            "logical_id": logical_id,
            "drbd_info": drbd_info,
            "pstatus": primary_status,
            "sstatus": secondary_status,
            "children": [],
            "mode": disk.mode,
            "size": disk.size,
            "spindles": disk.spindles,
            "name": disk.name,
            "uuid": disk.uuid,
        }

    def _drbd_info(self, disk: Disk) -> dict[str, object]:
        primary, secondary, port, primary_minor, secondary_minor, _ = disk.logical_id
        return {
            "primary_node": self.config.node_by_uuid(primary).name,
            "primary_minor": primary_minor,
            "secondary_node": self.config.node_by_uuid(secondary).name,
            "secondary_minor": secondary_minor,
            "port": port,
        }

    def _disk_status(self, uuid: str, disk: Disk) -> list[object] | None:
        """Return the status of a disk on a node; None if disk or node cannot be reached.

        The elements are Ganeti 3.0's: path, major, minor, percent synchronised, seconds left to
        synchronise, whether it is degraded, and status of the local disk (1: good).
        """
        node = self.config.node_by_uuid(uuid)
        try:
            path = None if node.offline else self.nodes.agent(node).disk_path(disk)
        except errors.GenericError:
            return None
        if path is None or not os.path.exists(path):
            return None
        return [path, None, None, None, None, False, 1]
