"""Upgrades of the schema: a complete copy is on the disk before the upgrade begins."""

import errno
import glob
import os
import shutil
import sqlite3
import stat
import sys

import pytest

from ganeti import errors
from ganeti.db import files, schema
from ganeti.db.store import Store
from ganeti.jqueue import rows
from ganeti.maintenance import check, repair, restore, upgrade
from ganeti.maintenance.restore import RestoredSecrets
from support import DATA
from support.backup import make_filled_cluster, query_database
from support.cluster import make_paths


@pytest.fixture
def paths(tmp_path):
    return make_filled_cluster(tmp_path)


def next_step(connection):
    """Upgrade with a small cache, so that SQLite writes its log before the commit."""
    connection.execute("PRAGMA cache_size=1")
    connection.execute("CREATE TABLE later (a)")
    for number in range(4):
        sys.audit("test.step", "master.db")
        connection.execute("INSERT INTO later VALUES (?)", (str(number) * 90_000,))


@pytest.fixture
def newer(paths, monkeypatch):
    """Give this program a schema that is newer than that of ``paths``."""
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    monkeypatch.setitem(schema._STEPS, schema.VERSION - 1, next_step)
    return monkeypatch


def open_and_close(paths, **options):
    store, notice = upgrade.open_store(paths, **options)
    store.close()
    return notice


def copies(paths):
    return glob.glob(f"{paths.master_db}.before-upgrade-*")


def version(path):
    with sqlite3.connect(path) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def test_a_database_of_this_schema_is_just_opened(paths):
    assert open_and_close(paths) is None and copies(paths) == []


def test_the_copy_is_the_database_as_it_was(paths, newer):
    notice = open_and_close(paths, clock=lambda: 1e9)
    (copy,) = copies(paths)
    assert f"ganeti-cluster restore {copy}" in notice and "\n" not in notice
    assert (version(copy), version(paths.master_db)) == (schema.VERSION - 1, schema.VERSION)
    assert stat.S_IMODE(os.stat(copy).st_mode) == 0o600
    newer.undo()
    connection = files.connect(copy)
    assert check.full(connection) == []
    connection.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_copy_belongs_to_whom_the_database_belongs_to(paths, newer):
    os.chown(paths.master_db, 1234, 2345)
    open_and_close(paths)
    found = os.stat(copies(paths)[0])
    assert (found.st_uid, found.st_gid) == (1234, 2345)


def test_the_copy_is_one_file_with_what_was_in_the_log(paths, newer):
    with sqlite3.connect(paths.master_db, isolation_level=None) as connection:
        schema.prepare(connection)
        connection.execute("PRAGMA wal_autocheckpoint=0")
        schema.store_value(connection, "queue.drained", "true")
        for suffix in ("", "-wal", "-shm"):
            shutil.copy(paths.master_db + suffix, paths.master_db + ".killed" + suffix)
    for suffix in ("", "-wal", "-shm"):
        os.replace(paths.master_db + ".killed" + suffix, paths.master_db + suffix)
    open_and_close(paths)
    (copy,) = copies(paths)
    assert sqlite3.connect(copy).execute(
        "SELECT value FROM cluster_value WHERE name = 'queue.drained'"
    ).fetchone() == ("true",)


def test_the_older_program_restores_it(paths, newer):
    open_and_close(paths)
    (copy,) = copies(paths)
    newer.undo()  # the older version of the program
    with pytest.raises(errors.ConfigurationError, match="nothing was changed"):
        Store.open(paths.master_db)
    result = restore.restore(paths, copy, secrets=RestoredSecrets())
    assert result.contents.jobs == 3 and not result.guessed
    assert query_database(paths, check.full) == []
    assert version(result.kept) == schema.VERSION + 1


def test_the_first_schema_comes_with_words_that_its_programs_allow(tmp_path):
    paths = make_paths(tmp_path)
    os.makedirs(paths.lib_dir, exist_ok=True)
    sqlite3.connect(paths.master_db).executescript(
        (DATA / "database-version-1.sql").read_text()
    ).connection.close()
    notice = open_and_close(paths)
    assert f"copy that file to {paths.master_db}" in notice and "restore" not in notice
    assert version(copies(paths)[0]) == 1


def test_an_upgrade_without_space_changes_nothing(paths, newer):
    before = open(paths.master_db, "rb").read()
    with pytest.raises(
        errors.ConfigurationError, match="needs 1 MiB in .* only 0 MiB are free"
    ) as caught:
        open_and_close(paths, free=lambda directory: 0)
    assert "\n" not in str(caught.value) and copies(paths) == []
    assert open(paths.master_db, "rb").read() == before


@pytest.mark.parametrize("name", ["write", "fsync", "rename"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_copy_that_fails_stops_the_start_and_leaves_no_half(paths, newer, name, number):
    def fail(*arguments):
        raise OSError(number, os.strerror(number), paths.unfinished_db)

    target = (upgrade.files, "copy") if name == "write" else (os, name)
    with newer.context() as patch, pytest.raises(errors.ConfigurationError) as caught:
        patch.setattr(*target, fail)
        open_and_close(paths)
    assert "nothing was changed" in str(caught.value) and "[Errno" not in str(caught.value)
    assert copies(paths) == [] and not os.path.exists(paths.unfinished_db)
    assert version(paths.master_db) == schema.VERSION - 1
    open_and_close(paths)


def test_an_upgrade_that_fails_again_and_again_leaves_one_copy(paths, newer):
    def fail(connection):
        next_step(connection)
        raise sqlite3.OperationalError("database or disk is full")

    with newer.context() as patch:
        patch.setitem(schema._STEPS, schema.VERSION - 1, fail)
        for moment in (1e9, 2e9):
            with pytest.raises(errors.ConfigurationError, match="is full; nothing was changed"):
                open_and_close(paths, clock=lambda: moment)
    open_and_close(paths)
    assert len(copies(paths)) == 1 and version(paths.master_db) == schema.VERSION


#: Audit events that count as a step if they are about a database.
EVENTS = {"open", "os.rename", "os.remove", "sqlite3.connect", "test.step"}


def killed_at(paths, step):
    """Start in a child that is killed at its step ``step``; return whether it got that far."""
    child = os.fork()
    if child == 0:
        left = [step]

        def count(event, arguments):
            if event in EVENTS and "master.db" in str(arguments[0]):
                left[0] -= 1
                if left[0] < 0:
                    os._exit(9)

        sys.addaudithook(count)
        repair.check_and_repair(paths)
        upgrade.open_store(paths)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize("index", ["kept", "lost"])
def test_a_start_that_is_killed_leaves_the_old_database_or_the_new(paths, newer, index):
    original = paths.lib_dir + ".original"
    shutil.copytree(paths.lib_dir, original)
    step, going = 0, True
    while going:
        shutil.rmtree(paths.lib_dir)
        shutil.copytree(original, paths.lib_dir)
        going = killed_at(paths, step)
        if index == "lost" and os.path.exists(paths.master_db + "-shm"):
            os.remove(paths.master_db + "-shm")  # a power cut
        repair.check_and_repair(paths)
        open_and_close(paths)
        assert version(paths.master_db) == schema.VERSION and len(copies(paths)) <= 2
        with sqlite3.connect(copies(paths)[0]) as connection:
            assert connection.execute("SELECT count(*) FROM job_job").fetchone() == (3,)
        assert query_database(paths, lambda connection: rows.status(connection, 3)) == "success"
        step += 1
    assert step > 15


def test_an_upgrade_of_the_first_schema_that_is_killed_is_begun_anew(tmp_path, monkeypatch):
    paths = make_paths(tmp_path)
    os.makedirs(paths.lib_dir, exist_ok=True)
    with sqlite3.connect(paths.master_db) as connection:
        connection.executescript(
            (DATA / "database-version-1.sql").read_text() + "PRAGMA journal_mode=WAL;"
        )
        connection.execute("UPDATE job_op SET result = ? WHERE job_id = 1", (f'"{"x" * 500_000}"',))

    def die(connection, real=schema._STEPS[1]):
        connection.execute("PRAGMA cache_size=1")  # half of the upgrade is in the log then
        real(connection)
        os._exit(9)

    monkeypatch.setitem(schema._STEPS, 1, die)
    child = os.fork()
    if child == 0:
        upgrade.open_store(paths)
    os.waitpid(child, 0)
    monkeypatch.undo()
    assert files.has_log(paths.master_db)
    repair.check_and_repair(paths)
    open_and_close(paths)
    assert query_database(paths, check.full) == ["there are 0 records of the cluster"]
