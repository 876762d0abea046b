"""Tells the service manager how this daemon is (sd_notify(3)).

A datagram to the socket that NOTIFY_SOCKET names. Where the variable is not set nobody
listens, and nothing is sent; a message that cannot be delivered is logged and is no reason
to fail.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import time

logger = logging.getLogger(__name__)

_VARIABLE = "NOTIFY_SOCKET"
#: Seconds that a message may wait for room in the manager's queue.
_TIMEOUT = 1.0
#: Seconds to wait until the manager has read everything before a barrier.
BARRIER_TIMEOUT = 5.0


def is_listening() -> bool:
    """Does a service manager want to be told?"""
    return bool(_address())


def ready() -> None:
    """The start, or a reload, is complete."""
    _send("READY=1")


def reloading() -> None:
    """A reload begins; ``ready`` ends it."""
    _send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping() -> None:
    """The daemon begins to end."""
    _send("STOPPING=1")


def main_pid(pid: int) -> None:
    """Another process is the daemon from now on; ``barrier`` before this one ends."""
    _send(f"MAINPID={pid}")


def barrier() -> None:
    """Wait until the manager has read whatever was sent before.

    It finds a sender's unit by its process: a message from one that has ended meanwhile
    would be lost. So a pipe goes along, which the manager closes when its turn comes.
    """
    if not is_listening():
        return
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        _send("BARRIER=1", writer)
    finally:
        os.close(writer)
    poll = select.poll()
    poll.register(reader, 0)  # the hang-up is always told
    poll.poll(BARRIER_TIMEOUT * 1000)
    os.close(reader)


def _address() -> str:
    name = os.environ.get(_VARIABLE, "")
    if name.startswith("@"):  # an abstract socket (unix(7))
        return "\0" + name[1:]
    return name if name.startswith("/") else ""


def _send(text: str, *descriptors: int) -> None:
    address = _address()
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.settimeout(_TIMEOUT)
            sock.connect(address)
            socket.send_fds(sock, [text.encode("ascii")], list(descriptors))
    except OSError as err:
        logger.warning("The service manager was not told %s: %s", text.partition("\n")[0], err)
