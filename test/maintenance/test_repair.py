"""Check and repair before a start: damage that is found, copies that are kept, refusals."""

import logging
import os
import re
import sqlite3
from pathlib import Path

import pytest

from ganeti import errors
from ganeti.db.store import Store
from ganeti.jqueue import rows
from ganeti.maintenance import backup, check, repair
from support.backup import crashing_at, make_filled_cluster, query_database, read_files, submit

#: Bytes of a log's header, and of a frame with its page.
HEADER, FRAME = 32, 4120


@pytest.fixture
def paths(tmp_path):
    return make_filled_cluster(tmp_path)


@pytest.fixture
def killed(paths):
    """Return the files as SIGKILL leaves them: nine transactions are only in log and index."""
    store = Store.open(paths.master_db)
    for number in range(9):
        store.write(lambda connection: rows.set_value(connection, f"n{number}", number)).result()
    left = {name: Path(paths.master_db + name).read_bytes() for name in ("", "-wal", "-shm")}
    store.close()
    for name, content in left.items():
        Path(paths.master_db + name).write_bytes(content)
    return paths


def spoil(paths, statement):
    connection = sqlite3.connect(paths.master_db, isolation_level=None)
    connection.execute(statement)
    connection.close()


def edit(path, where, data):
    content = bytearray(Path(path).read_bytes())
    content[where : where + len(data)] = data
    Path(path).write_bytes(content)


def kept(paths):
    return sorted(name for name in os.listdir(paths.lib_dir) if ".damaged-" in name)


def numbers(paths):
    """Return which of the nine transactions were applied."""
    return query_database(
        paths,
        lambda connection: [
            number for number in range(9) if rows.value(connection, f"n{number}", None) == number
        ],
    )


def files(paths):
    """Return the files that matter: reading makes SQLite create an index and an empty log."""
    return {
        name: content
        for name, content in read_files(Path(paths.lib_dir)).items()
        if content and not name.endswith("-shm")
    }


def refused(paths):
    """Assert that the repair is refused in one line and changes nothing; return that line."""
    before = files(paths)
    with pytest.raises(errors.ConfigurationError) as caught:
        repair.check_and_repair(paths)
    assert files(paths) == before
    assert "\n" not in str(caught.value) and paths.master_db in str(caught.value)
    return str(caught.value)


def test_a_sound_database_is_not_changed(paths):
    before = Path(paths.master_db).read_bytes()
    assert repair.check_and_repair(paths) is True
    assert Path(paths.master_db).read_bytes() == before and kept(paths) == []


def test_a_missing_database_is_left_to_the_store(tmp_path, paths):
    os.unlink(paths.master_db)
    assert repair.check_and_repair(paths) is True


def test_damage_is_logged_kept_aside_and_repaired(paths, caplog):
    spoil(paths, "UPDATE job_op SET result = '7' WHERE job_id = 3")
    before = Path(paths.master_db).read_bytes()
    assert repair.check_and_repair(paths, lambda: 1e9) is True
    (name,) = kept(paths)
    assert Path(paths.lib_dir, name).read_bytes() == before
    for words in (
        "job_op has damaged rows: jobs 3",
        "lost and are shown as damaged: 3",
        f"is kept as {paths.lib_dir}/{name}",
    ):
        assert words in caplog.text
    assert query_database(paths, check.full) == []
    assert submit(paths) == [4]


def test_a_repaired_database_needs_no_second_repair(paths):
    spoil(paths, "DELETE FROM job_job WHERE id = 3")
    repair.check_and_repair(paths)
    repair.check_and_repair(paths)
    assert len(kept(paths)) == 1
    assert not [
        name
        for name in os.listdir(paths.lib_dir)
        if name.startswith("master.db.") and ".damaged-" not in name
    ]


@pytest.mark.parametrize(
    "damage, words",
    [
        (lambda path: Path(path).write_bytes(b""), "it is empty"),
        (
            lambda path: Path(path).write_bytes(bytes(8192)),
            "cannot be read|not a database of this program",
        ),
        (lambda path: os.truncate(path, 5000), "cannot be read"),
        (lambda path: os.truncate(path, 20), "cannot be read"),
        (lambda path: edit(path, 0, b"sqlite"), "not a database"),
        (
            lambda path: edit(path, 68, b"x"),
            "not a database of this program, or its header is damaged",
        ),
        (lambda path: edit(path, 16, b"\x08"), "damaged"),
    ],
)
def test_an_unreadable_database_is_refused_in_one_line(paths, damage, words):
    damage(paths.master_db)
    assert re.search(words, refused(paths))


def test_a_damaged_configuration_is_refused(paths):
    spoil(paths, "UPDATE cluster_object SET data = '{}' WHERE kind = 'instance'")
    assert "ganeti-cluster restore FILE" in refused(paths)


def test_a_size_in_the_header_that_is_wrong_loses_nothing(paths):
    edit(paths.master_db, 28, b"\x01")
    repair.check_and_repair(paths)
    assert query_database(paths, check.full) == [] and len(kept(paths)) == 1


@pytest.mark.parametrize("version", [1, 3, 99])
def test_a_database_of_another_schema_is_left_to_the_store(paths, version):
    spoil(paths, f"PRAGMA user_version={version}")
    repair.check_and_repair(paths)
    assert kept(paths) == []


def test_an_older_database_with_a_broken_structure_is_refused(paths):
    spoil(paths, "PRAGMA user_version=1")
    connection = sqlite3.connect(paths.master_db)
    (page,) = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'job_op'"
    ).fetchone()
    connection.close()
    edit(paths.master_db, (page - 1) * 4096, bytes(100))
    refused(paths)


# -- the log -------------------------------------------------------------------------


def test_a_log_left_by_a_crash_is_no_damage(killed, caplog):
    caplog.set_level(logging.INFO)
    repair.check_and_repair(killed)
    assert numbers(killed) == list(range(9)) and kept(killed) == [] and caplog.text == ""


@pytest.mark.parametrize("index", [True, False])
def test_a_flipped_bit_in_the_log_loses_nothing(killed, caplog, index):
    if not index:
        os.unlink(killed.master_db + "-shm")
    before = Path(killed.master_db + "-wal").read_bytes()
    edit(killed.master_db + "-wal", HEADER + 24 + 90, bytes([before[HEADER + 24 + 90] ^ 1]))
    repair.check_and_repair(killed)
    assert numbers(killed) == list(range(9)) and query_database(killed, check.full) == []
    assert len(kept(killed)) == 2 and "repaired; nothing is lost" in caplog.text


def test_a_damaged_page_of_the_log_is_repaired_like_any_other(killed, caplog):
    frames = (os.path.getsize(killed.master_db + "-wal") - HEADER) // FRAME
    edit(killed.master_db + "-wal", HEADER + (frames - 1) * FRAME + 24 + 4000, bytes(range(64)))
    try:
        repair.check_and_repair(killed)
    except errors.ConfigurationError:
        return  # the page belongs to the configuration
    assert query_database(killed, check.full) == [] and len(kept(killed)) == 2
    assert "kept as" in caplog.text


def test_a_log_that_ends_early_is_refused(killed):
    os.truncate(killed.master_db + "-wal", HEADER + FRAME)
    assert "ends early (1 of" in refused(killed)


def test_a_log_that_is_gone_is_missed(killed):
    os.unlink(killed.master_db + "-wal")
    assert "its log is lost" in refused(killed)


def test_a_log_of_zeroes_is_refused(killed):
    size = os.path.getsize(killed.master_db + "-wal")
    Path(killed.master_db + "-wal").write_bytes(bytes(size))
    assert "its log" in refused(killed)


def test_without_an_index_a_torn_end_may_be_a_power_cut(killed, caplog):
    caplog.set_level(logging.INFO)
    os.unlink(killed.master_db + "-shm")
    size = os.path.getsize(killed.master_db + "-wal")
    edit(killed.master_db + "-wal", size - 2000, bytes(2000))
    edit(killed.master_db + "-wal", size - 3000, b"\xff" * 1000)
    repair.check_and_repair(killed)
    assert numbers(killed) == list(range(8))
    assert "is incomplete (a power cut?)" in caplog.text
    assert [name[-4:] for name in kept(killed)] == ["-wal"]
    assert submit(killed) == [1004] and query_database(killed, check.full) == []


def test_where_the_index_says_that_nothing_is_missing_nothing_is(killed, caplog):
    caplog.set_level(logging.INFO)
    with open(killed.master_db + "-wal", "ab") as file:
        file.write(b"half a frame")
    repair.check_and_repair(killed)
    assert numbers(killed) == list(range(9)) and caplog.text == ""


# -- large databases ------------------------------------------------------------------------


def test_a_large_database_is_checked_in_full_only_when_marked(paths, monkeypatch):
    monkeypatch.setattr(check, "AT_START", 0)
    spoil(paths, "UPDATE job_op SET result = '7' WHERE job_id = 3")
    assert repair.check_and_repair(paths) is False and kept(paths) == []
    repair.record_damage(paths, ["as a background check found"])
    assert repair.check_and_repair(paths) is True and len(kept(paths)) == 1
    assert not os.path.exists(paths.damage_mark)
    assert repair.check_and_repair(paths) is False


def test_cheap_checks_are_always_made(paths, monkeypatch):
    monkeypatch.setattr(check, "AT_START", 0)
    spoil(paths, "DELETE FROM job_job WHERE id = 3")
    assert repair.check_and_repair(paths) is True and len(kept(paths)) == 1


# -- crashes ---------------------------------------------------------------------------


@pytest.mark.parametrize("step", range(14))
def test_a_crash_during_a_repair_is_completed_by_the_next_start(killed, monkeypatch, step):
    spoil(killed, "UPDATE job_op SET result = '7' WHERE job_id = 3")
    with crashing_at(monkeypatch, ("rename", "unlink", "pwrite"), step):
        repair.check_and_repair(killed, lambda: 1e9)
    repair.check_and_repair(killed, lambda: 2e9)
    assert query_database(killed, check.full) == [] and numbers(killed) == list(range(9))
    assert (
        query_database(
            killed,
            lambda connection: connection.execute(
                "SELECT result FROM job_op WHERE job_id = 3"
            ).fetchone(),
        )[0]
        != "7"
    )


def test_a_full_disk_changes_nothing(paths, monkeypatch):
    spoil(paths, "UPDATE job_op SET result = '7' WHERE job_id = 3")
    before = files(paths)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(repair.files, "copy", full)
    with pytest.raises(OSError):
        repair.check_and_repair(paths)
    assert files(paths) == before


def test_a_backup_of_a_repaired_database_is_whole(paths, tmp_path):
    spoil(paths, "UPDATE job_op SET result = '7' WHERE job_id = 3")
    repair.check_and_repair(paths)
    assert backup.create(paths, str(tmp_path / "saved")).jobs == 3
