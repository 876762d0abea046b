"""What every hypervisor driver can do with the guests of one node.

A driver knows guests, not instances' administration: whether a guest should
run, who may start it and what follows from that is decided elsewhere. Every
method may be called from several threads, for different guests at a time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ganeti.objects import Instance


@dataclass(frozen=True)
class Guest:
    """A guest that its hypervisor knows of; ``memory`` in MiB."""

    name: str
    memory: int
    vcpus: int
    running: bool = True


@dataclass(frozen=True)
class NodeResources:
    """A node's size and what is free of it; memory and disk in MiB.

    ``memory_node`` is what the node uses itself, ``cpu_node`` the CPUs that it
    sees; spindles are counted by nodes with exclusive storage only.
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
    """What a guest is started with: filled parameters, and the paths of its disks.

    ``memory`` (MiB) is what it gets, between its minimum and its maximum.
    """

    instance: Instance
    memory: int
    beparams: Mapping[str, Any]
    hvparams: Mapping[str, Any]
    nicparams: Sequence[Mapping[str, Any]] = ()
    disk_paths: Sequence[str] = ()
    paused: bool = False


class Hypervisor(ABC):
    """One driver on one node; ``directory`` is where it keeps its state."""

    NAME: ClassVar[str]

    def __init__(self, directory: str) -> None:
        self.directory = directory

    @abstractmethod
    def guests(self) -> dict[str, Guest]:
        """All guests by name."""

    @abstractmethod
    def guest(self, name: str) -> Guest | None:
        """One guest, or None."""

    @abstractmethod
    def start(self, start: StartParameters) -> None:
        """Start a guest; ``HypervisorError`` when it runs already or does not start."""

    @abstractmethod
    def stop(self, name: str, *, timeout: int, force: bool) -> None:
        """Stop a guest; when this returns it does not run.

        It has ``timeout`` seconds to shut down by itself, none with ``force``.
        A guest that does not run is no error: it may have ended by itself just now.
        """

    @abstractmethod
    def reboot(self, name: str) -> None:
        """Let a running guest boot anew; ``HypervisorError`` when it does not run."""

    @abstractmethod
    def problems(self) -> list[str]:
        """What keeps this driver from working on this node, in words."""
