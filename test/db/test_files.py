"""The database as files: opening it read-only changes nothing, installing one is atomic."""

import os
import sqlite3
from pathlib import Path

import pytest

from ganeti.db import files
from ganeti.db.store import Store
from ganeti.jqueue import rows
from support.backup import make_filled_cluster, query_database, read_files


@pytest.fixture
def paths(tmp_path):
    return make_filled_cluster(tmp_path)


def leave_a_log(paths):
    """Leave changes that are only in the log, as SIGKILL does."""
    store = Store.open(paths.master_db)
    store.write(lambda connection: rows.set_value(connection, "late", 1)).result()
    kept = {path: Path(path).read_bytes() for path in (paths.master_db, paths.master_db + "-wal")}
    store.close()
    for path, content in kept.items():
        Path(path).write_bytes(content)


def late(connection):
    return connection.execute(
        "SELECT count(*) FROM cluster_value WHERE name = 'queue.late'"
    ).fetchone()[0]


def test_a_read_only_connection_changes_nothing_and_sees_the_log(paths):
    leave_a_log(paths)
    before = [Path(paths.master_db + suffix).read_bytes() for suffix in ("", "-wal")]
    connection = files.connect(paths.master_db)
    assert late(connection) == 1
    with pytest.raises(sqlite3.OperationalError):
        connection.execute("DELETE FROM cluster_value")
    connection.close()
    assert before == [Path(paths.master_db + suffix).read_bytes() for suffix in ("", "-wal")]


@pytest.mark.parametrize("name", ["a b.db", "a?b#c%20.db"])
def test_a_database_may_have_any_file_name(tmp_path, name):
    sqlite3.connect(tmp_path / name).execute("CREATE TABLE t (a)").connection.close()
    connection = files.connect(str(tmp_path / name))
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
    connection.close()


def test_bytes_that_are_no_text_do_not_end_a_query(tmp_path):
    path = str(tmp_path / "x.db")
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (a TEXT)")
    connection.execute("INSERT INTO t VALUES (CAST(x'61ff' AS TEXT))")
    connection.commit()
    connection.close()
    assert files.connect(path).execute("SELECT a FROM t").fetchone() == ("a\udcff",)


def test_a_copy_has_the_log(paths, tmp_path):
    leave_a_log(paths)
    files.copy(paths.master_db, str(tmp_path / "copy"))
    assert late(files.connect(str(tmp_path / "copy"))) == 1
    assert files.size(str(tmp_path / "copy")) == files.size(paths.master_db) > 0


def test_an_installed_database_does_not_meet_the_old_log(paths):
    leave_a_log(paths)
    files.copy(paths.master_db, paths.unfinished_db)
    os.unlink(paths.unfinished_db + "-wal")
    Path(paths.damage_mark).touch()
    files.install(paths)
    assert query_database(paths, late) == 0
    assert not [name for name in read_files(Path(paths.lib_dir)) if ".db." in name]


def test_an_interrupted_installation_is_finished(paths):
    leave_a_log(paths)
    assert files.finish_install(paths) is False
    Path(paths.next_db).write_bytes(Path(paths.master_db).read_bytes())
    assert files.finish_install(paths) is True
    assert query_database(paths, late) == 0


def test_an_unfinished_database_is_discarded_with_its_log(paths):
    for suffix in ("", "-wal", "-shm"):
        Path(paths.unfinished_db + suffix).touch()
    files.discard(paths.unfinished_db)
    files.discard(paths.unfinished_db)
    assert not [name for name in read_files(Path(paths.lib_dir)) if ".db.new" in name]
    assert not files.has_log(paths.unfinished_db) and files.size(paths.unfinished_db) == 0


def test_two_databases_kept_in_one_second_have_two_names(paths):
    names = []
    for suffix in ("", "-wal", ""):
        names.append(files.free_kept_name(paths, "damaged", 0.0))
        open(names[-1] + suffix, "xb").close()
    assert names[1:] == [f"{names[0]}-2", f"{names[0]}-3"]
