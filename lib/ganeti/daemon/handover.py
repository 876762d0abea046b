"""A process hands its listening sockets to a successor, and no client notices.

Theory. The sockets are given as systemd gives them (sd_listen_fds(3)): descriptors from 3
on, ``LISTEN_FDS`` of them, for the process ``LISTEN_PID``. Our own successor gets two
more, whose numbers are in ``GANETI_SUCCESSION``: a socket by which it says that it is
ready, or why it never will be, and the open pid file, whose lock it shares from its birth.

    predecessor                           successor
    start() ............................. inherit(): has the sockets and the lock
    serves on                             reads its files, becomes ready
                                          writes its number into the pid file
    hears "0" <-------------------------- report("", 0)
    stops accepting, finishes, leaves     serves
    (or: hears why not, ends it,
     writes its own number again)

From then on a signal that still reaches the predecessor is meant for the daemon, and it
passes it on. Where the process that was started must not end as long as the service runs
(``daemon.life`` knows), it stays for that alone: see ``follow``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import signal
import socket
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass

from ganeti.daemon.pid_file import PidFile

Environment = MutableMapping[str, str]

#: The first descriptor that is handed on (SD_LISTEN_FDS_START).
FIRST = 3
#: More are no sockets of ours.
MAX_SOCKETS = 16
#: Descriptors from here on are in nobody's way.
_FIRST_SPARE_FD = 64
#: Bytes of the end of what a failed successor wrote to standard error.
_MAX_STDERR_TAIL = 2000
#: Seconds that a killed process may take to be gone; init collects it, not we.
_KILL_TIMEOUT = 5.0
_VARIABLE = "GANETI_SUCCESSION"
#: Only the new process knows its number before it becomes the program. The folder may be
#: root's, and the predecessor has given up root's rights.
_SCRIPT = '{ cd "$0" 2>/dev/null || cd /; } && LISTEN_PID=$$ && export LISTEN_PID && exec "$@"'
#: The successor must be a child of init's, and of ours no more, before the service manager is
#: told of it: systemd decides at that moment whether it will hear of the end of its new main
#: process, and kills one at a stop, without SIGTERM's grace, of which it will not.
_ORPHAN = 'sh -c "$@" >&2 & echo $!'


def take_sockets(environment: Environment) -> list[socket.socket]:
    """The listening sockets that this process was started with; children do not get them.

    Raises ``OSError`` that names the descriptor which is not one.
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


class Inherited:
    """The things that a successor inherits from its predecessor, besides the sockets."""

    def __init__(self, ready_writer: socket.socket, pid_fd: int) -> None:
        self._ready_writer = ready_writer
        self.pid_fd = pid_fd

    def report(self, text: str, exit_code: int) -> None:
        """Tell the predecessor how the start went, and leave its standard error alone.

        That is a file of the predecessor's for the words of a start that fails.
        """
        with contextlib.suppress(OSError), self._ready_writer:
            self._ready_writer.sendall(f"{exit_code} {text}".encode("utf-8", "backslashreplace"))


def inherit(environment: Environment) -> Inherited | None:
    """None unless this process was started to succeed another."""
    numbers = environment.pop(_VARIABLE, "").split()
    if len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
        return None
    ready_writer, pid_fd = map(int, numbers)
    for fd in (ready_writer, pid_fd):
        os.set_inheritable(fd, False)
    return Inherited(socket.socket(fileno=ready_writer), pid_fd)


@dataclass(frozen=True)
class Successor:
    """A process that was started to take over; ``ready_reader`` is readable once it says so."""

    pid: int
    ready_reader: socket.socket
    #: What it writes to standard error while it starts; -1: that is our own.
    stderr: int = -1

    def problem(self) -> str:
        """Why it cannot take over; '' when it is ready. Call once ``ready_reader`` is readable."""
        self.ready_reader.setblocking(True)
        try:
            report = self.ready_reader.recv(4096).decode("utf-8", "replace")
        except OSError:
            report = ""
        self.ready_reader.close()
        code, _, text = report.partition(" ")
        if code == "0":
            self._close_stderr()
            return ""
        return text or self._stderr_tail() or "it ended without a word"

    def end(self) -> None:
        """Kill it; it may have ended already."""
        self.ready_reader.close()
        self._close_stderr()
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGKILL)
            _await_end(self.pid, _KILL_TIMEOUT)

    def _stderr_tail(self) -> str:
        """The end of what it wrote, lines joined; '' for nothing."""
        if self.stderr < 0:
            return ""
        size = os.fstat(self.stderr).st_size
        start = max(0, size - _MAX_STDERR_TAIL)
        text = os.pread(self.stderr, _MAX_STDERR_TAIL, start).decode("utf-8", "replace")
        lines = [line.strip() for line in text.splitlines()]
        return " / ".join(line for line in lines if line)

    def _close_stderr(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self.stderr)


def start(
    argv: Sequence[str],
    folder: str,
    listeners: Sequence[socket.socket],
    pid_fd: int,
    environment: Environment,
    *,
    keep_stderr: bool = True,
) -> Successor:
    """Start a successor: ``argv``, in ``folder``. Raises ``OSError``.

    Without ``keep_stderr`` (ours leads nowhere) its standard error is kept for
    ``Successor.problem``: a program that is half installed dies before it can say why.
    """
    ready_reader, ready_writer = socket.socketpair()
    descriptors = [*(listener.fileno() for listener in listeners), ready_writer.fileno(), pid_fd]
    last = FIRST + len(descriptors) - 1
    spare_fds = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_SPARE_FD) for fd in descriptors]
    stderr = -1 if keep_stderr else os.memfd_create("stderr", os.MFD_CLOEXEC)
    actions = [(os.POSIX_SPAWN_DUP2, fd, FIRST + index) for index, fd in enumerate(spare_fds)]
    if stderr >= 0:
        actions.append((os.POSIX_SPAWN_DUP2, stderr, 2))
    pid_reader, pid_writer = os.pipe2(os.O_CLOEXEC)
    actions.append((os.POSIX_SPAWN_DUP2, pid_writer, 1))
    try:
        shell = os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", _ORPHAN, "sh", _SCRIPT, folder, *argv],
            {**environment, "LISTEN_FDS": str(len(listeners)), _VARIABLE: f"{last - 1} {last}"},
            file_actions=actions,
        )
    except OSError:
        ready_reader.close()
        if stderr >= 0:
            os.close(stderr)
        raise
    finally:
        ready_writer.close()
        for fd in (*spare_fds, pid_writer):
            os.close(fd)
    with open(pid_reader, "rb") as file:
        pid = file.read().strip()
    os.waitpid(shell, 0)
    if not pid.isdigit():
        ready_reader.close()
        if stderr >= 0:
            os.close(stderr)
        raise OSError(errno.EAGAIN, "the shell could not start it")
    return Successor(int(pid), ready_reader, stderr)


def can_follow() -> bool:
    """Does the kernel let us wait for a process that is not our child (Linux 5.3)?"""
    try:
        os.close(os.pidfd_open(os.getpid()))
        return True
    except OSError:
        return False


def follow(pid_file: PidFile, pid: int) -> int | None:
    """Wait until the daemon has ended, however often it is succeeded.

    ``pid`` is our own successor. When that one leaves to a successor of its own, the pid
    file names the next. A daemon that ends as it was told removes the file: then None is
    returned. One that crashed leaves it behind: its pid is returned.
    """
    while True:
        _await_end(pid)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # ours after all where we are a container's init
        following = pid_file.read()
        if not pid_file.is_in_place():
            return None
        if following is None or following == pid:
            return pid
        pid = following


def _await_end(pid: int, timeout: float | None = None) -> None:
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.poll(None if timeout is None else timeout * 1000)
    finally:
        os.close(fd)
