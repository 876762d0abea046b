"""systemd in a booted system, and clients that notice each lost request."""

import contextlib
import functools
import http.client
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from machine import HOST, LIB, LOG, TIMEOUT, ask, connection, get, until

FRONT, MASTER = "ganeti-rapi", "ganeti-masterd"
BOTH = (MASTER, FRONT)
LOGS = {FRONT: "rapi-daemon.log", MASTER: "master-daemon.log"}
UNITS = Path("/etc/systemd/system")
#: Concurrent clients, and the number of requests answered before and after an event.
CLIENTS, REQUESTS = 3, 8


def command(*words: str, code: int = 0) -> str:
    """Return a program's output; its exit code must be ``code``."""
    done = subprocess.run(
        words,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT * 4,
    )
    assert done.returncode == code, f"{' '.join(words)}: {done.returncode}: {done.stdout}"
    return done.stdout


def systemctl(*words: str, code: int = 0) -> str:
    """Return systemctl's output."""
    return command("systemctl", *words, code=code)


def show(unit: str, name: str) -> str:
    """Return a property of a unit."""
    return systemctl("show", "--value", f"--property={name}", unit).strip()


def main_pid(unit: str) -> int:
    """Return the pid that systemd takes for the daemon; 0 for none."""
    return int(show(unit, "MainPID"))


def is_active(unit: str) -> bool:
    """Return whether systemd calls the unit active."""
    return show(unit, "ActiveState") == "active"


def processes(name: str) -> set[int]:
    """Return the pids of living Python processes of this name (the init script may have it too)."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")  # Empty for a zombie.
            if (folder / "comm").read_text().strip() == name and b"python" in words[0]:
                found.add(int(folder.name))
    return found


def has_ended(name: str) -> bool:
    """Return whether there is no process of this name."""
    return not processes(name)


def told(unit: str) -> str:
    """Return a unit's journal and the daemon's log."""
    log = LOG / LOGS[unit]
    return command("journalctl", "--no-pager", "--output=cat", f"--unit={unit}") + (
        log.read_text() if log.exists() else ""
    )


def lines(unit: str, pattern: str) -> int:
    """Return the number of lines in a daemon's log that match."""
    return len(re.findall(pattern, (LOG / LOGS[unit]).read_text(), re.M))


def start(*units: str) -> None:
    """Start units, which must become active whatever an earlier check left."""
    systemctl("reset-failed")
    systemctl("start", *units)
    for unit in units:
        assert is_active(unit), told(unit)


def stop(*units: str) -> None:
    """Stop units; check that neither process nor pid file remains."""
    for unit in units:
        ran = bool(processes(unit))
        systemctl("stop", unit)
        found = show(unit, "ActiveState")
        assert found == "inactive", (found, told(unit)[-3000:])
        until(functools.partial(has_ended, unit), f"the end of {unit}")
        assert not ran or not Path(f"/run/ganeti/{unit}.pid").exists(), "its pid file was left"


@contextlib.contextmanager
def file_with(path: Path, text: str) -> Iterator[None]:
    """Create a file below /etc/systemd for a while."""
    before = path.read_text() if path.exists() else None
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    systemctl("daemon-reload")
    try:
        yield
    finally:
        path.unlink()
        if before is not None:
            path.write_text(before)
        systemctl("daemon-reload")


@contextlib.contextmanager
def state(**files: str) -> Iterator[None]:
    """Have only these files in the directory of the cluster's state for a while."""
    until(lambda: not processes(FRONT) and not processes(MASTER), "the end of both")
    away = LIB.with_name("ganeti.away")
    LIB.rename(away)
    LIB.mkdir()
    for name, text in files.items():
        (LIB / name).write_text(text)
    try:
        yield
    finally:
        shutil.rmtree(LIB)
        away.rename(LIB)


def another_master() -> contextlib.AbstractContextManager[None]:
    """Make this a node of a cluster with another master for a while."""
    return state(
        ssconf_master_node="node2.example.com\n",
        ssconf_cluster_name="cluster\n",
        ssconf_node_list=f"{HOST}\nnode2.example.com\n",
    )


def running() -> None:
    """Make both run, one process each, whatever an earlier check left."""
    for unit in BOTH:
        if not is_active(unit) or processes(unit) != {main_pid(unit)}:
            subprocess.run(["systemctl", "stop", unit], check=False, capture_output=True)
            for pid in processes(unit):
                kill(pid)
            start(unit)


class RequestLoad:
    """Clients that read and write continuously.

    They use a new connection each time, so that a lost request is a failure and not a retry.
    """

    def __init__(self) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)
        ]

    def __enter__(self) -> "RequestLoad":
        for thread in self._threads:
            thread.start()
        try:
            self.go_on()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def go_on(self) -> None:
        """Wait until more requests were answered; none may have failed."""
        goal = self.answered + REQUESTS
        until(lambda: self.answered >= goal or self.failures, "answers")
        assert not self.failures, self.failures[:3]

    def _ask(self, number: int) -> None:
        while not self._ending.is_set():
            try:
                assert get(connection(), "/version") == 2
                status, answer = ask("PUT", f"/2/tags?tag=client{number}&dry-run=1")
                assert status == 200, answer
            except (AssertionError, OSError, http.client.HTTPException) as err:
                with self._lock:
                    self.failures.append(f"{type(err).__name__}: {err}")
            else:
                with self._lock:
                    self.answered += 1


def hand_over(unit: str = FRONT) -> int:
    """Hand over to a new front; return the pid of the process that serves now."""
    file = Path("/run/ganeti/ganeti-rapi.pid")
    before = file.read_text()
    systemctl("kill", "--signal=SIGUSR2", "--kill-who=main", unit)
    until(lambda: file.read_text() not in ("", before), "the successor")
    return int(file.read_text())


def send(pid: int, number: int) -> None:
    """Send a signal to one process; 0 would be all of ours."""
    assert pid > 1, "there is no such process"
    os.kill(pid, number)


def kill(pid: int) -> None:
    """Send SIGKILL and wait until the process is gone."""
    send(pid, signal.SIGKILL)
    until(lambda: pid not in processes(FRONT) | processes(MASTER), f"the end of {pid}")


def let_pass(seconds: float) -> None:
    """Wait for a time in which a forbidden event would occur."""
    time.sleep(seconds)
