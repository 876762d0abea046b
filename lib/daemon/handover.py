"""A process hands its listening sockets to one that takes its place, and no client notices.

The sockets are given as systemd gives them (sd_listen_fds(3)): descriptors from 3
on, ``LISTEN_FDS`` of them, for the process ``LISTEN_PID``. Our own successor gets
two more: a socket by which it says that it is ready, or why it never will be, and
the predecessor's pid file, which it could not open itself without root's rights.
``GANETI_SUCCESSION`` has the numbers of these.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import socket
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass

Environment = MutableMapping[str, str]

#: The first descriptor that is handed on (SD_LISTEN_FDS_START).
FIRST = 3
#: More are no sockets of ours.
MAX_SOCKETS = 16
#: Descriptors from here on are in nobody's way.
_ASIDE = 64
#: Only the new process knows its number before it becomes the program. The folder may be
#: root's, and whoever starts the successor is root no more.
_SCRIPT = '{ cd "$0" 2>/dev/null || cd /; } && LISTEN_PID=$$ && export LISTEN_PID && exec "$@"'


def take_sockets(environment: Environment) -> list[socket.socket]:
    """The listening sockets that this process was started with; children do not get them.

    Raises ``OSError`` that names the descriptor which is none.
    """
    pid, count = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "")
    environment.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    found = []
    for fd in range(FIRST, FIRST + min(int(count), MAX_SOCKETS)):
        try:
            os.set_inheritable(fd, False)
            sock = socket.socket(fileno=fd)
            listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError as err:
            raise OSError(err.errno, f"LISTEN_FDS: descriptor {fd} is no socket") from None
        if not listens:
            raise OSError(errno.EINVAL, f"LISTEN_FDS: descriptor {fd} does not listen")
        found.append(sock)
    return found


class Place:
    """What a successor has of its predecessor."""

    def __init__(self, voice: socket.socket, pid_fd: int) -> None:
        self._voice = voice
        self.pid_fd = pid_fd

    def tell(self, text: str, exit_code: int) -> None:
        """Say to the predecessor how the start went."""
        with contextlib.suppress(OSError), self._voice:
            self._voice.sendall(f"{exit_code} {text}".encode("utf-8", "backslashreplace"))


def take_place(environment: Environment) -> Place | None:
    """None unless this process was started to succeed another."""
    numbers = environment.pop("GANETI_SUCCESSION", "").split()
    if len(numbers) != 2:
        return None
    voice, pid_fd = map(int, numbers)
    for fd in (voice, pid_fd):
        os.set_inheritable(fd, False)
    return Place(socket.socket(fileno=voice), pid_fd)


@dataclass(frozen=True)
class Successor:
    """A process that was started to take our place; ``ear`` hears how its start went."""

    pid: int
    ear: socket.socket

    def hear(self) -> str:
        """Why it cannot take our place; '' when it is ready. Call it once ``ear`` is readable."""
        self.ear.setblocking(True)
        try:
            said = self.ear.recv(4096).decode("utf-8", "replace")
        except OSError:
            said = ""
        self.ear.close()
        code, _, text = said.partition(" ")
        return "" if code == "0" else text or "it said nothing"

    def end(self) -> None:
        """It is not wanted any more; it may have ended already."""
        self.ear.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def start(argv: Sequence[str], folder: str, listeners: Sequence[socket.socket], pid_fd: int,
          environment: Environment) -> Successor:
    """Start a successor: ``argv``, in ``folder``. Raises ``OSError``."""
    ear, voice = socket.socketpair()
    given = [*(listener.fileno() for listener in listeners), voice.fileno(), pid_fd]
    last = FIRST + len(given) - 1
    aside = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _ASIDE) for fd in given]
    try:
        pid = os.posix_spawn(
            "/bin/sh", ["sh", "-c", _SCRIPT, folder, *argv],
            {**environment, "LISTEN_FDS": str(len(listeners)),
             "GANETI_SUCCESSION": f"{last - 1} {last}"},
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, FIRST + index)
                          for index, fd in enumerate(aside)])
    except OSError:
        ear.close()
        raise
    finally:
        voice.close()
        for fd in aside:
            os.close(fd)
    return Successor(pid, ear)
