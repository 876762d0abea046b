"""Rebuilding a database: undamaged rows, replacements of damaged ones, refusals."""

import sqlite3
from pathlib import Path

import pytest

from ganeti.db import files
from ganeti.jqueue import id_gaps, purge, rows
from ganeti.maintenance import check, repair
from ganeti.maintenance.repair import NotSafe
from support.backup import DONE, LIVE, QUEUED, make_filled_cluster


@pytest.fixture
def paths(tmp_path):
    return make_filled_cluster(tmp_path, jobs=12)


def spoil(paths, *statements):
    """Change the database without updating checksums."""
    connection = sqlite3.connect(paths.master_db, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def build(paths, **options):
    """Rebuild the database; return the new one and the losses."""
    target = sqlite3.connect(":memory:", isolation_level=None)
    source = files.connect(paths.master_db)
    losses = repair.rebuild(source, target, 3e9, **options)
    source.close()
    assert check.full(target) == []
    return target, losses


def rows_of(connection, table):
    return connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()


def root_of(paths, name):
    """Return the offset of a table's first page in the file."""
    connection = files.connect(paths.master_db)
    (page,) = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)
    ).fetchone()
    connection.close()
    return (page - 1) * 4096


def wipe(paths, name, size=4096):
    """Overwrite a table's first page with zeroes."""
    with open(paths.master_db, "r+b") as file:
        file.seek(root_of(paths, name))
        file.write(bytes(size))


def test_a_sound_database_is_rebuilt_without_loss(paths):
    target, losses = build(paths)
    assert losses.words() == []
    source = files.connect(paths.master_db)
    for table in ("cluster_object", "job_job", "job_op", "job_log"):
        assert rows_of(target, table) == rows_of(source, table)
    assert rows.last_id(target) == 12 and id_gaps.gaps(target) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE job_job SET status = 'queued' WHERE id = 5",
        "UPDATE job_op SET op = '{}' WHERE job_id = 5",
        "DELETE FROM job_job WHERE id = 5",
        "DELETE FROM job_op WHERE job_id = 5",
        "UPDATE job_job SET ops = 2 WHERE id = 5",
        "UPDATE job_op SET op = CAST(x'7bff' AS TEXT) WHERE job_id = 5",
    ],
)
def test_a_job_that_is_not_whole_stays_under_its_id_and_says_so(paths, statement):
    spoil(paths, statement)
    target, losses = build(paths)
    assert losses.jobs == [5] and losses.last == 12
    assert losses.words() == ["these jobs are lost and are shown as damaged: 5"]
    ((status, result),) = target.execute(
        "SELECT job_op.status, result FROM job_op JOIN job_job ON job_id = id WHERE id = 5"
    )
    assert status == "error" and "record of this job is damaged" in result


def test_ids_that_were_passed_over_are_not_lost(paths):
    connection = sqlite3.connect(paths.master_db, isolation_level=None)
    check.schema.prepare(connection)
    id_gaps.skip_to(connection, 5000)
    connection.close()
    spoil(paths, "DELETE FROM job_job WHERE id = 5")
    target, losses = build(paths)
    assert losses.jobs == [5] and id_gaps.gaps(target) == [(13, 5000)]


def test_long_gaps_are_no_losses_where_the_gaps_are_not_known(paths):
    connection = sqlite3.connect(paths.master_db, isolation_level=None)
    check.schema.prepare(connection)
    id_gaps.skip_to(connection, 5000)
    connection.execute("UPDATE cluster_value SET value = '[' WHERE name = 'queue.gaps'")
    connection.close()
    target, losses = build(paths)
    assert losses.values == ["queue.gaps"] and losses.jobs == []
    assert id_gaps.gaps(target) == [(13, 5000)]


def purged(paths, *damaged):
    with sqlite3.connect(paths.master_db, isolation_level=None) as connection:
        check.schema.prepare(connection)
        for number in (4, 5, 7, 11):
            purge.delete(connection, [number])
        assert check.full(connection) == []
        for name in damaged:
            connection.execute("UPDATE cluster_value SET value = '9' WHERE name = ?", (name,))


@pytest.mark.parametrize(
    "damaged", [["queue.gaps"], ["queue.skipped"], ["queue.gaps", "queue.skipped"]]
)
def test_purged_jobs_are_not_lost_though_the_gaps_are(paths, damaged):
    purged(paths, *damaged)
    target, losses = build(paths)
    assert losses.jobs == [] and losses.last == 12
    assert id_gaps.gaps(target) == [(4, 5), (7, 7), (11, 11)]


def test_a_job_that_is_lost_beside_purged_ones_is_said_to_be(paths):
    purged(paths)
    spoil(paths, "DELETE FROM job_job WHERE id = 9")
    target, losses = build(paths)
    assert losses.jobs == [9] and id_gaps.gaps(target) == [(4, 5), (7, 7), (11, 11)]


@pytest.mark.parametrize(
    "statement, last",
    [
        ("DELETE FROM sqlite_sequence", 1012),
        ("UPDATE sqlite_sequence SET seq = 3", 1012),
        ("UPDATE sqlite_sequence SET seq = 'x'", 1012),
        ("UPDATE sqlite_sequence SET seq = seq + 4611686018427387904", 1012),
    ],
)
def test_ids_go_ahead_where_the_counter_is_damaged(paths, statement, last):
    spoil(paths, statement)
    target, losses = build(paths)
    assert losses.ahead and losses.last == rows.last_id(target) == last
    assert losses.words() == [f"the last job ids may be lost; new ids start at {last + 1}"]


def test_ids_go_ahead_where_changes_are_known_to_be_lost(paths):
    assert build(paths, ahead=True)[1].last == 1012


def test_ids_of_an_unreadable_table_come_from_the_other_tables(paths):
    wipe(paths, "job_job")
    target, losses = build(paths)
    assert losses.jobs == list(range(1, 13)) and losses.last == 12


def test_a_rebuild_without_any_ids_is_not_safe(paths):
    for table in ("job_job", "job_op", "sqlite_sequence"):
        wipe(paths, table)
    with pytest.raises(NotSafe, match="the job ids in use"):
        build(paths)


def test_an_unfinished_job_does_not_run_where_rows_may_be_old(paths):
    wipe(paths, "job_log")
    assert build(paths)[1].unsure == []
    spoil_order(paths)
    target, losses = build(paths)
    assert losses.unsure == [LIVE, QUEUED]
    assert [
        row[0] for row in target.execute("SELECT status FROM job_job WHERE id IN (1, 2, 3)")
    ] == ["error", "error", "success"]


def spoil_order(paths):
    """Raise the key of one job's row above those of the rows that follow it."""
    start = root_of(paths, "job_job")
    content = bytearray(Path(paths.master_db).read_bytes())
    cells = int.from_bytes(content[start + 3 : start + 5], "big")
    last = start + int.from_bytes(
        content[start + 8 + 2 * (cells - 1) : start + 10 + 2 * (cells - 1)], "big"
    )
    size = 2 if content[last] & 0x80 else 1
    assert content[last + size] == 12
    content[last + size] = 4
    Path(paths.master_db).write_bytes(content)


@pytest.mark.parametrize(
    "statement", ["UPDATE job_log SET text = '1'", "UPDATE job_log SET serial = 2"]
)
def test_missing_log_lines_are_named(paths, statement):
    spoil(paths, statement)
    target, losses = build(paths)
    assert losses.logs == {LIVE} and losses.jobs == []
    assert "damaged" in target.execute("SELECT text FROM job_log").fetchone()[0]


def test_a_log_that_cannot_be_read_is_named(paths):
    wipe(paths, "job_log")
    _, losses = build(paths)
    assert losses.logs == set(range(1, 13)) and losses.jobs == []


def test_switches_that_are_lost_are_named(paths):
    spoil(paths, "INSERT INTO cluster_value VALUES ('queue.drained', 'true', 1)")
    assert build(paths)[1].values == ["queue.drained"]
    wipe(paths, "cluster_value")
    assert build(paths)[1].values == [
        "queue.drained",
        "queue.watcher_pause",
        "queue.served",
        "queue.filters",
    ]


@pytest.mark.parametrize(
    "statement, words",
    [
        ("UPDATE cluster_object SET data = '{}' WHERE kind = 'node'", "node 'node.*' is damaged"),
        ("DELETE FROM cluster_object WHERE kind = 'node'", "master node is not known"),
        ("DELETE FROM cluster_object WHERE kind = 'cluster'", "0 records of the cluster"),
    ],
)
def test_a_rebuild_without_the_whole_configuration_is_not_safe(paths, statement, words):
    spoil(paths, statement)
    with pytest.raises(NotSafe, match=words):
        build(paths)


def test_a_vanished_object_is_noticed(paths):
    """Remove a row from its page only, so that the index still has the name."""
    start = root_of(paths, "cluster_object")
    content = bytearray(Path(paths.master_db).read_bytes())
    leaf = max(
        offset
        for offset in range(0, len(content), 4096)
        if content[offset] == 10 and b'"admin_state' in content[offset : offset + 4096]
    )
    content[leaf + 4] -= 1
    Path(paths.master_db).write_bytes(content)
    assert start != 0
    with pytest.raises(NotSafe):
        build(paths)


def test_a_wrong_name_in_the_index_does_no_harm(paths):
    content = Path(paths.master_db).read_bytes()
    Path(paths.master_db).write_bytes(
        content.replace(b"instanceweb.example.com", b"instanceweb.example.net")
    )
    assert build(paths)[1].words() == []


def test_the_finished_job_keeps_its_result(paths):
    spoil(paths, "DELETE FROM job_job WHERE id = 5")
    target, _ = build(paths)
    assert target.execute(f"SELECT result FROM job_op WHERE job_id = {DONE}").fetchone() == ("3",)
