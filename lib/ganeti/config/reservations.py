"""Claims of running jobs: names, MAC addresses, ports and minors that are not written yet.

A job that creates an instance chooses a MAC address long before the instance is in
the configuration. The choice is kept here until the opcode ends, so that no other job
chooses the same. Claims exist in memory only, because a crash ends the jobs that made
them.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ganeti import constants, errors, ht
from ganeti.constants import ErrorCode

#: Attempts to find a free MAC address among the 16 million of a prefix.
MAC_ATTEMPTS = 64

_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}", re.ASCII | re.IGNORECASE)

_PORTS = constants.LAST_NETWORK_PORT - constants.FIRST_NETWORK_PORT + 1


@dataclass
class _Claims:
    """Names and numbers that one job has claimed until its opcode ends."""

    macs: set[str] = field(default_factory=set)
    ports: set[int] = field(default_factory=set)
    minors: set[tuple[str, int]] = field(default_factory=set)
    #: Name of the instance that the job is to create.
    name: str = ""
    #: The resolver may still append a domain to the name.
    incomplete: bool = False


class Reservations:
    """Claims of running jobs, by job id; safe to call from every thread.

    The three functions tell what the configuration uses already.
    """

    def __init__(
        self,
        default_prefix: str,
        *,
        mac_in_use: Callable[[str], bool],
        port_in_use: Callable[[int], bool],
        minors_in_use: Callable[[str], Iterable[int]],
    ) -> None:
        self._prefix = default_prefix
        self._mac_in_use = mac_in_use
        self._port_in_use = port_in_use
        self._minors_in_use = minors_in_use
        self._mutex = threading.Lock()
        #: Read elsewhere to skip jobs without claims, which most jobs are.
        self.claims: dict[int, _Claims] = {}
        self._next_port = constants.FIRST_NETWORK_PORT

    def generate_mac(self, job_id: int, prefix: str | None = None) -> str:
        """Claim and return a free MAC address with the cluster's prefix or another one."""
        with self._mutex:
            for _ in range(MAC_ATTEMPTS):
                tail = secrets.token_hex(3)
                mac = f"{prefix or self._prefix}:{tail[:2]}:{tail[2:4]}:{tail[4:]}"
                if self._mac_is_free(mac):
                    self._claims_of(job_id).macs.add(mac)
                    return mac
        raise errors.OpPrereqError(
            f"Found no free MAC address with the prefix {prefix or self._prefix}", ErrorCode.NORES
        )

    def reserve_mac(self, job_id: int, mac: str) -> None:
        """Claim a MAC address (in lower case); raise ``OpPrereqError`` if it is in use."""
        with self._mutex:
            if not self._mac_is_free(mac):
                raise errors.OpPrereqError(
                    f"MAC address {mac} already in use in cluster", ErrorCode.NOTUNIQUE
                )
            self._claims_of(job_id).macs.add(mac)

    def reserve_port(self, job_id: int) -> int:
        """Claim and return a free network port.

        The search continues where the last one ended. A port that was given up is
        therefore not handed out again at once, and no search tries all ports in use.
        """
        with self._mutex:
            claimed = {port for claims in self.claims.values() for port in claims.ports}
            for _ in range(_PORTS):
                port = self._next_port
                self._next_port += 1
                if self._next_port > constants.LAST_NETWORK_PORT:
                    self._next_port = constants.FIRST_NETWORK_PORT
                if port not in claimed and not self._port_in_use(port):
                    self._claims_of(job_id).ports.add(port)
                    return port
        raise errors.OpPrereqError("All network ports for instances are in use", ErrorCode.NORES)

    def reserve_minor(self, job_id: int, node_uuid: str) -> int:
        """Claim and return the lowest free DRBD minor of a node."""
        with self._mutex:
            taken = set(self._minors_in_use(node_uuid))
            taken |= {
                minor
                for claims in self.claims.values()
                for node, minor in claims.minors
                if node == node_uuid
            }
            # Of one number more than are taken, at least one is free.
            minor = next(number for number in range(len(taken) + 1) if number not in taken)
            self._claims_of(job_id).minors.add((node_uuid, minor))
            return minor

    def expect_name(self, job_id: int, name: str, *, incomplete: bool) -> None:
        """Record the name, in its stored form, of the instance that a job is to create.

        An ``incomplete`` name is one to which the resolver may still append a domain.
        """
        with self._mutex:
            claims = self._claims_of(job_id)
            claims.name, claims.incomplete = name, incomplete

    def expected_name(self, name: str) -> str | None:
        """Return the expected name that ``name`` refers to, or None if that is ambiguous."""
        with self._mutex:
            found = {
                claims.name
                for claims in self.claims.values()
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
        """Forget a job's claims: its opcode has ended, and what it used is written."""
        with self._mutex:
            self.claims.pop(job_id, None)

    def _claims_of(self, job_id: int) -> _Claims:
        return self.claims.setdefault(job_id, _Claims())

    def _mac_is_free(self, mac: str) -> bool:
        return not self._mac_in_use(mac) and not any(
            mac in claims.macs for claims in self.claims.values()
        )


def _is_unicast_mac(text: str) -> bool:
    return _MAC.fullmatch(text) is not None and not int(text[:2], 16) & 1


def read_mac(text: object) -> str:
    """Return a MAC address in its stored form (lower case, colons).

    Raise ``OpPrereqError`` for anything else, and for a group address (lowest bit of the
    first octet, IEEE 802), which no card can have.
    """
    if not isinstance(text, str) or not _is_unicast_mac(text):
        raise errors.OpPrereqError(f"Invalid MAC address {ht.shorten(text)}", ErrorCode.INVAL)
    return text.lower()
