"""Files are replaced in one step, or stay as they were."""

import os
import stat

import pytest

from ganeti.utils import io


def test_write_replaces_and_sets_the_mode(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    io.write_file(str(path), "new", mode=0o640)
    assert path.read_text() == "new" and stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["file"]


def test_a_failed_write_leaves_everything_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")

    def refuse(*_):
        raise OSError("no")
    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(OSError):
        io.write_file(str(path), b"new", durable=False)
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file"]


def test_remove_says_whether_there_was_one(tmp_path):
    (tmp_path / "x").touch()
    assert io.remove_file(str(tmp_path / "x")) is True
    assert io.remove_file(str(tmp_path / "x")) is False


def test_ensure_dir_makes_parents_and_mends_the_mode(tmp_path):
    for mode in (0o750, 0o700):
        io.ensure_dir(str(tmp_path / "a/b"), mode)
        assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == mode


def test_short_paths_stay_as_they_are(tmp_path):
    with io.short_socket_path("/run/x") as path:
        assert path == "/run/x"
    with io.short_socket_path(f"{tmp_path}/{'n' * 108}") as path:
        assert len(path) < 130 and path.startswith("/proc/self/fd/")


def test_without_replacing_a_file_that_is_there_stays(tmp_path):
    path = tmp_path / "file"
    io.write_file(str(path), "first", replace=False)
    with pytest.raises(FileExistsError):
        io.write_file(str(path), "second", replace=False)
    assert path.read_text() == "first" and os.listdir(tmp_path) == ["file"]


def test_a_finished_file_takes_the_place_of_another(tmp_path, monkeypatch):
    (tmp_path / "new").write_text("new")
    (tmp_path / "old").write_text("old")
    monkeypatch.chdir(tmp_path)
    io.replace_file("new", "old")
    assert (tmp_path / "old").read_text() == "new" and os.listdir(tmp_path) == ["old"]


def test_a_copy_never_replaces(tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 3_000_000)
    io.copy_file(str(tmp_path / "file"), str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == b"x" * 3_000_000
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        io.copy_file(str(tmp_path / "file"), str(tmp_path / "copy"))


def test_patches_change_only_their_bytes(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    io.patch_file(str(tmp_path / "file"), {2: b"ab", 9: b"z"})
    assert (tmp_path / "file").read_bytes() == b"01ab45678z"


def test_a_lock_is_held_as_long_as_its_descriptor_is_open(tmp_path):
    path = str(tmp_path / "lock")

    def taken():
        child = os.fork()
        if child == 0:                              # locks are a process's own
            try:
                io.lock_file(path)
            except BlockingIOError:
                os._exit(1)
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    fd = io.lock_file(path)
    assert taken()
    os.close(fd)
    assert not taken()
