"""Facts about processes: names, users, what they have open."""

import os

import pytest

from ganeti.utils import running

#: No process has a pid above the kernel's largest.
NOBODY = 2 ** 30


def test_this_process_has_a_name_and_a_user():
    assert running.name_of(os.getpid())
    assert running.user_of(os.getpid()) == os.geteuid()


def test_a_process_that_is_gone_has_neither():
    assert running.name_of(NOBODY) == "" and running.user_of(NOBODY) is None
    assert not running.has_open(NOBODY, "/dev/null")


def test_open_files_are_seen(tmp_path):
    path = tmp_path / "file"
    path.touch()
    assert not running.has_open(os.getpid(), str(path))
    with open(path):
        assert running.has_open(os.getpid(), str(path))


@pytest.mark.parametrize("text, pid", [
    ("12\n", 12), ("", 0), ("x", 0), ("-1", 0), ("1 2", 0), ("\xb2", 0), (None, 0)])
def test_a_pid_file_names_a_process_or_none(tmp_path, text, pid):
    if text is not None:
        (tmp_path / "pid").write_text(text, encoding="latin-1")
    assert running.pid_in(str(tmp_path / "pid")) == pid


def test_a_pipe_is_no_pid_file_and_holds_nobody_up(tmp_path):
    os.mkfifo(tmp_path / "pid")
    assert running.pid_in(str(tmp_path / "pid")) == 0
