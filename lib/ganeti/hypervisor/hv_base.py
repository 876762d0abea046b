"""The interface of hypervisor drivers, which run the guests of one node.

A driver knows guests and not the administration of instances: other modules decide
whether a guest should run. Several threads may call any method at the same time, for
different guests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ganeti.objects import Instance
from ganeti.params import Values


@dataclass(frozen=True)
class Guest:
    """A guest that its hypervisor knows; ``memory`` in MiB."""

    name: str
    memory: int
    vcpus: int
    running: bool = True


@dataclass(frozen=True)
class NodeResources:
    """A node's size and its free resources; memory and disk in MiB.

    ``memory_node`` is the memory that the node uses itself, ``cpu_node`` the number of
    CPUs that its system sees. Only nodes with exclusive storage count spindles.
    """

    memory_total: int
    memory_free: int
    memory_node: int
    disk_total: int
    disk_free: int
    cpu_total: int
    cpu_nodes: int
    cpu_sockets: int
    cpu_node: int
    bootid: str
    spindles_total: int | None = None
    spindles_free: int | None = None


@dataclass(frozen=True)
class StartParameters:
    """Everything that a driver reads to start a guest, with filled parameters.

    ``memory`` (MiB) is the guest's share, between its minimum and its maximum.
    """

    instance: Instance
    memory: int
    beparams: Values
    hvparams: Values
    nicparams: Sequence[Values] = ()
    paused: bool = False


class Hypervisor(ABC):
    """A driver on one node, which keeps its state in ``directory``."""

    NAME: ClassVar[str]

    def __init__(self, directory: str) -> None:
        self.directory = directory

    @abstractmethod
    def guests(self) -> Mapping[str, Guest]:
        """Return all guests by name; callers must not change the result."""

    @abstractmethod
    def guest(self, name: str) -> Guest | None:
        """Return one guest, or None if it does not exist."""

    @abstractmethod
    def start(self, start: StartParameters) -> None:
        """Start a guest; raise ``HypervisorError`` if it runs already or does not start."""

    @abstractmethod
    def stop(self, name: str, *, timeout: int, force: bool) -> None:
        """Stop a guest, and return when it no longer runs.

        It has ``timeout`` seconds to shut down by itself, or none with ``force``. A guest
        that does not run is not an error, because it may have ended by itself just now.
        """

    @abstractmethod
    def reboot(self, name: str) -> None:
        """Reboot a guest; raise ``HypervisorError`` if it does not run."""

    @abstractmethod
    def problems(self) -> list[str]:
        """Return what keeps this driver from working on this node, in words."""
