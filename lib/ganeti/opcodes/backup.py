"""Opcodes about exports: copies of instances on a node or another cluster."""

from __future__ import annotations

from typing import Literal

from ganeti import ht
from ganeti.opcodes.base import Array, opcode
from ganeti.opcodes.instance import InstanceOpCode

#: To a directory of this cluster, or to another cluster.
ExportMode = Literal["local", "remote"]


@opcode
class OpBackupPrepare(InstanceOpCode):
    """Prepare an export; for another cluster the result has the key and handshake it needs."""

    mode: ExportMode


@opcode
class OpBackupExport(InstanceOpCode):
    """Copy an instance's disks and configuration to a node, or to another cluster.

    ``target_node`` is the name of a node, or the array of disks' addresses that the creation job
    of another cluster logged.
    """

    target_node: ht.NonEmptyString | Array
    compress: str = "none"
    destination_x509_ca: ht.NonEmptyString | None = None
    ignore_remove_failures: bool = False
    long_sleep: bool = False
    mode: ExportMode = "local"
    remove_instance: bool = False
    shutdown: bool = True
    shutdown_timeout: ht.NonNegativeInt = 120
    target_node_uuid: ht.NonEmptyString | None = None
    x509_key_name: Array | None = None
    zero_free_space: bool = False
    zeroing_timeout_fixed: int | None = None
    zeroing_timeout_per_mib: float | None = None


@opcode
class OpBackupRemove(InstanceOpCode):
    """Remove all exports of an instance from the nodes that have them."""
