"""Facts about other processes from /proc."""

import fcntl
import os
import socket
import subprocess

import pytest

from ganeti.utils import procfs

#: The kernel's largest pid is smaller.
NOBODY = 2**30


def test_a_process_has_its_name():
    child = subprocess.Popen(["sleep", "600"])
    # until execve(2) the child has our own name
    assert procfs.name_of(child.pid) in ("sleep", procfs.name_of(os.getpid()))
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert procfs.name_of(child.pid) is None, "a zombie does not live"
    child.wait()
    assert procfs.name_of(child.pid) is None


def test_a_process_is_described_by_name_and_number():
    assert procfs.describe(os.getpid()).endswith(f"(pid {os.getpid()})")
    assert procfs.describe(999999999) == "pid 999999999"


def test_who_listens_on_a_port_is_found():
    for address, family in (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)):
        with socket.socket(family) as sock:
            sock.bind((address, 0))
            port = sock.getsockname()[1]
            assert procfs.listeners_on(port) == []
            sock.listen()
            assert procfs.listeners_on(port) == [os.getpid()]


def test_who_holds_a_lock_is_found(tmp_path):
    with open(tmp_path / "lock", "w") as file:
        assert procfs.flock_holder(file.fileno()) is None
        fcntl.flock(file, fcntl.LOCK_EX)
        # some file systems show another device in /proc/locks
        assert procfs.flock_holder(file.fileno()) in (os.getpid(), None)


def test_a_process_that_is_gone_has_neither():
    assert procfs.name_of(NOBODY) is None and procfs.user_of(NOBODY) is None
    assert not procfs.has_open(NOBODY, "/dev/null")


def test_open_files_are_seen(tmp_path):
    path = tmp_path / "file"
    path.touch()
    assert not procfs.has_open(os.getpid(), str(path))
    with open(path):
        assert procfs.has_open(os.getpid(), str(path))


@pytest.mark.parametrize(
    "text, pid", [("12\n", 12), ("", 0), ("x", 0), ("-1", 0), ("1 2", 0), ("\xb2", 0), (None, 0)]
)
def test_a_pid_file_names_a_process_or_none(tmp_path, text, pid):
    if text is not None:
        (tmp_path / "pid").write_text(text, encoding="latin-1")
    assert procfs.pid_in(str(tmp_path / "pid")) == pid


def test_a_pipe_is_no_pid_file_and_holds_nobody_up(tmp_path):
    os.mkfifo(tmp_path / "pid")
    assert procfs.pid_in(str(tmp_path / "pid")) == 0
