"""Owners and modes are set where that is safe, and no user gains a file."""

import os
import stat
from pathlib import Path

import pytest

from ganeti.utils import ownership
from ganeti.utils.ownership import OwnedPath, OwnershipReport, apply

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
#: Users of the daemons, which need no entry in passwd.
MASTER, RAPI, GROUP, OTHER = 4001, 4002, 4003, 4009


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def owner(path):
    found = os.lstat(path)
    return found.st_uid, found.st_gid


def given(path, mode=0o600, **values):
    return OwnedPath(str(path), mode, MASTER, GROUP, **values)


# -- modes ---------------------------------------------------------------------------------


def test_a_missing_directory_is_made_with_open_parents(tmp_path):
    path = tmp_path / "a/b"
    entry = OwnedPath(str(path), 0o750, directory=True, make=True)
    before = os.umask(0o077)
    try:
        assert apply([entry], dry_run=True).changed == [f"{path}: made, mode 0750"]
        assert not path.parent.exists()
        assert apply([entry]).changed == [f"{path}: made, mode 0750"]
    finally:
        os.umask(before)
    assert (mode(path), mode(path.parent)) == (0o750, 0o755)
    assert apply([entry]) == OwnershipReport()


def test_a_missing_file_is_not_made(tmp_path):
    assert (
        apply([OwnedPath(f"{tmp_path}/a", 0o600), OwnedPath(f"{tmp_path}/b/c", 0o600)])
        == OwnershipReport()
    )
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "before, private, after",
    [
        (0o666, False, 0o640),
        (0o600, False, 0o640),
        (0o666, True, 0o640),
        (0o600, True, 0o600),
        (0o400, True, 0o600),
        (0o4755, True, 0o640),
    ],
)
def test_a_private_file_may_be_closed_more_tightly(tmp_path, before, private, after):
    path = tmp_path / "file"
    path.touch()
    path.chmod(before)
    done = apply([OwnedPath(str(path), 0o640, private=private)])
    assert mode(path) == after
    assert done.changed == (
        [] if before == after else [f"{path}: mode {before:04o} -> {after:04o}"]
    )


def test_a_tree_is_followed_to_its_files(tmp_path):
    for name, bits in (("a/b/disk", 0o644), ("top", 0o666)):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        path.chmod(bits)
    apply([OwnedPath(f"{tmp_path}/tree", 0o750, directory=True, files=0o600)])
    assert {str(path.relative_to(tmp_path)): mode(path) for path in tmp_path.rglob("*")} == {
        "tree": 0o750,
        "tree/a": 0o750,
        "tree/a/b": 0o750,
        "tree/a/b/disk": 0o600,
        "tree/top": 0o600,
    }


def test_a_tree_without_an_end_has_one(tmp_path):
    path = tmp_path / "/".join("x" * 40)
    path.mkdir(parents=True)
    done = apply([OwnedPath(str(tmp_path), 0o755, directory=True, files=0o600)])
    assert len(done.odd) == 1 and "too deep" in done.odd[0]


def test_errors_of_the_system_name_the_entry(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError) as caught:
        apply([OwnedPath(f"{tmp_path}/file/below/x", 0o600)])
    assert caught.value.filename == f"{tmp_path}/file/below/x"


# -- what is left alone ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda path: path.symlink_to("/etc/passwd"), "a symbolic link"),
        (lambda path: path.symlink_to("/nonexistent"), "a symbolic link"),
        (lambda path: path.mkdir(), "not a regular file"),
        (os.mkfifo, "not a regular file"),
        (lambda path: path.hardlink_to(path.parent / "other"), "has 2 hard links"),
    ],
)
def test_a_file_that_is_none_is_left_alone(tmp_path, make, words):
    (tmp_path / "other").touch()
    path = tmp_path / "file"
    make(path)
    before = os.lstat(path)
    done = apply([OwnedPath(str(path), 0o600)])
    assert done.changed == [] and done.odd == [f"{path}: {words}, so left alone"]
    assert os.lstat(path) == before


def test_a_file_in_the_place_of_a_directory_is_left_alone(tmp_path):
    (tmp_path / "d").touch()
    done = apply([OwnedPath(f"{tmp_path}/d", 0o750, directory=True, make=True)])
    assert done.odd == [f"{tmp_path}/d: not a directory, so left alone"]


def test_a_file_with_another_beginning_is_left_alone(tmp_path):
    for name in ("SQLite", "notes"):
        (tmp_path / name).write_text(name)
        (tmp_path / name).chmod(0o644)
        apply([OwnedPath(f"{tmp_path}/{name}", 0o600, magic=(b"SQL", b"\x37"))])
    assert (mode(tmp_path / "SQLite"), mode(tmp_path / "notes")) == (0o600, 0o644)


def test_links_in_a_tree_are_told_unless_they_belong_there(tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/link").symlink_to("/etc")
    entry = OwnedPath(f"{tmp_path}/tree", 0o755, directory=True, files=0o600)
    assert len(apply([entry]).odd) == 1
    assert (
        apply([OwnedPath(entry.path, 0o755, directory=True, files=0o600, links=True)])
        == OwnershipReport()
    )


# -- owners, where a user tries to gain a file -----------------------------------------------------


@needs_root
def test_owner_and_mode_are_told(tmp_path):
    path = tmp_path / "file"
    path.touch(mode=0o644)
    done = apply([given(path)])
    assert done.changed == [f"{path}: owner root:root -> {MASTER}:{GROUP}, mode 0644 -> 0600"]
    assert owner(path) == (MASTER, GROUP) and apply([given(path)]) == OwnershipReport()


@pytest.fixture
def theirs(tmp_path):
    """Make a directory of the master's user below directories of root."""
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_uid == 0 and not path.stat().st_mode & stat.S_ISVTX:
            path.chmod(path.stat().st_mode & ~0o022)
    (tmp_path / "lib").mkdir()
    os.chown(tmp_path / "lib", MASTER, GROUP)
    return tmp_path / "lib"


@needs_root
def test_a_link_on_the_way_is_not_followed_out_of_a_daemons_directory(theirs, tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/users").touch()
    (theirs / "rapi").symlink_to(tmp_path / "etc")
    done = apply([given(theirs / "rapi/users"), given(theirs / "rapi", 0o750, directory=True)])
    assert len(done.odd) == 2 and "rapi is a symbolic link" in done.odd[0]
    assert owner(tmp_path / "etc/users") == owner(tmp_path / "etc") == (0, 0)


@needs_root
def test_a_link_that_an_administrator_made_is_followed(theirs, tmp_path):
    (tmp_path / "moved").symlink_to(theirs)
    (theirs / "file").touch()
    done = apply(
        [
            given(tmp_path / "moved", 0o750, directory=True, make=True),
            given(tmp_path / "moved/file"),
        ]
    )
    assert done.odd == [] and owner(theirs / "file") == (MASTER, GROUP)
    assert mode(theirs) == 0o750


@needs_root
def test_a_link_of_somebody_else_in_a_sticky_directory_is_not_followed(theirs, tmp_path):
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    (tmp_path / "tmp/link").symlink_to(theirs)
    os.chown(tmp_path / "tmp/link", OTHER, OTHER, follow_symlinks=False)
    (theirs / "file").touch()
    assert len(apply([given(tmp_path / "tmp/link/file")]).odd) == 1
    assert owner(theirs / "file") == (0, 0)


@needs_root
def test_a_file_of_the_other_daemon_is_not_given_away(theirs):
    path = theirs / "backup.key"
    path.touch(mode=0o600)
    os.chown(path, RAPI, GROUP)
    done = apply([given(path, distrusted=RAPI)])
    assert done.odd == [f"{path}: belongs to {RAPI}, so it is not given to {MASTER}"]
    assert owner(path) == (RAPI, GROUP)


@needs_root
def test_a_hard_link_in_a_tree_is_not_given_away(theirs, tmp_path):
    (tmp_path / "shadow").touch(mode=0o600)
    (theirs / "disk").hardlink_to(tmp_path / "shadow")
    done = apply([given(theirs, 0o750, directory=True, files=0o600)])
    assert done.odd == [f"{theirs}/disk: has 2 hard links, so left alone"]
    assert owner(tmp_path / "shadow") == (0, 0)


@needs_root
def test_what_is_exchanged_after_the_look_is_not_touched(theirs, tmp_path, monkeypatch):
    """Replace the file by a link just before its owner is set."""
    (tmp_path / "shadow").touch(mode=0o600)
    (theirs / "file").touch()
    check = ownership._check_kind

    def exchange(*arguments):
        check(*arguments)
        os.rename(theirs / "file", theirs / "old")
        os.symlink(tmp_path / "shadow", theirs / "file")

    monkeypatch.setattr(ownership, "_check_kind", exchange)
    apply([given(theirs / "file")])
    assert owner(tmp_path / "shadow") == (0, 0) and owner(theirs / "old") == (MASTER, GROUP)


def test_links_in_a_circle_are_an_error(tmp_path):
    Path(tmp_path, "a").symlink_to("b")
    Path(tmp_path, "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        apply([OwnedPath(f"{tmp_path}/a/x", 0o600)])
