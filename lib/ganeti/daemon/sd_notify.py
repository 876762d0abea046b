"""Notifies the service manager of this daemon's state (sd_notify(3)).

A message is a datagram to the socket in NOTIFY_SOCKET. Without the variable nothing is sent. A
message that cannot be delivered is logged, but is not an error.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import time

logger = logging.getLogger(__name__)

_VARIABLE = "NOTIFY_SOCKET"
#: Seconds to wait for room in the manager's queue.
_TIMEOUT = 1.0
#: Seconds to wait until the manager has read all messages before a barrier.
BARRIER_TIMEOUT = 5.0


def is_listening() -> bool:
    """Return whether a service manager wants notifications."""
    return bool(_address())


def ready() -> None:
    """Notify that the start or a reload is complete."""
    _send("READY=1")


def reloading() -> None:
    """Notify that a reload begins; ``ready`` must follow."""
    _send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping() -> None:
    """Notify that the daemon is stopping."""
    _send("STOPPING=1")


def main_pid(pid: int) -> None:
    """Notify that another process is the daemon now; call ``barrier`` before this one exits."""
    _send(f"MAINPID={pid}")


def barrier() -> None:
    """Wait until the manager has read all earlier messages.

    The manager finds a sender's unit by its process, so a message is lost if the process has
    ended. A barrier passes the write end of a pipe, which the manager closes once it gets to it.
    """
    if not is_listening():
        return
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        _send("BARRIER=1", writer)
    finally:
        os.close(writer)
    poll = select.poll()
    poll.register(reader, 0)  # poll(2) always reports a hang-up
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
        logger.warning("Cannot send %s to the service manager: %s", text.partition("\n")[0], err)
