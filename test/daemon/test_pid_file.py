"""The pid file and its lock."""

import fcntl
import os
import socket
import stat
import subprocess
import sys

import pytest

from ganeti.daemon import pid_file
from ganeti.daemon.pid_file import AlreadyRunning, PidFile, PidFileError
from ganeti.utils import procfs


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "pid")


def create(path, program="ganeti-test"):
    return PidFile.create(path, program)


def read(path):
    with open(path) as file:
        return file.read()


def own_name():
    """Return this process's name."""
    return procfs.name_of(os.getpid())


def test_it_holds_the_number_and_is_for_its_owner_only(path):
    create(path).close()
    assert read(path) == f"{os.getpid()}\n"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_the_umask_and_an_older_mode_change_nothing(path):
    with open(path, "w") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write("999999999\n")
    create(path).close()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600 and read(path) == f"{os.getpid()}\n"


def test_a_second_daemon_is_refused_with_the_pid_of_the_first(path):
    first = create(path)
    with pytest.raises(AlreadyRunning, match=f"already running with pid {os.getpid()} "):
        create(path)
    first.close()
    create(path).close()


def test_the_lock_survives_that_another_descriptor_is_closed(path):
    first = create(path)
    os.close(os.dup(first.fd))
    os.close(os.open(path, os.O_RDONLY))
    with pytest.raises(AlreadyRunning):
        create(path)
    first.close()


def test_the_lock_is_shared_with_a_child_that_inherits_the_file(path):
    first = create(path)
    child = subprocess.Popen(["sleep", "600"], pass_fds=[first.fd])
    first.close()
    with pytest.raises(AlreadyRunning):
        create(path)
    child.kill()
    child.wait()
    create(path).close()


def test_ganetis_kind_of_lock_is_respected(path):
    with open(path, "w") as theirs:
        theirs.write(f"{os.getppid()}\n")
        theirs.flush()
        fcntl.flock(theirs, fcntl.LOCK_EX)
        with pytest.raises(AlreadyRunning, match=f"pid {os.getppid()} "):
            create(path)
    create(path).close()


def test_a_living_daemon_without_a_lock_is_respected(path):
    with open(path, "w") as file:
        file.write(f"{os.getppid()}\n")
    with pytest.raises(AlreadyRunning, match=f"pid {os.getppid()} "):
        create(path, procfs.name_of(os.getppid()))
    assert read(path) == f"{os.getppid()}\n"


@pytest.mark.parametrize(
    "content", ["", "\n", "nonsense\n", "-1\n", "0\n", "1 2\n", "999999999\n", "9" * 30]
)
def test_a_number_that_a_crash_left_behind_does_not_matter(path, content):
    with open(path, "w") as file:
        file.write(content)
    create(path, own_name()).close()
    assert read(path) == f"{os.getpid()}\n"


def test_a_stale_number_that_is_now_ours_does_not_matter(path):
    with open(path, "w") as file:
        file.write(f"{os.getpid()}\n")
    create(path, own_name()).close()


def test_a_locked_file_without_a_number_names_who_has_the_lock(path):
    with open(path, "w") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        with pytest.raises(AlreadyRunning, match=f"is locked by .*{os.getpid()}|is not known"):
            create(path)


def test_a_link_is_not_followed(path, tmp_path):
    (tmp_path / "other").write_text("untouched")
    os.symlink(tmp_path / "other", path)
    with pytest.raises(PidFileError, match="is a symbolic link"):
        create(path)
    assert (tmp_path / "other").read_text() == "untouched"


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, make_socket])
def test_what_is_no_regular_file_is_refused(path, make):
    make(path)
    with pytest.raises(PidFileError, match=f"{path} is not a regular file"):
        create(path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(PidFileError, match=f"{tmp_path}/none, does not exist"):
        create(f"{tmp_path}/none/pid")


def test_it_is_removed_by_the_daemon_that_it_names(path):
    found = create(path)
    found.remove()
    assert not os.path.exists(path)
    found.close()


def test_it_is_left_to_a_successor_that_it_names(path):
    found = create(path)
    with open(path, "w") as file:
        file.write("999999999\n")
    found.remove()
    assert read(path) == "999999999\n"
    found.close()


def test_a_file_that_took_its_place_is_left_alone(path):
    found = create(path)
    os.rename(path, path + ".old")
    create(path).close()
    found.remove()
    assert os.path.exists(path)
    found.close()


class TestRunning:
    def test_without_a_pid_file_nobody_runs(self, path):
        assert pid_file.running(path, own_name()) is None

    def test_who_holds_the_lock_runs(self, path):
        found = create(path)
        assert pid_file.running(path, "another") == os.getpid()
        found.close()

    def test_a_living_daemon_without_a_lock_runs(self, path):
        create(path).close()
        assert pid_file.running(path, own_name()) == os.getpid()
        assert pid_file.running(path, "another") is None

    def test_a_lock_on_an_empty_file_is_by_an_unknown_process(self, path):
        with open(path, "w") as theirs:
            fcntl.flock(theirs, fcntl.LOCK_EX)
            assert pid_file.running(path, own_name()) == 0

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_file_that_cannot_be_read_is_an_error(self, path):
        create(path).close()
        os.chmod(path, 0)
        with pytest.raises(PidFileError, match="Permission denied"):
            pid_file.running(path, own_name())


def test_the_number_of_another_process_is_written_whole(path):
    found = create(path)
    with open(path, "w") as file:
        file.write("9999999999999999\n")
    script = f"from ganeti.daemon.pid_file import PidFile\nPidFile({path!r}, {found.fd}).write()"
    child = subprocess.Popen([sys.executable, "-P", "-c", script], pass_fds=[found.fd])
    assert child.wait() == 0
    assert read(path) == f"{child.pid}\n"
    found.close()
