"""Facts about this machine from the kernel: names, memory, CPUs, disk space, addresses."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class Memory:
    """Memory in MiB: installed, and available to programs."""

    total: int
    available: int


@dataclass(frozen=True)
class Cpus:
    """Logical CPUs, NUMA nodes, and sockets."""

    total: int
    nodes: int
    sockets: int


def name(environ: Mapping[str, str] = os.environ) -> str:
    """Return this machine's name in lower case: GANETI_HOSTNAME, or the kernel's host name."""
    return (environ.get("GANETI_HOSTNAME") or socket.gethostname()).lower()


def own_names() -> set[str]:
    """Return the names, in lower case, that a cluster's files may have for this machine."""
    own = name()
    # The resolver may be slow; it is not asked about a qualified name or GANETI_HOSTNAME.
    if "." in own or os.environ.get("GANETI_HOSTNAME"):
        return {own}
    return {own, socket.getfqdn().lower()}


def renamed(master: str, names: set[str]) -> str:
    """Return the message for a machine whose name differs from the master in its database."""
    return (
        f"this machine is called {' or '.join(sorted(names))} now, but its cluster knows it "
        f"as {master}: give it that name, or set GANETI_HOSTNAME={master} in the "
        "environment of ganeti-masterd and ganeti-rapi"
    )


def memory(path: str = "/proc/meminfo") -> Memory:
    """Return this machine's memory from proc(5), whose sizes are in KiB."""
    with open(path, encoding="ascii") as file:
        values = {
            name: int(rest.split()[0])
            for name, _, rest in (line.partition(":") for line in file)
            if rest.split()
        }
    return Memory(values["MemTotal"] // 1024, values["MemAvailable"] // 1024)


def cpus(path: str = "/sys/devices/system") -> Cpus:
    """Return the CPUs according to sysfs; a number that it does not tell is 1."""
    total = os.cpu_count() or 1
    nodes = [name for name in _names(f"{path}/node") if re.fullmatch("node[0-9]+", name)]
    sockets = {
        _first_line(f"{path}/cpu/{name}/topology/physical_package_id")
        for name in _names(f"{path}/cpu")
        if re.fullmatch("cpu[0-9]+", name)
    } - {""}
    return Cpus(total, len(nodes) or 1, len(sockets) or 1)


def boot_id(path: str = "/proc/sys/kernel/random/boot_id") -> str:
    """Return the kernel's UUID of this boot; it changes with every boot."""
    return _first_line(path)


def disk(path: str) -> tuple[int, int]:
    """Return size and free space, in MiB, of the file system that has or would have ``path``."""
    while not os.path.exists(path) and path not in ("", "/"):
        path = os.path.dirname(path)
    found = os.statvfs(path or "/")
    return (found.f_blocks * found.f_frsize // MIB, found.f_bavail * found.f_frsize // MIB)


def addresses(ipv4: str = "/proc/net/fib_trie", ipv6: str = "/proc/net/if_inet6") -> list[str]:
    """Return this machine's addresses, sorted, without loopback and link-local ones."""
    local = re.findall(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL", _text(ipv4))
    found = {address for address in local if not address.startswith(("127.", "169.254."))}
    for line in _text(ipv6).splitlines():
        digits = line.split()[0]
        if digits != "0" * 31 + "1" and not digits.startswith("fe80"):
            found.add(":".join(digits[start : start + 4] for start in range(0, 32, 4)))
    return sorted(found)


def _names(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _first_line(path: str) -> str:
    return _text(path).partition("\n")[0].strip()
