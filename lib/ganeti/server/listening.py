"""Where ganeti-rapi listens: ports, addresses, interfaces, and how many clients fit."""

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
    """The port of the service in /etc/services, else Ganeti's."""
    try:
        return socket.getservbyname(constants.RAPI_SERVICE, "tcp")
    except OSError:
        return constants.DEFAULT_RAPI_PORT


def any_address(paths: pathutils.Paths) -> str:
    """All addresses, of the family that the cluster uses."""
    try:
        with open(paths.ssconf("primary_ip_family"), encoding="ascii") as file:
            family = file.read().strip()
    except OSError:
        family = ""
    return "::" if family == str(int(socket.AF_INET6)) else "0.0.0.0"


def interface_address(name: str) -> str:
    """An interface's IPv4 address, else its IPv6 one; raises ``DaemonError``."""
    try:
        socket.if_nametoindex(name)  # the request below would cut a long name off
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
    """A listening socket; raises ``DaemonError`` that says which address failed, and why."""
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
    """The words for a socket that could not be opened, and for who is in the way."""
    where = f"cannot listen on {address} port {port}: "
    if err.errno == errno.EADDRINUSE:
        holders = [procfs.describe(pid) for pid in procfs.listeners_on(port)]
        if holders:
            return DaemonError(f"{where}{', '.join(holders)} does already")
    if err.errno == errno.EADDRNOTAVAIL:
        return DaemonError(f"{where}this machine does not have that address")
    if err.errno == errno.EACCES:
        return DaemonError(f"{where}ports below 1024 need root's rights to start")
    return DaemonError(where + describe_os_error(err))


def describe(sock: socket.socket) -> str:
    """Where it listens, for people."""
    if sock.family == socket.AF_UNIX:
        name = sock.getsockname()
        if isinstance(name, bytes):  # an abstract socket (unix(7))
            return "@" + name.removeprefix(b"\0").decode("utf-8", errors="replace")
        return name or "a socket without a name"
    host, port = sock.getsockname()[:2]
    return f"{host} port {port}"


def tcp_port(listeners: Sequence[socket.socket], otherwise: int) -> int:
    """The port of the first socket that has one."""
    for sock in listeners:
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            return int(sock.getsockname()[1])
    return otherwise


def is_public(sock: socket.socket) -> bool:
    """Can others than this machine connect?"""
    if sock.family == socket.AF_UNIX:
        return False
    address = ipaddress.ip_address(sock.getsockname()[0].partition("%")[0])
    return not address.is_loopback


def raise_descriptor_limit(max_clients: int) -> int:
    """Raise the limit on descriptors for this many clients and their waits; return how many
    clients fit."""
    limit = io.raise_descriptor_limit(max_clients + max_job_waits(max_clients) + SPARE_DESCRIPTORS)
    return min(max_clients, max(1, (limit - SPARE_DESCRIPTORS) * 2 // 3))


def max_job_waits(max_clients: int) -> int:
    """How many of so many clients may wait for jobs at the same time.

    Half: so the others have room to come in. Each wait is a connection to the master, too.
    """
    return max(1, max_clients // 2)
