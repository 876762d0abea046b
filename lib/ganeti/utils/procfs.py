"""Facts about other processes from proc(5), and the pids in pid files."""

from __future__ import annotations

import contextlib
import os
import re

from ganeti.pathutils import inside

_SOCKET = re.compile(r"socket:\[([0-9]+)\]")
#: TCP_LISTEN in the column ``st``.
_LISTEN = "0A"


def name_of(pid: int) -> str | None:
    """Return the first 15 characters of a process's name; None if it is not alive."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return None
    name, state = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :][:1]
    return None if state in ("Z", "X") else name


def user_of(pid: int) -> int | None:
    """Return the effective uid of a process; None if it does not exist."""
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None


def has_open(pid: int, path: str) -> bool:
    """Return whether a process is known to have the file ``path`` open."""
    with contextlib.suppress(OSError):
        file = os.stat(path)
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.path.samestat(os.stat(f"/proc/{pid}/fd/{fd}"), file):
                    return True
    return False


def open_at_once(path: str, flags: int) -> int:
    """Open a file, without waiting for a writer if it is a pipe; an opener for ``open``."""
    return os.open(path, flags | os.O_NONBLOCK)


def pid_in(path: str) -> int:
    """Return the pid in a pid file, of a running process or not; 0 if there is no pid."""
    try:
        with open(path, "rb", opener=open_at_once) as file:
            text = file.read(20).strip()
    except OSError:
        return 0
    return int(text) if text.isdigit() else 0


def describe(pid: int) -> str:
    """Return a process in words: ``ganeti-rapi (pid 99)``, or ``pid 99`` without a known name."""
    name = name_of(pid)
    return f"{name} (pid {pid})" if name else f"pid {pid}"


def flock_holder(fd: int) -> int | None:
    """Return the pid of the process that holds the flock(2) of an open file; None if unknown."""
    found = os.fstat(fd)
    file_id = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    with contextlib.suppress(OSError), open("/proc/locks", encoding="ascii") as file:
        for line in file:
            words = line.split()
            is_ours = words[1:2] == ["FLOCK"] and words[5:6] == [file_id]
            if is_ours and words[4].isdecimal():
                return int(words[4]) or None
    return None


def listeners_on(port: int) -> list[int]:
    """Return the pids of processes that listen on a local TCP port, as far as we may see them."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open(f"/proc/net/{table}", encoding="ascii") as file:
            rows = [line.split() for line in file][1:]
            listening = [row for row in rows if row[3] == _LISTEN]
            inodes |= {row[9] for row in listening if int(row[1].rpartition(":")[2], 16) == port}
    return sorted(pid for pid in _pids() if inodes and _has_socket(pid, inodes))


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _has_socket(pid: int, inodes: set[str]) -> bool:
    folder = f"/proc/{pid}/fd"
    try:
        for name in os.listdir(folder):
            found = _SOCKET.fullmatch(os.readlink(inside(folder, name)))
            if found is not None and found[1] in inodes:
                return True
    except OSError:  # it is another user's, or has ended
        pass
    return False
