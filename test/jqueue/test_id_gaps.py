"""Skipped job ids are stored and counted, and never given to a job."""

import pytest

from ganeti.db.store import Store
from ganeti.jqueue import id_gaps, rows
from ganeti.maintenance import check
from support.backup import make_filled_cluster, query_database, submit


@pytest.fixture
def paths(tmp_path):
    return make_filled_cluster(tmp_path)


def change(paths, function):
    store = Store.open(paths.master_db)
    try:
        return store.write(function).result()
    finally:
        store.close()


def test_a_new_queue_has_no_gap(paths):
    assert query_database(
        paths, lambda connection: (id_gaps.count(connection), id_gaps.gaps(connection))
    ) == (
        0,
        [],
    )


def test_the_next_id_is_above_the_gap(paths):
    change(paths, lambda connection: id_gaps.skip_to(connection, 10))
    assert submit(paths) == [11]
    change(paths, lambda connection: id_gaps.skip_to(connection, 12))
    assert query_database(paths, id_gaps.gaps) == [(4, 10), (12, 12)]
    assert query_database(paths, id_gaps.count) == 8 and query_database(paths, check.full) == []


def test_ids_never_go_back(paths):
    change(paths, lambda connection: id_gaps.skip_to(connection, 2))
    assert query_database(paths, rows.last_id) == 3 and query_database(paths, id_gaps.count) == 0


def test_gaps_that_touch_are_one():
    assert id_gaps.joined([(9, 9), (1, 2), (3, 3), (8, 12), (5, 5)]) == [(1, 3), (5, 5), (8, 12)]
    assert id_gaps.words([(1, 3), (5, 5)]) == "1-3, 5"


@pytest.mark.parametrize("most, taken", [(1, [3, 4]), (2, [3, 4, 7, 8]), (3, [3, 4, 7, 8, 20])])
def test_when_gaps_are_many_only_ids_beside_one_fit(most, taken):
    assert id_gaps.fitting([(1, 2)], [3, 4, 7, 8, 20], most) == taken


@pytest.mark.parametrize(
    "damage",
    ["UPDATE cluster_value SET value = '8'", "DELETE FROM cluster_value WHERE name = 'queue.gaps'"],
)
def test_contradictory_gaps_are_refused(paths, damage):
    change(paths, lambda connection: id_gaps.skip_to(connection, 10))
    change(paths, lambda connection: connection.execute(damage).rowcount)
    with pytest.raises(ValueError):
        query_database(paths, id_gaps.gaps)
