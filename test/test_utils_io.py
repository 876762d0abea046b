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
