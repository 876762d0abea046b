"""Job filters as they are stored."""

import pytest

from ganeti import errors
from ganeti.db.store import Store
from ganeti.jqueue import admission, rows

UUIDS = [f"00000000-0000-4000-8000-00000000000{number}" for number in range(3)]


@pytest.fixture
def store(tmp_path):
    made = Store.create(str(tmp_path / "master.db"))
    yield made
    made.close()


def change(store, function, *args):
    return store.write(lambda connection: function(connection, *args)).result()


def put(store, uuid, priority=0):
    return change(
        store, admission.put_filter, uuid, priority, [["jobid", ["==", "id", 1]]], "PAUSE", []
    )


def stored(store):
    with store.read() as connection:
        return admission.load_filters(connection)


def test_a_filter_replaces_the_one_of_its_uuid(store):
    for uuid, priority in ((UUIDS[0], 1), (UUIDS[1], 2), (UUIDS[0], 3)):
        found = put(store, uuid, priority)
    assert [(job_filter.uuid, job_filter.priority) for job_filter in found] == [
        (UUIDS[1], 2),
        (UUIDS[0], 3),
    ]
    assert stored(store) == found


def test_removing_an_unknown_filter_is_an_error(store):
    put(store, UUIDS[0])
    with pytest.raises(errors.GenericError, match=f"{UUIDS[1]} does not exist"):
        change(store, admission.remove_filter, UUIDS[1])
    assert change(store, admission.remove_filter, UUIDS[0]) == [] == stored(store)


def test_an_unreadable_filter_is_left_out(store, caplog):
    (good,) = put(store, UUIDS[0])
    values = [
        {"uuid": "x"},
        vars(good) | {"predicates": [["bogus", None]]},
        {key: value for key, value in vars(good).items() if key != "_tests"},
    ]
    change(
        store,
        rows.set_value,
        "filters",
        [{key: value for key, value in item.items() if key != "_tests"} for item in values],
    )
    assert stored(store) == [good] and caplog.text.count("cannot be read") == 2
