"""Listening sockets of ganeti-rapi: ports, addresses, interfaces, and the number of clients."""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import socket
import struct
from collections.abc import Sequence

from ganeti import constants, pathutils
from ganeti.daemon import DaemonError
from ganeti.utils import io, procfs
from ganeti.utils.text import describe_os_error

#: Descriptors that are not clients: listener, log, connections to the master, files.
SPARE_DESCRIPTORS = 128
#: Linux's request for an interface's IPv4 address (linux/sockios.h).
_SIOCGIFADDR = 0x8915
_BACKLOG = 1024


def default_port() -> int:
    """Return the port of the service in /etc/services, else Ganeti's default."""
    try:
        return socket.getservbyname(constants.RAPI_SERVICE, "tcp")
    except OSError:
        return constants.DEFAULT_RAPI_PORT


def any_address(paths: pathutils.Paths) -> str:
    """Return the wildcard address of the family that the cluster uses."""
    try:
        with open(paths.ssconf("primary_ip_family"), encoding="ascii") as file:
            family = file.read().strip()
    except OSError:
        family = ""
    return "::" if family == str(int(socket.AF_INET6)) else "0.0.0.0"


def interface_address(name: str) -> str:
    """Return an interface's IPv4 address, else its IPv6 address; raises ``DaemonError``."""
    try:
        socket.if_nametoindex(name)  # the ioctl below would truncate a long name
    except OSError:
        raise DaemonError(f"there is no interface {name}") from None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            packed = fcntl.ioctl(sock.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()))
            return socket.inet_ntoa(packed[20:24])
        except OSError:
            pass
    with open("/proc/net/if_inet6", encoding="ascii") as file:
        for line in file:
            digits, _, _, scope, _, interface = line.split()
            if interface == name and scope != "20":  # 20: link-local, needs a zone
                return str(ipaddress.IPv6Address(int(digits, 16)))
    raise DaemonError(f"interface {name} has no address")


def listen(address: str, port: int) -> socket.socket:
    """Return a listening socket; raises ``DaemonError`` with the address and the reason."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(
            address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as err:
        raise _cannot_listen(address, port, err) from None
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # "::" serves IPv4 as well, whatever this machine's default is.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(target)
        sock.listen(_BACKLOG)
        return sock
    except OSError as err:
        sock.close()
        raise _cannot_listen(address, port, err) from None


def _cannot_listen(address: str, port: int, err: OSError) -> DaemonError:
    """Return the error for a socket that could not be opened; it names who holds the port."""
    where = f"cannot listen on {address} port {port}: "
    if err.errno == errno.EADDRINUSE:
        holders = [procfs.describe(pid) for pid in procfs.listeners_on(port)]
        if holders:
            return DaemonError(f"{where}{', '.join(holders)} already does")
    if err.errno == errno.EADDRNOTAVAIL:
        return DaemonError(f"{where}this machine does not have that address")
    if err.errno == errno.EACCES:
        return DaemonError(f"{where}ports below 1024 need root's rights to start")
    return DaemonError(where + describe_os_error(err))


def describe(sock: socket.socket) -> str:
    """Return where a socket listens, in words for people."""
    if sock.family == socket.AF_UNIX:
        name = sock.getsockname()
        if isinstance(name, bytes):  # an abstract socket (unix(7))
            return "@" + name.removeprefix(b"\0").decode("utf-8", errors="replace")
        return name or "a socket without a name"
    host, port = sock.getsockname()[:2]
    return f"{host} port {port}"


def tcp_port(listeners: Sequence[socket.socket], otherwise: int) -> int:
    """Return the port of the first TCP socket, or ``otherwise`` without one."""
    for sock in listeners:
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            return int(sock.getsockname()[1])
    return otherwise


def is_public(sock: socket.socket) -> bool:
    """Return whether clients on other machines can connect."""
    if sock.family == socket.AF_UNIX:
        return False
    address = ipaddress.ip_address(sock.getsockname()[0].partition("%")[0])
    return not address.is_loopback


def raise_descriptor_limit(max_clients: int) -> int:
    """Raise the limit on descriptors for this many clients and their waits; return how many
    clients fit."""
    limit = io.raise_descriptor_limit(
        max_clients + max_job_waits(max_clients) + SPARE_DESCRIPTORS, beyond_hard=True
    )
    return min(max_clients, max(1, (limit - SPARE_DESCRIPTORS) * 2 // 3))


def max_job_waits(max_clients: int) -> int:
    """Return how many of so many clients may wait for jobs at the same time.

    That is half of them, which leaves room for others. Each wait needs a connection to the master
    as well.
    """
    return max(1, max_clients // 2)
