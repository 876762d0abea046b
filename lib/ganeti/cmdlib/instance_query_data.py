"""OP_INSTANCE_QUERY_DATA."""

from __future__ import annotations

import os.path
from collections.abc import Sequence
from typing import Any

from ganeti import errors, locking, opcodes, params
from ganeti.cmdlib.base import JobContext, LogicalUnit
from ganeti.cmdlib.common import instances_named
from ganeti.constants import DiskTemplate
from ganeti.locking import Level, Want
from ganeti.objects import Disk, Instance, Nic, Node


class LUInstanceQueryData(LogicalUnit[opcodes.OpInstanceQueryData]):
    """All that is known of some instances; ``static`` asks no node.

    The keys are those of Ganeti 3.0, which ``gnt-instance info`` prints.
    """

    RERUN_SAFE = True

    def locks(self) -> Sequence[Want]:
        """The instances that were named, with other readers, if locking is wanted."""
        if not self.op.use_locking:
            return ()
        found = map(self.config.find_instance, self.op.instances)
        return [locking.shared(Level.INSTANCE, instance.name) for instance in found if instance]

    def check(self) -> None:
        """All of them are known."""
        self._instances = instances_named(self.config, self.op.instances)

    def execute(self, run: JobContext) -> Any:
        """Name -> object."""
        guests: dict[str, frozenset[str] | None] = {}
        for uuid in {instance.primary_node for instance in self._instances}:
            guests[uuid] = self._running_on(run, self.config.node_by_uuid(uuid))
        return {
            instance.name: self._describe(instance, guests[instance.primary_node])
            for instance in self._instances
        }

    def _running_on(self, run: JobContext, node: Node) -> frozenset[str] | None:
        """Names of the guests that run on a node; None if it was not asked or did not say."""
        if self.op.static:
            return None
        if node.offline:
            run.log(f"Node '{node.name}' is offline, its instances are shown without live data")
            return None
        try:
            guests = self.nodes.agent(node).guests()
        except errors.GenericError as err:
            run.log(f"Node '{node.name}' does not answer: {err}")
            return None
        return frozenset(name for name, guest in guests.items() if guest.running)

    def _describe(self, instance: Instance, running: frozenset[str] | None) -> dict[str, Any]:
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

    def _nic(self, nic: Nic) -> list[Any]:
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
            None,
        ]

    def _disk(self, instance: Instance, index: int, disk: Disk, live: bool) -> dict[str, Any]:
        mirrored = disk.dev_type == DiskTemplate.DRBD
        # The secret of a mirrored disk is nobody's business (Ganeti 3.0 hides it too).
        logical_id = [*disk.logical_id[:5], None] if mirrored else disk.logical_id
        return {
            "iv_name": f"disk/{index}",
            "dev_type": disk.dev_type,
            "logical_id": logical_id,
            "drbd_info": self._drbd_info(disk) if mirrored else None,
            "pstatus": self._disk_status(instance.primary_node, disk) if live else None,
            "sstatus": (
                self._disk_status(instance.secondary_nodes[0], disk) if live and mirrored else None
            ),
            "children": [],
            "mode": disk.mode,
            "size": disk.size,
            "spindles": disk.spindles,
            "name": disk.name,
            "uuid": disk.uuid,
        }

    def _drbd_info(self, disk: Disk) -> dict[str, Any]:
        primary, secondary, port, primary_minor, secondary_minor, _ = disk.logical_id
        return {
            "primary_node": self.config.node_by_uuid(primary).name,
            "primary_minor": primary_minor,
            "secondary_node": self.config.node_by_uuid(secondary).name,
            "secondary_minor": secondary_minor,
            "port": port,
        }

    def _disk_status(self, uuid: str, disk: Disk) -> list[Any] | None:
        """``[path, major, minor, sync percent, seconds left, degraded, 1 = good]``, if it is there.

        A disk of a node that does not answer has no status.
        """
        node = self.config.node_by_uuid(uuid)
        try:
            path = None if node.offline else self.nodes.agent(node).disk_path(disk)
        except errors.GenericError:
            return None
        if path is None or not os.path.exists(path):
            return None
        return [path, None, None, None, None, False, 1]
