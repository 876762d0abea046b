"""Facts about processes that run, from proc(5), and the pid files that name them."""

from __future__ import annotations

import contextlib
import os


def open_at_once(path: str, flags: int) -> int:
    """Open a file for ``open``; a pipe in its place does not have us wait for a writer."""
    return os.open(path, flags | os.O_NONBLOCK)


def pid_in(path: str) -> int:
    """Return the pid in a pid file, whether it runs or not; 0 without one."""
    try:
        with open(path, "rb", opener=open_at_once) as file:
            text = file.read(20).strip()
    except OSError:
        return 0
    return int(text) if text.isdigit() else 0


def user_of(pid: int) -> int | None:
    """Return the effective uid of a process; None when there is no such process."""
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None


def name_of(pid: int) -> str:
    """Return the name of a process as ps(1) shows it; '' when there is no such process."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="backslashreplace") as file:
            return file.read().strip()
    except OSError:
        return ""


def has_open(pid: int, path: str) -> bool:
    """Tell whether a process has the file ``path`` open; False where that cannot be seen."""
    with contextlib.suppress(OSError):
        file = os.stat(path)
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.path.samestat(os.stat(f"/proc/{pid}/fd/{fd}"), file):
                    return True
    return False
