"""The table of files: complete, and each one with its owner."""

import os
from pathlib import Path

import pytest

from ganeti import layout
from ganeti.layout import Owners
from support.cluster import make_cluster, make_paths
from support.daemon import DaemonCluster

OWNERS = Owners(1, 2, 3)


def table(paths):
    return {
        entry.path: entry
        for entry in (
            *layout.directories(paths, OWNERS, paths.file_storage_dir),
            *layout.files(paths, OWNERS),
        )
    }


def test_everything_that_a_working_cluster_has_is_in_the_table(tmp_path):
    with DaemonCluster(tmp_path) as cluster:
        cluster.start()
        cluster.create()
        entries = table(cluster.paths)
        below = tuple(f"{path}/" for path, entry in entries.items() if entry.files is not None)
        made = [
            str(path)
            for top in (
                cluster.paths.lib_dir,
                cluster.paths.run_dir,
                cluster.paths.log_dir,
                cluster.paths.file_storage_dir,
            )
            for path in [Path(top), *Path(top).rglob("*")]
        ]
        left = {path for path in made if path not in entries and not path.startswith(below)}
    #: Made anew by each start, or by each run of a script.
    passing = (".pid", "/ganeti-query", ".log")
    assert not [path for path in left if not path.endswith(passing)]


@pytest.mark.parametrize(
    "name, uid, mode",
    [
        ("master_db", 1, 0o600),
        ("master_lock", 1, 0o600),
        ("rapi_cert", 2, 0o600),
        ("rapi_dir", 2, 0o750),
        ("lib_dir", 1, 0o755),
        ("log_dir", 1, 0o770),
        ("backup_key", 1, 0o600),
        ("rapi_log", 2, 0o640),
    ],
)
def test_each_daemon_has_its_own(tmp_path, name, uid, mode):
    paths = make_paths(tmp_path)
    entry = table(paths)[getattr(paths, name)]
    assert (entry.uid, entry.gid, entry.mode) == (uid, 3, mode)


def test_kept_databases_and_ssconf_files_are_found_by_name(tmp_path):
    paths = make_paths(tmp_path)
    os.makedirs(paths.lib_dir)
    names = [
        "master.db.damaged-20260131-120000",
        "master.db.before-restore-20260131-120000-2-wal",
        "ssconf_cluster_name",
        "notes",
        "master.db.mine",
    ]
    for name in names:
        Path(paths.lib_dir, name).touch()
    found = table(paths)
    assert [name for name in names if f"{paths.lib_dir}/{name}" in found] == names[:3]


def test_a_storage_directory_of_the_administrator_is_not_in_it(tmp_path):
    paths = make_paths(tmp_path)
    (tmp_path / "disks").mkdir()

    def of(folder):
        return [entry.path for entry in layout.directories(paths, OWNERS, str(folder))]

    assert str(tmp_path / "disks") not in of(tmp_path / "disks")
    assert str(tmp_path / "new") in of(tmp_path / "new")


def test_simulated_nodes_have_directories(tmp_path):
    store, config, _ = make_cluster(tmp_path)
    paths = make_paths(tmp_path)
    found = [entry.path for entry in layout.directories(paths, OWNERS, "/x", config.nodes())]
    store.close()
    assert paths.simulated_node("node2.example.com") in found
    assert paths.simulated_node("node1.example.com") not in found
