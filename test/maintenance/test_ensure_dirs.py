"""Owners and modes of a whole cluster: changes, refusals and the report."""

import os
from pathlib import Path

import pytest

from ganeti.layout import Owners
from ganeti.maintenance import ensure_dirs
from ganeti.maintenance.ensure_dirs import EnsureDirsError
from support.cluster import make_cluster, make_paths

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may set owners")
OWNERS = Owners(4001, 4002, 4003)


@pytest.fixture
def paths(tmp_path):
    store, config, _ = make_cluster(tmp_path)
    config.ssconf.flush()
    store.close()
    return make_paths(tmp_path)


def owner(path):
    found = os.lstat(path)
    return found.st_uid, found.st_gid


def test_a_user_other_than_root_is_refused(paths, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(EnsureDirsError, match="run it as root"):
        ensure_dirs.ensure(paths, Owners())


@needs_root
def test_a_machine_without_cluster_is_refused(tmp_path):
    with pytest.raises(EnsureDirsError, match="there is no cluster on this machine"):
        ensure_dirs.ensure(make_paths(tmp_path), OWNERS)
    assert os.listdir(tmp_path) == []


@needs_root
def test_a_real_ganeti_is_left_to_its_own_program(paths):
    Path(paths.lib_dir, "server.pem").touch()
    with pytest.raises(EnsureDirsError, match="ganeti/ensure-dirs --full-run"):
        ensure_dirs.ensure(paths, OWNERS)
    assert owner(paths.lib_dir) == (0, 0)


@needs_root
def test_users_made_after_the_cluster_get_everything(paths):
    for path in (paths.master_lock, paths.users_files[0]):
        Path(path).touch()
    assert ensure_dirs.ensure(paths, OWNERS).odd == []
    assert {
        name: owner(getattr(paths, name))
        for name in (
            "lib_dir",
            "master_db",
            "master_lock",
            "run_dir",
            "socket_dir",
            "log_dir",
            "rapi_dir",
            "rapi_cert",
            "file_storage_dir",
        )
    } == {
        **dict.fromkeys(
            (
                "lib_dir",
                "master_db",
                "master_lock",
                "run_dir",
                "socket_dir",
                "log_dir",
                "file_storage_dir",
            ),
            (4001, 4003),
        ),
        **dict.fromkeys(("rapi_dir", "rapi_cert"), (4002, 4003)),
    }
    assert owner(paths.users_files[0]) == (4002, 4003)
    assert owner(paths.ssconf("cluster_name")) == (4001, 4003)
    assert ensure_dirs.ensure(paths, OWNERS).changed == []


@needs_root
def test_a_dry_run_changes_nothing(paths):
    assert ensure_dirs.ensure(paths, OWNERS, dry_run=True).changed
    assert owner(paths.master_db) == (0, 0)


@needs_root
def test_a_daemon_of_another_user_is_named(paths):
    Path(paths.pid_file("ganeti-masterd")).write_text(f"{os.getpid()}\n")
    done = ensure_dirs.ensure(paths, OWNERS)
    assert done.running == [
        f"ganeti-masterd (pid {os.getpid()}) still runs as another user: restart it"
    ]
