"""Opcodes about exports of instances."""

from __future__ import annotations

from typing import Any, Literal

from ganeti import ht
from ganeti.opcodes.base import opcode
from ganeti.opcodes.instance import InstanceOpCode

#: To a directory of the cluster's own, or to another cluster.
ExportMode = Literal["local", "remote"]


@opcode
class OpBackupPrepare(InstanceOpCode):
    """Make what another cluster needs to receive an instance: a key, and a handshake."""

    mode: ExportMode


@opcode
class OpBackupExport(InstanceOpCode):
    """Copy an instance's disks and configuration to a node, or to another cluster.

    ``target_node`` is a node's name, or for another cluster what its creation job told.
    """

    target_node: ht.NonEmptyString | list[Any]
    compress: str = "none"
    destination_x509_ca: ht.NonEmptyString | None = None
    ignore_remove_failures: bool = False
    long_sleep: bool = False
    mode: ExportMode = "local"
    remove_instance: bool = False
    shutdown: bool = True
    shutdown_timeout: ht.NonNegativeInt = 120
    target_node_uuid: ht.NonEmptyString | None = None
    x509_key_name: list[Any] | None = None
    zero_free_space: bool = False
    zeroing_timeout_fixed: int | None = None
    zeroing_timeout_per_mib: float | None = None


@opcode
class OpBackupRemove(InstanceOpCode):
    """Remove all exports of an instance."""
