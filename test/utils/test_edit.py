"""Editing a file that others edit, in another user's directory."""

import fcntl
import os
import tempfile
from pathlib import Path

import pytest

from ganeti.utils import edit

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give links away")


@pytest.fixture
def folder():
    """Yield a directory that any user may enter: a file, a directory, and links to both."""
    with tempfile.TemporaryDirectory() as name:  # other users may not enter tmp_path
        place = Path(name)
        place.chmod(0o755)
        (place / "file").write_text("text")
        (place / "link").symlink_to("file")
        (place / "far").symlink_to(place / "link")
        (place / "rooms").mkdir()
        (place / "rooms/up").symlink_to("../file")
        (place / "door").symlink_to("rooms")
        yield place


# -- links ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "file",
        "link",
        "far",
        "rooms/up",
        "door/up",
        "door/../link",
        "./rooms//../file",
        "rooms/../door/./up",
    ],
)
def test_links_are_followed_as_the_kernel_does(folder, monkeypatch, path):
    monkeypatch.chdir(folder)
    for given in (path, f"{folder}/{path}"):
        assert edit.follow_links(given) == os.path.realpath(folder / "file")


@pytest.mark.parametrize("path", ["new", "door/new", "none/new", "door/../new"])
def test_what_is_not_there_may_come(folder, path):
    assert edit.follow_links(f"{folder}/{path}") == os.path.realpath(folder / path)


def test_the_root_is_a_path():
    assert edit.follow_links("/") == edit.follow_links("/../..") == "/"


def test_links_in_a_circle_are_an_error(folder):
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        edit.follow_links(str(folder / "a"))


@needs_root
@pytest.mark.parametrize("strange", ["link", "door", "rooms/up"])
def test_a_link_of_somebody_else_is_not_followed(folder, strange):
    path = folder / strange
    os.lchown(path, 65534, -1)
    with pytest.raises(edit.EditError, match=f"{path} is a symbolic link of user nobody"):
        edit.follow_links(str(folder / "door/up") if strange != "link" else str(folder / "far"))


@needs_root
def test_users_may_follow_their_own_links(folder):
    os.lchown(folder / "link", 65534, -1)
    os.seteuid(65534)
    try:
        assert edit.follow_links(str(folder / "link")) == os.path.realpath(folder / "file")
    finally:
        os.seteuid(0)


def test_a_further_name_of_roots_own_link_is_not_followed(folder):
    os.link(folder / "link", folder / "copy", follow_symlinks=False)
    with pytest.raises(edit.EditError, match="with several names"):
        edit.follow_links(str(folder / "copy"))


# -- reading ----------------------------------------------------------------------------


def test_a_file_is_read_with_its_state(folder):
    data, found = edit.read_file(str(folder / "file"))
    assert data == b"text" and os.path.samestat(found, (folder / "file").stat())
    assert edit.read_file(str(folder / "none")) is None


@pytest.mark.parametrize(
    ("plant", "words"),
    [
        (lambda path: path.symlink_to("file"), "symbolic links"),
        (os.mkfifo, "Not a regular file"),
        (lambda path: path.mkdir(), "Is a directory"),
    ],
)
def test_what_is_no_file_is_not_read(folder, plant, words):
    plant(folder / "it")
    with pytest.raises(OSError, match=words):
        edit.read_file(str(folder / "it"))


# -- the lock ---------------------------------------------------------------------------


class LockClock:
    """A clock that advances while an editor waits, and may call a function then."""

    def __init__(self, then=lambda: None):
        self.now, self.then = 0.0, then

    def sleep(self, seconds):
        self.now += seconds
        self.then()

    def lock(self, path):
        return edit.locked(str(path), 1.0, lambda: self.now, self.sleep)


def hold(path):
    """Take the lock as another process does, and return its descriptor."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def test_a_lock_leaves_nothing_behind(folder):
    before = sorted(os.listdir(folder))
    with LockClock().lock(folder / "file"):
        assert (folder / ".file.lock").exists()
    assert sorted(os.listdir(folder)) == before


def test_only_one_has_it_and_the_other_does_not_wait_for_ever(folder):
    clock = LockClock()
    with clock.lock(folder / "file"), pytest.raises(edit.EditError, match="another editor"):
        with clock.lock(folder / "file"):
            pytest.fail("two have it")
    assert 1.0 <= clock.now < 1.1


def test_whoever_waits_gets_it_next(folder):
    fd = hold(folder / ".file.lock")
    clock = LockClock(lambda: (os.unlink(folder / ".file.lock"), os.close(fd)))
    with clock.lock(folder / "file"):
        assert clock.now == edit.LOCK_INTERVAL


def test_a_lock_whose_name_is_gone_is_none(folder, monkeypatch):
    lock_file = edit.io.lock_file

    def slow(path):
        monkeypatch.setattr(edit.io, "lock_file", lock_file)
        fd = lock_file(path)
        os.unlink(path)  # as its previous holder does
        return fd

    monkeypatch.setattr(edit.io, "lock_file", slow)
    with LockClock().lock(folder / "file"):
        assert (folder / ".file.lock").exists()


def test_what_a_killed_process_left_is_no_hindrance(folder):
    (folder / ".file.lock").touch()
    with LockClock().lock(folder / "file"):
        pass
    assert not (folder / ".file.lock").exists()


@pytest.mark.parametrize("plant", [lambda path: path.symlink_to("made"), lambda path: path.mkdir()])
def test_what_cannot_be_a_lock_is_named(folder, plant):
    plant(folder / ".file.lock")
    with pytest.raises(edit.EditError, match=f"cannot lock {folder}/.file.lock: .*; remove it"):
        with LockClock().lock(folder / "file"):
            pytest.fail("it was taken")
    assert not (folder / "made").exists()


@needs_root
def test_where_nobody_may_write_there_is_no_waiting(folder):
    clock = LockClock()
    os.seteuid(65534)
    try:
        with pytest.raises(PermissionError), clock.lock(folder / "file"):
            pytest.fail("it was made")
    finally:
        os.seteuid(0)
    assert clock.now == 0
