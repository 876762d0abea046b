"""Finds the process that serves a Unix socket, without sending a byte and without waiting."""

from __future__ import annotations

import contextlib
import socket
import struct
from dataclasses import dataclass

from ganeti.utils import io, procfs


@dataclass(frozen=True)
class Listener:
    """A process that serves a socket; ``pid`` is 0 if the kernel does not tell it."""

    pid: int = 0
    name: str = ""

    def __str__(self) -> str:
        """Return its name and pid, for a message."""
        if not self.pid:
            return "another process"
        return f"{self.name or 'a process'} (pid {self.pid})"


def find_listener(path: str) -> Listener | None:
    """Return the process that serves the socket ``path``; None if certainly no process does.

    A full backlog and all unclear results count as a process: the socket of a running master
    must never be taken for a stale one. Raise ``PermissionError`` if we may not connect.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    with contextlib.closing(sock):
        try:
            with io.short_socket_path(path) as short:
                sock.connect(short)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            return None
        except PermissionError as err:
            raise PermissionError(err.errno, err.strerror, path) from None
        except OSError:
            return Listener()
        # The credentials are those of the process that called listen(2).
        pid, _, _ = struct.unpack(
            "3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        )
    return Listener(pid, procfs.name_of(pid) or "") if pid > 0 else Listener()
