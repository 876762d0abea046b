"""Files are replaced in one step, or not at all."""

import os
import resource
import stat
import sys

import pytest

from ganeti.utils import io


def test_write_replaces_and_sets_the_mode(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    io.write_file(str(path), "new", mode=0o640)
    assert path.read_text() == "new" and stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("name", ["a" * 255, "\N{EURO SIGN}" * 85])
def test_a_name_may_be_as_long_as_a_directory_takes(tmp_path, name):
    io.write_file(str(tmp_path / name), "text")
    assert os.listdir(tmp_path) == [name]


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


@pytest.mark.parametrize("umask", [0, 0o022, 0o077, 0o177])
def test_a_directory_has_its_mode_and_open_parents_whatever_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        io.make_directory(str(tmp_path / "a/b/c"), 0o750)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b", "a/b/c")]
    assert modes == [0o755, 0o755, 0o750]


def test_a_directory_that_is_there_keeps_its_mode(tmp_path):
    os.chmod(tmp_path, 0o711)
    io.make_directory(str(tmp_path), 0o750)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o711


@pytest.mark.parametrize("target", ["/nonexistent", "file"])
def test_what_is_no_directory_is_in_the_way(tmp_path, target):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(FileExistsError):
        io.make_directory(str(tmp_path / "link"), 0o750)


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
    fd = io.lock_file(path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with pytest.raises(BlockingIOError) as caught:
        io.lock_file(path)
    assert caught.value.filename == path
    os.close(fd)
    os.close(io.lock_file(path))


def test_another_descriptor_of_the_file_does_not_give_the_lock_up(tmp_path):
    path = str(tmp_path / "lock")
    fd = io.lock_file(path)
    os.close(os.open(path, os.O_RDONLY))
    with pytest.raises(BlockingIOError):
        io.lock_file(path)
    os.close(fd)


def test_a_link_is_no_lock(tmp_path):
    (tmp_path / "lock").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic link"):
        io.lock_file(str(tmp_path / "lock"))
    assert not (tmp_path / "other").exists()


def test_a_bare_name_is_written_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    io.write_file("file", "new")
    assert (tmp_path / "file").read_text() == "new" and os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    "limits, is_root, found, changed",
    [
        ((1024, 4096), False, 1024, None),
        ((100, 4096), False, 500, (500, 4096)),
        ((100, 400), False, 400, (400, 400)),
        ((100, 400), True, 500, (500, 500)),
        ((100, resource.RLIM_INFINITY), False, 500, (500, resource.RLIM_INFINITY)),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), False, sys.maxsize, None),
    ],
)
def test_the_limit_on_descriptors_is_raised_as_far_as_possible(
    monkeypatch, limits, is_root, found, changed
):
    done = []

    def change(_, new):
        if new[1] > limits[1] and not is_root:
            raise ValueError("not allowed to raise maximum limit")
        done.append(new)

    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", change)
    assert io.raise_descriptor_limit(500, beyond_hard=True) == found
    assert (done[-1] if done else None) == changed


@pytest.mark.parametrize(
    "path, below",
    [
        ("/srv/a", True),
        ("/srv/a/../b", True),
        ("/srv", False),
        ("/srv/../etc", False),
        ("/srvx/a", False),
    ],
)
def test_a_path_is_below_a_directory_or_not(path, below):
    assert io.is_below(path, "/srv") is below
