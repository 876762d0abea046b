"""Disks as files: size and path, refused paths, and what remains after a failure."""

import errno
import os
from pathlib import Path

import pytest

from ganeti import constants, errors, storage
from ganeti.objects import Disk
from ganeti.storage import CountedDisks, FileDisks
from support.cluster import make_cluster, make_paths

MIB = storage.MIB


@pytest.fixture
def cluster(tmp_path):
    store, config, _ = make_cluster(tmp_path)
    yield config.cluster
    store.close()


@pytest.fixture
def files(cluster, tmp_path):
    return FileDisks(cluster, make_paths(tmp_path))


@pytest.fixture
def counted(files, tmp_path):
    return CountedDisks(str(tmp_path / "disks"), files)


def file_disk(cluster, path="web/disk0", size=1024, **values):
    base = cluster.file_storage_dir
    return Disk(
        uuid="u1", dev_type="file", size=size, logical_id=["loop", f"{base}/{path}"], **values
    )


def volume(uuid="u2", template="plain", size=2048):
    return Disk(uuid=uuid, dev_type=template, size=size, logical_id=["xenvg", uuid])


def test_a_disk_file_has_its_size_and_takes_no_space(cluster, files):
    disk = file_disk(cluster)
    files.create(disk)
    found = os.stat(disk.logical_id[1])
    assert (found.st_size, found.st_mode & 0o777) == (1024 * MIB, 0o600)
    assert found.st_blocks * 512 < MIB
    assert os.listdir(os.path.dirname(disk.logical_id[1])) == ["disk0"]


@pytest.fixture
def old_file_system(monkeypatch):
    """Have open(2) fail as on a file system without O_TMPFILE."""
    real = os.open

    def refuse(path, flags, *args, **values):
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "not here")
        return real(path, flags, *args, **values)

    monkeypatch.setattr(storage.os, "open", refuse)


def test_a_crash_while_a_disk_is_made_leaves_nothing(cluster, files, monkeypatch):
    monkeypatch.setattr(storage.os, "link", _die)
    disk = file_disk(cluster)
    with pytest.raises(SystemError):
        files.create(disk)
    assert os.listdir(os.path.dirname(disk.logical_id[1])) == []


def _die(*args, **values):
    raise SystemError


def test_disks_are_made_on_file_systems_without_nameless_files(cluster, files, old_file_system):
    disk = file_disk(cluster)
    files.create(disk)
    assert os.stat(disk.logical_id[1]).st_size == 1024 * MIB
    with pytest.raises(errors.BlockDeviceError, match="already"):
        files.create(disk)


@pytest.mark.parametrize("fixture", [None, "old_file_system"])
def test_a_size_that_no_file_can_have_is_refused(cluster, files, request, fixture):
    if fixture:
        request.getfixturevalue(fixture)
    disk = file_disk(cluster, size=2**42)
    with pytest.raises(errors.BlockDeviceError, match="Cannot create"):
        files.create(disk)
    assert not os.path.exists(disk.logical_id[1])


def test_an_existing_file_is_left_alone(cluster, files):
    disk = file_disk(cluster)
    files.create(disk)
    Path(disk.logical_id[1]).write_text("data")
    with pytest.raises(errors.BlockDeviceError, match="already"):
        files.create(disk)
    assert Path(disk.logical_id[1]).read_text() == "data"


def test_removing_a_disk_removes_empty_folders_but_not_the_storage(cluster, files):
    deep, beside = file_disk(cluster, "a/web/disk0"), file_disk(cluster, "a/db/disk0")
    files.create(deep)
    files.create(beside)
    files.remove(deep)
    assert os.listdir(f"{cluster.file_storage_dir}/a") == ["db"]
    files.remove(beside)
    files.remove(beside)
    assert os.listdir(cluster.file_storage_dir) == []


@pytest.mark.parametrize(
    "path",
    ["/etc/disk0", "{base}/../disk0", "{base}", "{base}x/disk0", "{base}/a/../../x", "disk0"],
)
def test_a_path_outside_of_the_storage_is_refused(cluster, files, path):
    disk = Disk(
        uuid="u",
        dev_type="file",
        size=1,
        logical_id=["loop", path.format(base=cluster.file_storage_dir)],
    )
    for step in (files.create, files.remove, files.path):
        with pytest.raises(errors.FileStoragePathError):
            step(disk)


def test_a_link_does_not_lead_out_of_the_storage(cluster, files, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", f"{cluster.file_storage_dir}/web")
    with pytest.raises(errors.FileStoragePathError, match="is outside of"):
        files.create(file_disk(cluster))
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_folder_that_cannot_be_made_is_an_error(cluster, files):
    Path(f"{cluster.file_storage_dir}/web").write_text("")
    with pytest.raises(errors.BlockDeviceError, match="Cannot create"):
        files.create(file_disk(cluster))


def test_a_disk_that_cannot_be_removed_is_an_error(cluster, files):
    disk = file_disk(cluster)
    os.makedirs(disk.logical_id[1])
    with pytest.raises(errors.BlockDeviceError, match="Cannot remove"):
        files.remove(disk)


# -- what the administrator allows -------------------------------------------------------


def allow(paths, *lines):
    os.makedirs(paths.conf_dir, exist_ok=True)
    Path(paths.file_storage_paths_file).write_text("".join(f"{line}\n" for line in lines))


@pytest.mark.parametrize(
    "lines, fits",
    [
        (["/srv/x"], True),
        (["/srv"], True),
        (["# comment", "", "/srv/x/"], True),
        (["/srv/y"], False),
        ([], False),
        (["# /srv/x"], False),
        (["srv/x"], False),
    ],
)
def test_the_list_of_directories_is_followed(tmp_path, lines, fits):
    paths = make_paths(tmp_path)
    allow(paths, *lines)
    if fits:
        storage.check_directory("/srv/x", paths)
    else:
        with pytest.raises(errors.FileStoragePathError, match="is not listed in"):
            storage.check_directory("/srv/x", paths)


@pytest.mark.parametrize(
    "directory", ["/", "/etc", "/usr/bin", "srv/x", "/srv/../etc", "/srv/x/", ""]
)
def test_odd_directories_are_refused_without_a_list(tmp_path, directory):
    with pytest.raises(errors.FileStoragePathError):
        storage.check_directory(directory, make_paths(tmp_path))


def test_a_list_that_cannot_be_read_allows_nothing(tmp_path):
    paths = make_paths(tmp_path)
    os.makedirs(paths.file_storage_paths_file)
    with pytest.raises(errors.FileStoragePathError, match="Cannot read"):
        storage.check_directory("/srv/x", paths)


def test_a_disk_is_not_made_where_the_list_does_not_allow_it(cluster, files, tmp_path):
    allow(make_paths(tmp_path), "/srv/other")
    with pytest.raises(errors.FileStoragePathError):
        files.create(file_disk(cluster))
    files.remove(file_disk(cluster))  # existing disks may be removed even so


# -- counted disks -----------------------------------------------------------------------


def test_every_disk_counts_with_the_size_that_it_may_grow_to(cluster, counted):
    assert counted.used() == 0
    counted.create(volume("a"))
    counted.create(volume("b", "drbd"))
    counted.create(file_disk(cluster, size=512))
    assert counted.used() == 2048 + 2048 + constants.DRBD_META_SIZE + 512


def test_a_removed_disk_counts_no_more(cluster, counted):
    for disk in (volume(), file_disk(cluster)):
        counted.create(disk)
        assert os.path.exists(counted.path(disk))
        counted.remove(disk)
        counted.remove(disk)
        assert not os.path.exists(counted.path(disk))
    assert counted.used() == 0


def test_a_volume_is_a_file_of_its_size(counted):
    counted.create(volume())
    assert os.stat(counted.path(volume())).st_size == 2048 * MIB


def test_a_file_lost_by_hand_counts_nothing(cluster, counted):
    counted.create(file_disk(cluster))
    os.unlink(counted.path(file_disk(cluster)))
    assert counted.used() == 0


def test_a_file_that_cannot_be_counted_is_not_made(cluster, counted, tmp_path):
    disk = file_disk(cluster)
    counted.create(volume())
    (tmp_path / "disks/u1.file").write_text("")
    with pytest.raises(errors.BlockDeviceError):
        counted.create(disk)
    assert not os.path.exists(counted.path(disk))


def test_a_record_that_cannot_be_read_is_an_error_in_words(files, tmp_path):
    (tmp_path / "file").touch()
    counted = CountedDisks(str(tmp_path / "file/disks"), files)
    with pytest.raises(errors.BlockDeviceError, match="Cannot read"):
        counted.used()
    with pytest.raises(errors.BlockDeviceError, match="Cannot create"):
        counted.create(volume())
