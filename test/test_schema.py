"""The tables: rows vouched for, and databases of older versions brought to this one."""

import sqlite3

import pytest

from ganeti import errors, schema
from ganeti.constants import JobStatus
from ganeti.jqueue import records
from ganeti.store import Store

#: A database of version 1: one job that ended, one that is queued.
VERSION_1 = """
PRAGMA application_id=0x676E7469; PRAGMA user_version=1;
CREATE TABLE cluster_object (kind TEXT NOT NULL, uuid TEXT NOT NULL, name TEXT NOT NULL,
    data TEXT NOT NULL, PRIMARY KEY (kind, uuid), UNIQUE (kind, name)) WITHOUT ROWID;
CREATE TABLE cluster_value (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE job_job (id INTEGER PRIMARY KEY AUTOINCREMENT, status TEXT NOT NULL,
    received_us INTEGER NOT NULL, start_us INTEGER, end_us INTEGER,
    archived INTEGER NOT NULL DEFAULT 0, user TEXT, request_id TEXT, idempotency_key TEXT,
    request_digest TEXT);
CREATE INDEX job_job_unarchived ON job_job (id) WHERE archived = 0;
CREATE INDEX job_job_live ON job_job (id) WHERE status NOT IN ('canceled', 'success', 'error');
CREATE UNIQUE INDEX job_job_key ON job_job (user, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE TABLE job_op (job_id INTEGER NOT NULL, idx INTEGER NOT NULL, op TEXT NOT NULL,
    summary TEXT NOT NULL, status TEXT NOT NULL, priority INTEGER NOT NULL, result TEXT,
    start_us INTEGER, exec_us INTEGER, end_us INTEGER, PRIMARY KEY (job_id, idx)) WITHOUT ROWID;
CREATE TABLE job_log (job_id INTEGER NOT NULL, serial INTEGER NOT NULL, idx INTEGER NOT NULL,
    time_us INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (job_id, serial)) WITHOUT ROWID;
INSERT INTO cluster_value VALUES ('queue.drained', 'true');
INSERT INTO job_job (status, received_us, end_us) VALUES ('success', 1000000, 2000000);
INSERT INTO job_job (status, received_us) VALUES ('queued', 3000000);
INSERT INTO job_op VALUES (1, 0, '{"OP_ID": "OP_TEST_DELAY"}', 'TEST_DELAY', 'success', 0,
    '7', NULL, NULL, 2000000);
INSERT INTO job_op VALUES (2, 0, '{"OP_ID": "OP_TEST_DELAY", "duration": 1.0}', 'TEST_DELAY',
    'queued', 0, NULL, NULL, NULL, NULL);
INSERT INTO job_log VALUES (1, 1, 0, 1500000, 'message', '"hello"');
"""


@pytest.fixture
def old(tmp_path):
    path = str(tmp_path / "master.db")
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_1)
    connection.close()
    return path


def test_an_older_database_is_brought_to_this_version(old):
    store = Store.open(old, upgrade=True)
    ended, queued = records.load(store, [1, 2], archived=True)
    assert (ended.status, ended.ops[0].result, ended.end_served) == ("success", 7, 0)
    assert ended.ops[0].log == [[1, (1, 500000), "message", "hello"]]
    assert queued.ops[0].op.duration == 1.0 and queued.status is JobStatus.QUEUED
    with store.read() as connection:
        assert records.value(connection, "drained", False) is True
        assert connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
    store.close()


def columns(path):
    with sqlite3.connect(path) as connection:
        return {
            table: sorted(row[1:5] for row in connection.execute(f"PRAGMA table_info({table})"))
            for table in schema.COLUMNS
        }


def test_it_has_then_what_a_new_one_has(old, tmp_path):
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
    assert len(records.load(store, [1, 2], archived=True)) == 2
    store.close()


def test_a_row_that_was_changed_is_not_whole():
    row = ("queue.drained", "true")
    assert schema.is_whole((*row, schema.checksum(*row)))
    assert not schema.is_whole(("queue.drained", "false", schema.checksum(*row)))
    assert not schema.is_whole((*row, None))


def test_every_column_is_vouched_for(tmp_path):
    Store.create(str(tmp_path / "new.db")).close()
    for table, found in columns(str(tmp_path / "new.db")).items():
        assert {name for name, *_ in found} == {*schema.COLUMNS[table], "sum"}


def test_statements_know_the_same_sum(tmp_path):
    store = Store.create(str(tmp_path / "new.db"))
    with store.read() as connection:
        assert connection.execute("SELECT checksum(1, NULL, 'ö', '')").fetchone() == (
            schema.checksum(1, None, "ö", ""),
        )
    store.close()
