"""The tables: rows with checksums, and the upgrade of databases of older versions."""

import sqlite3

import pytest

from ganeti import errors
from ganeti.constants import JobStatus
from ganeti.db import schema
from ganeti.db.store import Store
from ganeti.jqueue import rows
from ganeti.utils.checksum import checksum
from support import DATA

#: A database of version 1, with a job that has ended and one that is queued.
VERSION_1 = (DATA / "database-version-1.sql").read_text()


@pytest.fixture
def old(tmp_path):
    path = str(tmp_path / "master.db")
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_1)
    connection.close()
    return path


def test_an_older_database_is_brought_to_this_version(old):
    store = Store.open(old, upgrade=True)
    ended, queued = rows.load(store, [1, 2], archived=True)
    assert (ended.status, ended.ops[0].result, ended.end_served) == ("success", 7, 0)
    assert ended.ops[0].log == [(1, (1, 500000), "message", "hello")]
    assert queued.ops[0].op.duration == 1.0 and queued.status is JobStatus.QUEUED
    with store.read() as connection:
        assert rows.value(connection, "drained", False) is True
        assert connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
    store.close()


def columns(path):
    with sqlite3.connect(path) as connection:
        return {
            table: sorted(row[1:5] for row in connection.execute(f"PRAGMA table_info({table})"))
            for table in schema.COLUMNS
        }


def test_an_upgraded_database_has_the_columns_of_a_new_one(old, tmp_path):
    Store.open(old, upgrade=True).close()
    Store.create(str(tmp_path / "new.db")).close()
    assert columns(old) == columns(str(tmp_path / "new.db"))


def test_an_upgrade_that_fails_changes_nothing(old, monkeypatch):
    def fail(connection):
        connection.execute("DROP TABLE job_log")
        raise sqlite3.OperationalError("disk full")

    monkeypatch.setitem(schema._STEPS, 1, fail)
    with pytest.raises(errors.ConfigurationError, match="disk full"):
        Store.open(old, upgrade=True)
    monkeypatch.undo()
    store = Store.open(old, upgrade=True)
    assert len(rows.load(store, [1, 2], archived=True)) == 2
    store.close()


def test_a_row_that_was_changed_is_not_whole():
    row = ("queue.drained", "true")
    assert schema.is_whole((*row, checksum(*row)))
    assert not schema.is_whole(("queue.drained", "false", checksum(*row)))
    assert not schema.is_whole((*row, None))


def test_every_column_counts_in_the_checksum(tmp_path):
    Store.create(str(tmp_path / "new.db")).close()
    for table, found in columns(str(tmp_path / "new.db")).items():
        assert {name for name, *_ in found} == {*schema.COLUMNS[table], "sum"}


def test_the_sql_function_computes_the_same_checksum(tmp_path):
    store = Store.create(str(tmp_path / "new.db"))
    with store.read() as connection:
        assert connection.execute("SELECT checksum(1, NULL, 'ö', '')").fetchone() == (
            checksum(1, None, "ö", ""),
        )
    store.close()
