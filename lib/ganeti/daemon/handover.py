"""Hands the listening sockets to a successor without a client noticing.

Theory. The sockets are passed as systemd passes them (sd_listen_fds(3)): ``LISTEN_FDS``
descriptors from 3 on, for the process ``LISTEN_PID``. Our own successor gets two more, whose
numbers are in ``GANETI_SUCCESSION``: a socket on which it reports that it is ready, or why it
cannot start, and the open pid file, whose lock it shares from its start.

    predecessor                           successor
    start() ............................. inherit(): gets the sockets and the lock
    continues to serve                    reads its files, becomes ready
                                          writes its pid into the pid file
    receives "0" <----------------------- report("", 0)
    stops accepting, finishes, exits      serves
    (or: receives the reason, kills it,
     writes its own pid again)

After that a signal to the predecessor is meant for the daemon, so it is passed on. Where the
first process must not exit as long as the service runs (see ``daemon.life``), it remains for
that purpose alone: see ``follow``.
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

#: The first descriptor that is passed (SD_LISTEN_FDS_START).
FIRST = 3
#: Sockets that are taken at most; we never pass more.
MAX_SOCKETS = 16
#: Copies of descriptors get numbers from here on, above all that are passed.
_FIRST_SPARE_FD = 64
#: Bytes at the end of a failed successor's standard error that are quoted.
_MAX_STDERR_TAIL = 2000
#: Seconds to wait until a killed process has been reaped, by init and not by us.
_KILL_TIMEOUT = 5.0
_VARIABLE = "GANETI_SUCCESSION"
#: The shell exports LISTEN_PID because the pid is unknown before the process exists. cd may
#: fail: the folder may be root's, and the predecessor is no longer root.
_SCRIPT = '{ cd "$0" 2>/dev/null || cd /; } && LISTEN_PID=$$ && export LISTEN_PID && exec "$@"'
#: The successor must be init's child, and no longer ours, before systemd learns of it. systemd
#: decides at that moment whether it will be notified when its new main process ends; one for
#: which it is not notified is killed at a stop without SIGTERM's grace period.
_ORPHAN = 'sh -c "$@" >&2 & echo $!'


def take_sockets(environment: Environment) -> list[socket.socket]:
    """Return the listening sockets that were passed to this process; children do not get them.

    Raise ``OSError`` naming the descriptor that is not a listening socket.
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
            raise OSError(err.errno, f"LISTEN_FDS: descriptor {fd} is not a socket") from None
        if not listens:
            raise OSError(errno.EINVAL, f"LISTEN_FDS: descriptor {fd} does not listen")
        found.append(sock)
    return found


class Inherited:
    """The socket for the report and the pid file, which a successor gets from its predecessor."""

    def __init__(self, ready_writer: socket.socket, pid_fd: int) -> None:
        self._ready_writer = ready_writer
        self.pid_fd = pid_fd

    def report(self, text: str, exit_code: int) -> None:
        """Report to the predecessor how the start went; exit code 0 means that it succeeded.

        Nothing is written to standard error, which is a file of the predecessor's for messages
        of a start that fails before this.
        """
        with contextlib.suppress(OSError), self._ready_writer:
            self._ready_writer.sendall(f"{exit_code} {text}".encode("utf-8", "backslashreplace"))


def inherit(environment: Environment) -> Inherited | None:
    """Return what the predecessor has passed, or None if there is no predecessor."""
    numbers = environment.pop(_VARIABLE, "").split()
    if len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
        return None
    ready_writer, pid_fd = map(int, numbers)
    for fd in (ready_writer, pid_fd):
        os.set_inheritable(fd, False)
    return Inherited(socket.socket(fileno=ready_writer), pid_fd)


@dataclass(frozen=True)
class Successor:
    """A process that was started to take over; ``ready_reader`` is readable once it reports."""

    pid: int
    ready_reader: socket.socket
    #: A file with its standard error during the start; -1 if that is our own standard error.
    stderr: int = -1

    def problem(self) -> str:
        """Return why it cannot take over, or '' if it is ready; blocks until it reports."""
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
        return text or self._stderr_tail() or "it ended without a message"

    def end(self) -> None:
        """Kill the successor, which may have ended already."""
        self.ready_reader.close()
        self._close_stderr()
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGKILL)
            _await_end(self.pid, _KILL_TIMEOUT)

    def _stderr_tail(self) -> str:
        """Return the end of its standard error with joined lines; '' if it wrote nothing."""
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
    """Start the command ``argv`` in ``folder`` as a successor; raise ``OSError``.

    Without ``keep_stderr`` (if ours is /dev/null) its standard error is recorded for
    ``Successor.problem``: a half-installed program dies before it can report.
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
    """Return whether the kernel can wait for a process that is not our child (Linux 5.3)."""
    try:
        os.close(os.pidfd_open(os.getpid()))
        return True
    except OSError:
        return False


def follow(pid_file: PidFile, pid: int) -> int | None:
    """Wait until the daemon has ended, however often it hands over.

    ``pid`` is our own successor. When it hands over as well, the pid file has the next pid.
    A daemon that stops in order removes the file; return None then. A daemon that crashes
    leaves it behind; return its pid.
    """
    while True:
        _await_end(pid)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # it is our child if we are a container's init
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
