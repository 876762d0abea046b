"""Checks that find damage in a database."""

import logging
import re
import sqlite3
import threading
from pathlib import Path

import pytest

from ganeti.db import files
from ganeti.maintenance import check
from ganeti.maintenance.check import ranges
from support.backup import make_filled_cluster

INSTANCE = "kind = 'instance' AND name = 'web.example.com'"


@pytest.fixture
def paths(tmp_path):
    return make_filled_cluster(tmp_path)


def damage(paths, *statements):
    """Change the database without updating checksums, and return a connection to it."""
    connection = sqlite3.connect(paths.master_db, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()
    return files.connect(paths.master_db)


def test_an_intact_database_has_no_findings(paths):
    assert check.full(damage(paths)) == []


@pytest.mark.parametrize(
    "statement, words",
    [
        ("UPDATE job_job SET status = 'success' WHERE id = 1", "job_job has damaged rows: jobs 1"),
        ("UPDATE job_op SET result = '1' WHERE job_id = 2", "job_op has damaged rows: jobs 2"),
        ("UPDATE job_log SET text = '\"x\"'", "job_log has damaged rows: jobs 1"),
        ("DELETE FROM job_job WHERE id = 2", "2 of 3 jobs exist"),
        ("DELETE FROM job_op WHERE job_id = 1 AND idx = 1", "opcodes of these jobs are missing: 1"),
        ("DELETE FROM job_job WHERE id = 3", "opcodes belong to jobs that do not exist: 3"),
        ("DELETE FROM sqlite_sequence", "the job counter is at 0, but job 3 exists"),
        ("UPDATE sqlite_sequence SET seq = 2", "the job counter is at 2"),
        ("UPDATE sqlite_sequence SET seq = 'x'", "the ids of jobs cannot be read"),
        (f"UPDATE cluster_object SET data = '{{}}' WHERE {INSTANCE}", "instance 'web.example.com'"),
        ("DELETE FROM cluster_object WHERE kind = 'group'", "is in no known group"),
        ("DELETE FROM cluster_object WHERE kind = 'cluster'", "0 records of the cluster"),
        (
            "INSERT INTO cluster_value VALUES ('queue.x', '1', 7)",
            "cluster_value has damaged rows: 'queue.x'",
        ),
        ("INSERT INTO cluster_value VALUES ('queue.skipped', '1', 7)", "queue.skipped is damaged"),
        ("DROP TABLE job_log", "tables are missing: job_log"),
    ],
)
def test_a_changed_row_is_found(paths, statement, words):
    found = check.full(damage(paths, statement))
    assert re.search(words, "\n".join(found)), found


def test_a_name_in_only_one_of_both_trees_is_found(paths):
    content = Path(paths.master_db).read_bytes()
    assert content.count(b"instanceweb.example.com") == 1  # kind and name, in the index
    Path(paths.master_db).write_bytes(
        content.replace(b"instanceweb.example.com", b"instanceweb.example.net")
    )
    found = check.cheap(files.connect(paths.master_db))
    assert found == [
        f"the instance web.example.{end} is missing in the table or in the index "
        "of the configuration"
        for end in ("com", "net")
    ]


def test_a_senseless_schema_is_found(paths):
    connection = damage(
        paths,
        "PRAGMA writable_schema=ON",
        "UPDATE sqlite_master SET sql = 'CREATE' WHERE name = 'job_op'",
    )
    assert "schema cannot be read" in check.full(connection)[0]


def test_senseless_bytes_are_findings_and_no_crash(paths):
    with open(paths.master_db, "r+b") as file:
        content = bytearray(file.read())
        offset = content.index(b"web.example.com")
        file.seek(offset)
        file.write(b"\xff\xfe\x00" * 5)
    for words in check.full(files.connect(paths.master_db)):
        words.encode("ascii", "backslashreplace")


@pytest.mark.parametrize(
    "numbers, words",
    [
        ([], "?"),
        ([None, "x"], "?"),
        ([3], "3"),
        ([9, 7, 8, 3, 8], "3, 7-9"),
        (range(0, 100, 2), ", ".join(map(str, range(0, 40, 2))) + " and 30 more"),
    ],
)
def test_ranges_of_ids_are_written_in_short(numbers, words):
    assert ranges(numbers) == words


# -- beside a working master ----------------------------------------------------------


def check_in_background(paths):
    """Return the findings that a background check reports."""
    found = []
    background = check.BackgroundCheck(lambda: files.connect(paths.master_db), found.extend)
    background.start()
    background.join()
    return found


def test_a_background_check_says_that_all_is_well(paths, caplog, monkeypatch):
    monkeypatch.setattr(check, "CHUNK", 1)
    monkeypatch.setattr(check, "PAUSE", 0)
    caplog.set_level(logging.INFO)
    assert check_in_background(paths) == [] and "found no damage" in caplog.text


@pytest.mark.parametrize("table", ["job_job", "job_op", "job_log"])
def test_a_background_check_finds_what_a_full_check_finds(paths, monkeypatch, table):
    monkeypatch.setattr(check, "CHUNK", 2)
    monkeypatch.setattr(check, "PAUSE", 0)
    expected = check.check_rows(damage(paths, f"UPDATE {table} SET sum = 5"), table)
    assert check_in_background(paths) == expected != []


def test_a_background_check_ends_when_told(paths, monkeypatch):
    monkeypatch.setattr(check, "PAUSE", 3600)
    background = check.BackgroundCheck(lambda: files.connect(paths.master_db), lambda damage: None)
    background.start()
    background.stop()
    assert "verify" not in [thread.name for thread in threading.enumerate()]


def test_a_background_check_that_cannot_read_says_so(tmp_path, caplog):
    background = check.BackgroundCheck(
        lambda: files.connect(str(tmp_path / "none")), lambda damage: None
    )
    background.start()
    background.join()
    assert "Checking the database failed" in caplog.text
