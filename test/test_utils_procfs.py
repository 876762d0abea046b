"""What /proc tells of other processes."""

import fcntl
import os
import socket
import subprocess

from ganeti.utils import procfs


def test_the_name_of_a_process():
    child = subprocess.Popen(["sleep", "600"])
    # the fork has our own name until it is sleep
    assert procfs.name_of(child.pid) in ("sleep", procfs.name_of(os.getpid()))
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert procfs.name_of(child.pid) is None, "a zombie does not live"
    child.wait()
    assert procfs.name_of(child.pid) is None


def test_a_process_is_described_by_name_and_number():
    assert procfs.describe(os.getpid()).endswith(f"(pid {os.getpid()})")
    assert procfs.describe(999999999) == "pid 999999999"


def test_who_listens_on_a_port():
    for address, family in (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)):
        with socket.socket(family) as sock:
            sock.bind((address, 0))
            port = sock.getsockname()[1]
            assert procfs.listeners_on(port) == []
            sock.listen()
            assert procfs.listeners_on(port) == [os.getpid()]


def test_who_holds_a_lock(tmp_path):
    with open(tmp_path / "lock", "w") as file:
        assert procfs.flock_holder(file.fileno()) is None
        fcntl.flock(file, fcntl.LOCK_EX)
        # some file systems show another device in /proc/locks
        assert procfs.flock_holder(file.fileno()) in (os.getpid(), None)
