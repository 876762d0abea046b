"""What running jobs have claimed and not yet written: names, MACs, ports, minors, memory and disk.

A job that makes an instance chooses a MAC address long before the instance is
in the configuration. Until its opcode ends the choice is kept here, so that no
job beside it chooses the same. All of it is in memory: a crash ends the jobs.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from ganeti import constants, errors, ht
from ganeti.constants import ErrorCode

#: Attempts to find a free MAC address; 16 million fit one prefix.
MAC_ATTEMPTS = 64

_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}", re.ASCII | re.IGNORECASE)

_PORTS = constants.LAST_NETWORK_PORT - constants.FIRST_NETWORK_PORT + 1


class InUse(Protocol):
    """What the configuration already uses."""

    def mac_in_use(self, mac: str) -> bool: ...

    def port_in_use(self, port: int) -> bool: ...

    def minors_in_use(self, node_uuid: str) -> Iterable[int]: ...


@dataclass
class _Claims:
    """One job's."""

    macs: set[str] = field(default_factory=set)
    ports: set[int] = field(default_factory=set)
    minors: set[tuple[str, int]] = field(default_factory=set)
    resources: dict[str, tuple[int, int]] = field(default_factory=dict)
    #: The instance that the job is to create; and may the resolver complete its name?
    name: str = ""
    incomplete: bool = False


class Reservations:
    """Claims of running jobs, by job id; safe to call from every thread."""

    def __init__(self, in_use: InUse, default_prefix: str) -> None:
        self._in_use = in_use
        self._prefix = default_prefix
        self._mutex = threading.Lock()
        self._jobs: dict[int, _Claims] = {}
        self._next_port = constants.FIRST_NETWORK_PORT

    def generate_mac(self, job_id: int, prefix: str | None = None) -> str:
        """A MAC address that nobody has, below the cluster's or another prefix."""
        with self._mutex:
            for _ in range(MAC_ATTEMPTS):
                tail = secrets.token_hex(3)
                mac = f"{prefix or self._prefix}:{tail[:2]}:{tail[2:4]}:{tail[4:]}"
                if self._mac_is_free(mac):
                    self._claims(job_id).macs.add(mac)
                    return mac
        raise errors.OpPrereqError(
            f"Found no free MAC address with the prefix {prefix or self._prefix}", ErrorCode.NORES
        )

    def reserve_mac(self, job_id: int, mac: str) -> None:
        """Claim this MAC address, given in lower case; ``OpPrereqError`` when it is taken."""
        with self._mutex:
            if not self._mac_is_free(mac):
                raise errors.OpPrereqError(
                    f"MAC address {mac} already in use in cluster", ErrorCode.NOTUNIQUE
                )
            self._claims(job_id).macs.add(mac)

    def reserve_port(self, job_id: int) -> int:
        """A free network port; the search goes on where the last one ended.

        So a port that was given up is not handed out again at once, and a search
        does not pass over all the ports in use.
        """
        with self._mutex:
            claimed = {port for claims in self._jobs.values() for port in claims.ports}
            for _ in range(_PORTS):
                port = self._next_port
                self._next_port += 1
                if self._next_port > constants.LAST_NETWORK_PORT:
                    self._next_port = constants.FIRST_NETWORK_PORT
                if port not in claimed and not self._in_use.port_in_use(port):
                    self._claims(job_id).ports.add(port)
                    return port
        raise errors.OpPrereqError("All network ports for instances are in use", ErrorCode.NORES)

    def reserve_minor(self, job_id: int, node_uuid: str) -> int:
        """The lowest free DRBD minor of a node."""
        with self._mutex:
            taken = set(self._in_use.minors_in_use(node_uuid))
            taken |= {
                minor
                for claims in self._jobs.values()
                for node, minor in claims.minors
                if node == node_uuid
            }
            minor = next(number for number in range(len(taken) + 1) if number not in taken)
            self._claims(job_id).minors.add((node_uuid, minor))
            return minor

    def reserve_resources(self, job_id: int, node_uuid: str, memory: int, disk: int) -> None:
        """Claim memory and disk (MiB) on a node, on top of what the job claimed before."""
        with self._mutex:
            resources = self._claims(job_id).resources
            old_memory, old_disk = resources.get(node_uuid, (0, 0))
            resources[node_uuid] = (old_memory + memory, old_disk + disk)

    def reserved(self, node_uuid: str, *, excluding: int | None = None) -> tuple[int, int]:
        """Memory and disk (MiB) that jobs have claimed on a node, without job ``excluding``'s."""
        with self._mutex:
            claims = [
                job.resources[node_uuid]
                for job_id, job in self._jobs.items()
                if job_id != excluding and node_uuid in job.resources
            ]
        return sum(memory for memory, _ in claims), sum(disk for _, disk in claims)

    def expect_name(self, job_id: int, name: str, *, incomplete: bool) -> None:
        """Tell that a job is to create an instance of this name (as it is stored).

        ``incomplete``: the resolver will say how the name goes on.
        """
        with self._mutex:
            claims = self._claims(job_id)
            claims.name, claims.incomplete = name, incomplete

    def expected_name(self, name: str) -> str | None:
        """The expected name that this one may mean; None where there is none, or several."""
        with self._mutex:
            found = {
                claims.name
                for claims in self._jobs.values()
                if claims.name
                and (
                    f"{claims.name}.".startswith(f"{name}.")
                    or (claims.incomplete and name.startswith(f"{claims.name}."))
                )
            }
        if name in found:
            return name
        return found.pop() if len(found) == 1 else None

    def release(self, job_id: int) -> None:
        """Forget a job's claims: its opcode ended, and what it used is written."""
        with self._mutex:
            self._jobs.pop(job_id, None)

    def _claims(self, job_id: int) -> _Claims:
        return self._jobs.setdefault(job_id, _Claims())

    def _mac_is_free(self, mac: str) -> bool:
        return not self._in_use.mac_in_use(mac) and not any(
            mac in claims.macs for claims in self._jobs.values()
        )


def _is_unicast_mac(text: str) -> bool:
    return _MAC.fullmatch(text) is not None and not int(text[:2], 16) & 1


def read_mac(text: object) -> str:
    """A MAC address in its stored form (lower case, colons).

    ``OpPrereqError`` when it is none, or stands for a group of cards (its lowest
    bit, IEEE 802): no card can have such an address.
    """
    if not isinstance(text, str) or not _is_unicast_mac(text):
        raise errors.OpPrereqError(f"Invalid MAC address {ht.shorten(text)}", ErrorCode.INVAL)
    return text.lower()
