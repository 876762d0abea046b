"""Backups: whole, of one moment, and without a secret in them."""

import os
import sqlite3
import stat
import threading

import pytest

from ganeti.db import files, schema
from ganeti.db.store import Store
from ganeti.maintenance import backup, check
from ganeti.maintenance.backup import BackupError
from support.backup import CANARIES, DONE, LIVE, make_filled_cluster, read_files
from support.cluster import make_paths


@pytest.fixture
def paths(tmp_path):
    return make_filled_cluster(tmp_path / "cluster")


@pytest.fixture
def target(tmp_path):
    (tmp_path / "backups").mkdir()
    return str(tmp_path / "backups/saved")


def rows(path, sql):
    connection = files.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_a_backup_is_one_closed_file_and_says_what_it_holds(paths, target):
    found = backup.create(paths, target)
    assert str(found) == "the cluster cluster.example.com: 3 nodes, 2 instances, 3 jobs"
    assert found.encrypted == 1
    assert stat.S_IMODE(os.stat(target).st_mode) == 0o600
    assert os.listdir(os.path.dirname(target)) == ["saved"]


def test_a_backup_passes_the_full_check(paths, target):
    backup.create(paths, target)
    connection = files.connect(target)
    assert check.full(connection) == []
    connection.close()
    assert rows(target, "SELECT id, status FROM job_job") == [
        (LIVE, "running"),
        (2, "queued"),
        (DONE, "success"),
    ]


def test_no_secret_is_in_a_backup_or_beside_it(paths, target, tmp_path):
    before = b"".join(read_files(tmp_path / "cluster").values())
    assert all(word.encode() in before for word in CANARIES[:3])
    backup.create(paths, target)
    (content,) = read_files(tmp_path / "backups").values()
    assert not [word for word in CANARIES if word.encode() in content]


def test_the_key_is_made_once_and_readable_by_its_owner_only(paths, target):
    backup.create(paths, target)
    key = open(paths.backup_key).read()
    assert len(key.strip()) == 64 and stat.S_IMODE(os.stat(paths.backup_key).st_mode) == 0o600
    backup.create(paths, target, force=True)
    assert open(paths.backup_key).read() == key


def test_no_key_is_made_where_there_are_no_secrets(paths, target):
    connection = sqlite3.connect(paths.master_db)
    connection.execute("DELETE FROM cluster_object WHERE name = 'web.example.com'")
    connection.commit()
    connection.close()
    assert backup.create(paths, target).encrypted == 0
    assert not os.path.exists(paths.backup_key)


def test_a_backup_beside_a_working_master_is_consistent(paths, target):
    store, stop = Store.open(paths.master_db), threading.Event()

    def change(connection):
        for name in ("a", "b"):
            backup.store_value(connection, name, counter[0])

    counter = [0]

    def work():
        while not stop.is_set():
            counter[0] += 1
            store.write(change).result()

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(3):
        backup.create(paths, target, force=True)
    stop.set()
    thread.join()
    store.close()
    found = rows(target, "SELECT value FROM cluster_value WHERE name IN ('a', 'b')")
    assert len(set(found)) == 1 and counter[0] > 1


def test_an_existing_file_stays_unless_forced(paths, target):
    open(target, "w").write("mine")
    with pytest.raises(BackupError, match="--force"):
        backup.create(paths, target)
    assert open(target).read() == "mine"
    backup.create(paths, target, force=True)
    assert rows(target, "PRAGMA application_id") == [(backup.APPLICATION_ID,)]


@pytest.mark.parametrize(
    "name, words",
    [
        ("-", "not the name"),
        ("/", "not the name"),
        ("/nonexistent/x", "nonexistent"),
    ],
)
def test_impossible_names_are_refused(paths, name, words):
    with pytest.raises(BackupError, match=words):
        backup.create(paths, name, force=True)


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_the_database_itself_is_never_replaced(paths, suffix):
    with pytest.raises(BackupError, match="own database"):
        backup.create(paths, paths.master_db + suffix, force=True)


def test_a_damaged_database_is_not_backed_up(paths, target):
    connection = sqlite3.connect(paths.master_db)
    connection.execute("UPDATE job_job SET status = 'error' WHERE id = 3")
    connection.commit()
    connection.close()
    with pytest.raises(BackupError, match="damaged and was not backed up: .*jobs 3"):
        backup.create(paths, target)
    assert os.listdir(os.path.dirname(target)) == []


def test_a_log_that_was_cut_off_is_noticed_where_no_master_works(paths, target):
    store = Store.open(paths.master_db)
    store.write(lambda connection: backup.store_value(connection, "late", 1)).result()
    left = {name: open(paths.master_db + name, "rb").read() for name in ("", "-wal", "-shm")}
    store.close()
    for name, content in left.items():
        with open(paths.master_db + name, "wb") as file:
            file.write(content[:1000] if name == "-wal" else content)
    open(paths.master_lock, "w").close()
    with pytest.raises(BackupError, match="its log ends early.*when it starts"):
        backup.create(paths, target)


def test_invalid_utf8_is_damage_and_is_not_quoted(paths, target):
    connection = sqlite3.connect(paths.master_db)
    connection.execute("UPDATE job_op SET op = CAST(x'736563726574ff' AS TEXT) WHERE job_id = 1")
    connection.commit()
    connection.close()
    with pytest.raises(BackupError, match="was not backed up: .*jobs 1") as caught:
        backup.create(paths, target)
    assert "secret" not in str(caught.value)


def test_a_backup_of_an_older_schema_has_the_present_one(paths, target):
    connection = sqlite3.connect(paths.master_db)
    for table in schema.COLUMNS:
        connection.execute(f"ALTER TABLE {table} DROP COLUMN sum")
    for index in ("ended", "unarchived", "live", "key"):
        connection.execute(f"DROP INDEX job_job_{index}")
    for column in ("received_served", "end_served", "ops"):
        connection.execute(f"ALTER TABLE job_job DROP COLUMN {column}")
    for index in ("unarchived", "live", "key"):
        connection.execute(f"CREATE INDEX job_job_{index} ON job_job (id)")
    connection.execute("PRAGMA user_version=1")
    connection.close()
    assert backup.create(paths, target).jobs == 3
    assert rows(target, "PRAGMA user_version") == [(schema.VERSION,)]


def test_a_machine_without_cluster_has_nothing_to_back_up(tmp_path, target):
    with pytest.raises(BackupError, match="no cluster on this machine"):
        backup.create(make_paths(tmp_path), target)


def test_a_database_of_another_program_is_not_backed_up(paths, target):
    connection = sqlite3.connect(paths.master_db)
    connection.execute("PRAGMA application_id=7")
    connection.close()
    with pytest.raises(BackupError, match="not a file of this program"):
        backup.create(paths, target)


def test_an_unfinished_restoration_must_be_completed_first(paths, target):
    open(paths.next_db, "w").close()
    with pytest.raises(BackupError, match="ganeti-masterd completes it"):
        backup.create(paths, target)
