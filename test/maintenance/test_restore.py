"""Restoring backups: contents, unfinished jobs, secrets, refusals and crashes."""

import os
import sqlite3
from pathlib import Path

import pytest

from ganeti.config.config import Config
from ganeti.db import files, schema
from ganeti.db.store import Store
from ganeti.jqueue import id_gaps, rows
from ganeti.maintenance import backup, check, restore
from ganeti.maintenance.backup import BackupError
from ganeti.maintenance.restore import RestoredSecrets
from ganeti.utils import io
from support.backup import (
    CANARIES,
    DONE,
    LIVE,
    QUEUED,
    crashing_at,
    make_filled_cluster,
    query_database,
    read_files,
    submit,
)
from support.cluster import make_cluster, make_paths


@pytest.fixture
def paths(tmp_path):
    return make_filled_cluster(tmp_path / "cluster")


@pytest.fixture
def saved(paths, tmp_path):
    backup.create(paths, str(tmp_path / "saved"), clock=lambda: 1_600_000_000.0)
    return str(tmp_path / "saved")


def configuration(paths):
    store = Store.open(paths.master_db)
    try:
        config = Config(store, paths)
        config.ssconf.flush()
        return config
    finally:
        store.close()


def jobs(paths):
    store = Store.open(paths.master_db)
    try:
        found = {job.id: job for job in rows.load(store, None, archived=True)}
        for job in found.values():
            assert all(
                isinstance(op.log, list) for op in job.ops
            )  # logs are read lazily, so while the store is open
        return found
    finally:
        store.close()


def other_machine(tmp_path):
    """Return the paths of a machine that has nothing but a certificate."""
    paths = make_paths(tmp_path / "other")
    Path(paths.rapi_cert).parent.mkdir(parents=True)
    Path(paths.rapi_cert).write_text("kept\n")
    return paths


def test_a_restored_database_has_everything(paths, saved):
    before = query_database(paths, check.load_objects)
    store = Store.open(paths.master_db)
    store.write(
        lambda connection: connection.execute("DELETE FROM cluster_object WHERE kind = 'instance'")
    ).result()
    store.close()
    done = restore.restore(paths, saved)
    assert str(done.contents).endswith("3 nodes, 2 instances, 3 jobs")
    assert (done.made, done.lacking) == (1_600_000_000, [])
    assert query_database(paths, check.load_objects) == before
    assert query_database(paths, check.full) == []
    assert (
        query_database(
            paths,
            lambda connection: connection.execute(
                "SELECT name FROM cluster_value WHERE name LIKE 'backup.%'"
            ).fetchall(),
        )
        == []
    )


def test_an_unfinished_job_ends_in_error_and_never_runs(paths, saved):
    done = restore.restore(paths, saved)
    found = jobs(paths)
    assert done.ended == [LIVE, QUEUED]
    assert [str(job.status) for job in found.values()] == ["error", "error", "success"]
    assert found[LIVE].ops[0].result == ["OpExecError", [restore.RESTORED]]
    assert found[LIVE].ops[0].log[0].text == "half done"
    assert found[LIVE].end_ts and found[DONE].ops[0].result == DONE
    assert query_database(
        paths,
        lambda connection: connection.execute(
            f"SELECT count(*) FROM job_job WHERE NOT {rows.IS_FINAL}"
        ).fetchone(),
    ) == (0,)


def test_keys_of_submissions_survive(paths, saved):
    restore.restore(paths, saved)
    assert jobs(paths)[QUEUED].context.idempotency_key == "key"


def test_ids_go_on_above_those_given_since(paths, saved):
    submit(paths, 5)
    done = restore.restore(paths, saved)
    assert (done.last, done.guessed) == (8, False)
    assert query_database(paths, id_gaps.gaps) == [(4, 8)]
    assert submit(paths) == [9]
    assert query_database(paths, check.full) == []


def test_two_restorations_make_two_gaps(paths, saved, tmp_path):
    submit(paths)
    restore.restore(paths, saved, clock=lambda: 1e9)
    submit(paths)
    restore.restore(paths, saved, clock=lambda: 2e9)
    assert query_database(paths, id_gaps.gaps) == [(4, 5)] and submit(paths) == [6]


def test_ids_go_far_ahead_where_the_given_ones_are_not_known(paths, saved):
    Path(paths.master_db).write_bytes(b"rubbish" * 1000)
    done = restore.restore(paths, saved)
    assert (done.last, done.guessed) == (3 + restore.AHEAD, True)
    assert submit(paths) == [4 + restore.AHEAD]


def test_ids_go_far_ahead_where_the_present_log_is_damaged(paths, saved):
    store = Store.open(paths.master_db)
    store.write(lambda connection: backup.store_value(connection, "late", 1)).result()
    left = {name: Path(paths.master_db + name).read_bytes() for name in ("", "-wal", "-shm")}
    store.close()
    for name, content in left.items():
        Path(paths.master_db + name).write_bytes(content[:50] if name == "-wal" else content)
    assert restore.restore(paths, saved).guessed


def test_time_of_service_never_goes_back(paths, saved):
    store = Store.open(paths.master_db)
    store.write(lambda connection: rows.set_value(connection, "served", 5000)).result()
    store.close()
    restore.restore(paths, saved)
    assert query_database(paths, rows.service_seconds) == 5000


def test_the_database_before_it_is_kept_and_can_be_restored(paths, saved):
    submit(paths)
    done = restore.restore(paths, saved)
    assert done.kept.startswith(f"{paths.master_db}.before-restore-")
    restore.restore(paths, done.kept, clock=lambda: 1e9)
    assert sorted(jobs(paths)) == [1, 2, 3, 4]
    assert configuration(paths).instance("web").osparams_private["password"] == CANARIES[0]


def test_a_leftover_log_is_kept_and_not_applied(paths, saved):
    store = Store.open(paths.master_db)
    store.write(lambda connection: backup.store_value(connection, "late", 1)).result()
    log = Path(paths.master_db + "-wal").read_bytes()
    store.close()
    Path(paths.master_db + "-wal").write_bytes(log)
    done = restore.restore(paths, saved)
    assert Path(done.kept + "-wal").read_bytes() == log
    assert query_database(paths, lambda connection: backup.load_value(connection, "late")) is None


def test_a_restoration_on_an_empty_machine_makes_a_whole_cluster(paths, saved, tmp_path):
    other = other_machine(tmp_path)
    done = restore.restore(other, saved, secrets=RestoredSecrets(key=paths.backup_key))
    assert (done.kept, done.guessed) == (None, True)
    assert os.path.isdir(other.socket_dir) and os.path.isdir(other.simulated_nodes_dir)
    assert query_database(other, check.load_objects) == query_database(paths, check.load_objects)


def test_a_restoration_after_init_replaces_the_new_cluster(paths, saved, tmp_path):
    store, config, _ = make_cluster(tmp_path / "other")
    config.ssconf.flush()
    store.close()
    other = make_paths(tmp_path / "other")
    done = restore.restore(other, saved, secrets=RestoredSecrets(key=paths.backup_key))
    assert done.guessed and done.kept
    assert configuration(other).instance("web").osparams_private == {"password": CANARIES[0]}


# -- secrets ----------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, "wrong", "missing"])
def test_a_wrong_key_is_refused_with_the_names_of_the_instances(saved, tmp_path, key):
    (tmp_path / "wrong").write_text("00" * 32 + "\n")
    other = other_machine(tmp_path)
    with pytest.raises(BackupError, match="web.example.com.*--without-secrets"):
        restore.restore(other, saved, secrets=RestoredSecrets(key and str(tmp_path / key)))
    assert not os.path.exists(other.master_db)
    assert not [name for name in os.listdir(other.lib_dir) if name.startswith("master.db")]


def test_a_restoration_can_go_on_without_secrets(saved, tmp_path):
    other = other_machine(tmp_path)
    done = restore.restore(other, saved, secrets=RestoredSecrets(without=True))
    web = configuration(other).instance("web")
    assert (done.lacking, web.osparams_private) == (["web.example.com"], {})
    assert len(web.disks[0].logical_id[5]) == 40
    assert query_database(other, check.full) == []


# -- refusals and crashes -----------------------------------------------------------


def test_a_running_master_is_told_to_stop_first(paths, saved):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # only a lock of another process is in the way
        io.lock_file(paths.master_lock)
        os.write(writer, b"x")
        os.read(os.pipe()[0], 1)
    os.read(reader, 1)
    try:
        with pytest.raises(BackupError, match="stop it first"):
            restore.restore(paths, saved)
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


@pytest.mark.parametrize(
    "damage, words",
    [
        (
            "UPDATE job_op SET result = '7' WHERE job_id = 3",
            "damaged and was not restored: .*jobs 3",
        ),
        ("DELETE FROM job_job WHERE id = 3", "2 of 3 jobs exist"),
        (f"PRAGMA user_version={schema.VERSION + 1}", f"schema {schema.VERSION + 1}"),
        ("PRAGMA application_id=5", "not a file of this program"),
    ],
)
def test_a_damaged_backup_is_refused_and_changes_nothing(paths, saved, tmp_path, damage, words):
    connection = sqlite3.connect(saved)
    connection.execute(damage)
    connection.commit()
    connection.close()
    before = read_files(tmp_path / "cluster")
    with pytest.raises(BackupError, match=words):
        restore.restore(paths, saved)
    assert read_files(tmp_path / "cluster") == {**before, paths.master_lock: b""}


@pytest.mark.parametrize("content", [b"", b"text\n", b"\0" * 8192])
def test_files_of_another_kind_are_refused(paths, tmp_path, content):
    (tmp_path / "saved").write_bytes(content)
    with pytest.raises(BackupError):
        restore.restore(paths, str(tmp_path / "saved"))
    with pytest.raises(BackupError, match="no file"):
        restore.restore(paths, str(tmp_path / "nonexistent"))


@pytest.mark.parametrize("step", range(12))
def test_a_crash_leaves_the_old_database_or_the_new_one(paths, saved, monkeypatch, step):
    """Crash at one of the renames and removals; the next start completes the installation."""
    submit(paths)
    with crashing_at(monkeypatch, ("rename", "unlink", "link"), step):
        restore.restore(paths, saved)
    files.finish_install(paths)
    assert query_database(paths, rows.last_id) == 4
    assert query_database(paths, check.full) == []
    assert len(jobs(paths)) in (1, 3)
