"""Writing jobs: reading them gives what was stored."""

import pytest

from ganeti import errors, opcodes
from ganeti.constants import JobStatus
from ganeti.db.store import Store
from ganeti.jqueue import rows
from ganeti.jqueue.job import LogEntry, Moment
from ganeti.luxi import RequestContext


@pytest.fixture
def store(tmp_path):
    made = Store.create(str(tmp_path / "master.db"))
    yield made
    made.close()


def insert(store, *ops, context=RequestContext("admin", "r1", "k1")):
    return store.write(
        lambda connection: rows.insert(connection, ops, context, Moment(5.5, 70))
    ).result()


def delay(**fields):
    return opcodes.OpTestDelay(duration=1.0, **fields)


def test_a_live_job_comes_back_with_its_opcodes(store):
    insert(store, delay(priority=-10), delay())
    (job,) = rows.load_live(store)
    assert [op.op.replace(reason=[]) for op in job.ops] == [delay(priority=-10), delay()]
    assert job.ops[0].priority == -10 and job.received_ts == (5, 500000)
    assert job.context == RequestContext("admin", "r1", "k1")


def test_a_final_job_is_stored_as_it_is_shown(store):
    job = insert(store, delay())
    job.ops[0].status, job.ops[0].result = JobStatus.SUCCESS, {"a": [1]}
    job.ops[0].end_ts = job.end_ts = (7, 1)
    store.write(lambda connection: rows.save(connection, job, [0])).result()
    assert rows.load_live(store) == []
    (back,) = rows.load(store, [job.id], archived=False)
    assert back.ops[0].op is None and back.ops[0].view == job.ops[0].view
    assert (back.ops[0].result, back.ops[0].end_ts, back.end_ts) == ({"a": [1]}, (7, 1), (7, 1))


def test_log_lines_are_read_when_asked_for(store):
    job = insert(store, delay(), delay())
    for serial, index in ((1, 0), (2, 1), (3, 0)):
        line = LogEntry(serial, (1, serial), "message", f"line {serial}")
        store.write(
            lambda connection, index=index, line=line: rows.add_log(connection, job.id, index, line)
        ).result()
    (back,) = rows.load(store, [job.id], archived=False)
    assert [line.serial for line in back.ops[0].log] == [1, 3]
    assert back.ops[1].log == [(2, (1, 2), "message", "line 2")]


def test_dependencies_become_absolute():
    assert rows.resolve([[-2, ["success"]], ["7", []]], 10) == [[8, ["success"]], [7, []]]
    with pytest.raises(errors.GenericError, match="leads to no job"):
        rows.resolve([[-10, []]], 10)


def test_the_reason_trail_ends_with_the_opcode_and_its_job(store):
    trail = [["gnt:user", "because", 1]]
    job = insert(store, delay(), delay(reason=trail))
    assert job.ops[1].view["reason"] == [
        *trail,
        ["gnt:opcode:test_delay", f"job={job.id};index=1", 5_500_000_000],
    ]
    (back,) = rows.load_live(store)
    assert back.ops[1].op.reason == job.ops[1].op.reason


def test_many_ids_are_read_at_once(store):
    ids = [insert(store, context=RequestContext()).id for _ in range(3)]
    found = rows.load(store, [*ids, *range(100, 1500)], archived=True)
    assert [job.id for job in found] == ids


def test_the_rows_of_a_job_have_valid_checksums(store):
    insert(store, delay(), delay())
    (job,) = rows.load_live(store)
    job.ops[0].status, job.end_served, job.end_ts = JobStatus.ERROR, 80, (6, 0)
    job.ops[1].status = JobStatus.ERROR
    for change in (
        lambda connection: rows.set_priority(connection, 1, -3),
        lambda connection: rows.save(connection, job, [0, 1]),
        lambda connection: rows.archive(connection, [1]),
        lambda connection: rows.replace(connection, job),
    ):
        store.write(change).result()
        (back,) = rows.load(store, [1], archived=True)
        assert not back.damaged


def test_switches_are_stored_and_read(store):
    with store.read() as connection:
        assert rows.value(connection, "drained", False) is False
    store.write(lambda connection: rows.set_value(connection, "drained", True)).result()
    with store.read() as connection:
        assert rows.value(connection, "drained", False) is True
        assert rows.status(connection, 1) is None
