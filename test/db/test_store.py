"""The database: durable answers, and changes that do not affect each other."""

import errno
import logging
import sqlite3
import threading

import pytest

from ganeti import errors
from ganeti.db.store import DatabaseDamaged, Store, StoreUnavailable


@pytest.fixture
def store(tmp_path):
    made = Store.create(str(tmp_path / "master.db"))
    yield made
    made.close()


def put(name, value="1"):
    return lambda connection: (
        connection.execute(
            "INSERT INTO cluster_value (name, value) VALUES (?, ?)", (name, value)
        ).rowcount
    )


def names(store):
    with store.read() as connection:
        return [row[0] for row in connection.execute("SELECT name FROM cluster_value")]


def test_a_change_is_readable_once_its_future_is_done(store):
    assert store.write(put("a")).result() == 1
    assert names(store) == ["a"]


def test_a_change_survives_closing(store, tmp_path):
    store.write(put("a")).result()
    store.close()
    again = Store.open(str(tmp_path / "master.db"))
    assert names(again) == ["a"]
    again.close()


def test_commits_are_synced_to_the_disk(store):
    modes = store.write(
        lambda connection: (
            connection.execute("PRAGMA journal_mode").fetchone()[0],
            connection.execute("PRAGMA synchronous").fetchone()[0],
        )
    ).result()
    assert modes == ("wal", 2)


def test_a_change_that_fails_takes_no_other_with_it(store):
    hold = threading.Event()
    store.write(lambda connection: hold.wait(10))  # the next three share a transaction
    futures = [store.write(put("a")), store.write(put("a")), store.write(put("b"))]
    hold.set()
    assert futures[0].result() == 1 and futures[2].result() == 1
    with pytest.raises(sqlite3.IntegrityError):
        futures[1].result()
    assert names(store) == ["a", "b"]


def test_an_error_of_the_change_undoes_its_writes(store):
    def change(connection):
        put("a")(connection)
        raise errors.OpPrereqError("no")

    with pytest.raises(errors.OpPrereqError):
        store.write(change).result()
    assert names(store) == []


def test_a_disk_that_refuses_fails_all_and_is_tried_again(store):
    def disk_full(connection):
        raise sqlite3.OperationalError("database or disk is full")

    hold = threading.Event()
    store.write(lambda connection: hold.wait(10))
    futures = [store.write(put("a")), store.write(disk_full)]
    hold.set()
    for future in futures:
        with pytest.raises(StoreUnavailable, match="disk is full"):
            future.result()
    assert names(store) == []
    store.write(put("b")).result()
    assert names(store) == ["b"]


def test_no_failure_ends_the_writer(store, monkeypatch):
    def out_of_memory(change):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(store, "_apply", out_of_memory)
        with pytest.raises(StoreUnavailable):
            store.write(put("a")).result(30)
    assert store.write(put("b")).result(30) == 1


def test_a_queued_change_cannot_be_canceled(store):
    hold = threading.Event()
    store.write(lambda connection: hold.wait(10))
    future = store.write(put("a"))
    assert not future.cancel()
    hold.set()
    assert future.result(30) == 1 and store.write(put("b")).result(30) == 1


def test_a_closed_store_refuses_changes_at_once(store):
    store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        store.write(put("a")).result(30)


def test_callbacks_run_in_order_on_the_writers_thread(store):
    heard = []
    for name in "abc":
        store.write(
            put(name), lambda _, name=name: heard.append((name, threading.current_thread().name))
        ).result(30)
    store.close()
    assert heard == [(name, "store-writer") for name in "abc"]


def test_readers_may_not_write(store):
    with store.read() as connection, pytest.raises(sqlite3.OperationalError):
        put("a")(connection)


def test_creating_twice_is_refused(store, tmp_path):
    with pytest.raises(FileExistsError):
        Store.create(str(tmp_path / "master.db"))


@pytest.mark.parametrize(
    "prepare, words",
    [
        (lambda path: None, "there is no database"),
        (lambda path: path.write_bytes(b"x" * 5000), "cannot read"),
        (
            lambda path: sqlite3.connect(path).execute("CREATE TABLE t (a)").connection.close(),
            "not a database of this program",
        ),
    ],
)
def test_opening_something_else_is_refused_in_clear_words(tmp_path, prepare, words):
    path = tmp_path / "other.db"
    prepare(path)
    with pytest.raises(errors.ConfigurationError, match=words):
        Store.open(str(path))


def test_a_newer_schema_is_refused(store, tmp_path):
    store.write(lambda connection: connection.execute("PRAGMA user_version=99")).result()
    store.close()
    with pytest.raises(errors.ConfigurationError, match="schema 99"):
        Store.open(str(tmp_path / "master.db"))


def wipe(store, tmp_path, table):
    """Overwrite a table with zeroes, without the store."""
    store.write(put("a", "x" * 5000)).result()
    connection = sqlite3.connect(tmp_path / "master.db")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (page,) = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)
    ).fetchone()
    connection.close()
    with open(tmp_path / "master.db", "r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(bytes(4096))


def test_a_page_damaged_meanwhile_is_an_error_in_words(store, tmp_path):
    found = []
    store.on_damage = found.append
    wipe(store, tmp_path, "job_op")
    with pytest.raises(DatabaseDamaged, match="cannot read the database: .*malformed"):
        with store.read() as connection:
            connection.execute("SELECT * FROM job_op").fetchall()
    with pytest.raises(StoreUnavailable, match="malformed"):
        store.write(lambda connection: connection.execute("DELETE FROM job_op")).result()
    assert len(found) >= 1 and all("malformed" in words for words in found)
    assert names(store) == ["a"]


def test_a_readers_own_mistake_is_not_reported_as_damage(store):
    found = []
    store.on_damage = found.append
    with pytest.raises(DatabaseDamaged), store.read() as connection:
        connection.execute("SELECT * FROM nothing")
    assert found == []


def test_invalid_utf8_is_damage_and_is_not_quoted(store, caplog):
    found = []
    store.on_damage = found.append
    store.write(
        lambda connection: connection.execute(
            "INSERT INTO cluster_value (name, value) VALUES ('a', CAST(x'736563726574ff' AS TEXT))"
        )
    ).result()
    with pytest.raises(DatabaseDamaged, match="UTF-8") as caught, store.read() as connection:
        connection.execute("SELECT value FROM cluster_value").fetchall()
    assert found and "secret" not in f"{caught.value} {found} {caplog.text}"


def test_a_failed_commit_is_overwritten_in_the_log(store):
    class UnsyncedConnection:
        """A connection whose disk accepts what is written, but does not sync it."""

        def __init__(self, real):
            self.execute = lambda sql, *values: (
                self.fail() if sql == "COMMIT" else real.execute(sql, *values)
            )
            self.close = real.close

        def fail(self):
            raise sqlite3.OperationalError("disk I/O error")

    store._connection = UnsyncedConnection(store._connection)
    with pytest.raises(StoreUnavailable, match="I/O error"):
        store.write(put("a")).result(30)
    assert names(store) == ["store.refused"]
    assert store.write(put("b")).result(30) == 1 and not store.refusing


class RefusingConnection:
    """A connection whose disk refuses every transaction with this error."""

    def __init__(self, real, error):
        self.error = error
        self.execute = lambda sql, *values: (
            self.fail() if sql.startswith("BEGIN") else real.execute(sql, *values)
        )
        self.close = real.close

    def fail(self):
        raise self.error


@pytest.fixture
def disk(store, monkeypatch):
    """Return a function that makes the disk refuse with an error, or with None accept again."""
    real, connection = store._reconnect, store._connection

    def become(error):
        store._connection = connection if error is None else RefusingConnection(connection, error)

    monkeypatch.setattr(store, "_reconnect", lambda: None)
    yield become
    monkeypatch.setattr(store, "_reconnect", real)
    become(None)


def refused(store, name):
    """Return the message with which a change is refused."""
    with pytest.raises(StoreUnavailable) as caught:
        store.write(put(name)).result(30)
    return str(caught.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (sqlite3.OperationalError("database or disk is full"), "database or disk is full"),
        (
            sqlite3.OperationalError("attempt to write a readonly database"),
            "attempt to write a readonly database",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
    ],
)
def test_a_full_disk_and_its_recovery_are_logged_once_each(
    store, disk, caplog, tmp_path, error, words
):
    caplog.set_level(logging.INFO)
    disk(error)
    for name in "abc":
        assert refused(store, name).endswith(words)
    disk(None)
    for name in "de":
        store.write(put(name)).result(30)
    path = tmp_path / "master.db"
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "ERROR",
            f"Cannot write to the database {path}; refusing every change until that "
            f"works again: {words}",
        ),
        (
            "INFO",
            f"Writing to the database {path} works again; refused changes: 3",
        ),
    ]
    disk(error)
    refused(store, "f")
    assert len(caplog.records) == 3  # refusals after a success are logged anew


def test_a_working_disk_is_not_logged(store, caplog):
    caplog.set_level(logging.INFO)
    store.write(put("a")).result(30)
    with pytest.raises(sqlite3.IntegrityError):
        store.write(put("a")).result(30)
    assert not caplog.records
