"""Statuses of jobs and opcodes, and the moves between them."""

import pytest

from ganeti import errors, opcodes
from ganeti.constants import JOB_FINAL, JobStatus
from ganeti.jqueue.job import MOVES, Job, JobOp, from_us, status_of, timestamp, to_us


@pytest.mark.parametrize(
    "ops, status",
    [
        ("", "success"),
        ("queued", "queued"),
        ("success success", "success"),
        ("success queued", "queued"),
        ("success waiting", "waiting"),
        ("success running", "running"),
        ("success error error", "error"),
        ("running canceling", "canceling"),
        ("canceled canceled", "canceled"),
        ("waiting running queued", "running"),
    ],
)
def test_the_status_of_a_job_follows_from_its_opcodes(ops, status):
    assert status_of([JobStatus(word) for word in ops.split()]) == status


@pytest.mark.parametrize("start", JobStatus)
@pytest.mark.parametrize("end", JobStatus)
def test_only_moves_of_the_table_are_possible(start, end):
    op = JobOp(view={}, summary="", status=start)
    if end in MOVES[start]:
        op.move(end)
        assert op.status is end
    else:
        with pytest.raises(errors.ProgrammerError):
            op.move(end)


def test_final_statuses_lead_nowhere():
    assert all(not MOVES[status] for status in JOB_FINAL)


def test_priority_is_that_of_the_most_urgent_unfinished_opcode():
    ops = [JobOp.of(opcodes.OpTestDelay(duration=0, priority=number)) for number in (-10, 10, 0)]
    ops[0].status = JobStatus.SUCCESS
    job = Job(id=1, ops=ops, received_ts=(0, 0))
    assert job.priority == 0 and job.current == 1 and not job.final
    for op in ops:
        op.status = JobStatus.SUCCESS
    assert job.priority == 0 and job.current is None and job.final


def test_timestamps_convert_both_ways():
    assert timestamp(1.5) == (1, 500000) and to_us((1, 500000)) == 1500000
    assert from_us(1500000) == (1, 500000) and to_us(None) is None


@pytest.mark.parametrize(
    "reason, limit",
    [
        ("rate-limit:3:moves", 3),
        ("rate-limit:3:a:b\n", 3),
        ("rate-limit:3", None),
        ("rate-limit:0:x", None),
        ("rate-limit:x:x", None),
        ("a rate-limit:3:x", None),
        ("rate-limit:9999999999:x", None),
    ],
)
def test_a_reason_is_a_limit_if_it_has_its_form(reason, limit):
    views = [{"reason": [["gnt:user", reason, 1]]}, {}]
    limited = Job(id=1, ops=[JobOp(view, "") for view in views], received_ts=(0, 0))
    assert limited.own_limits() == ({} if limit is None else {reason: limit})
