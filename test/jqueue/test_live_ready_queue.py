"""The order of jobs: priorities, and a limit to being overtaken."""

import pytest

from ganeti import opcodes
from ganeti.jqueue.job import Job, JobOp
from ganeti.jqueue.live import OVERTAKEN_SECONDS, JobPhase, LiveJob, ReadyQueue


def live_job(number, since, priority=0):
    op = JobOp.of(opcodes.OpTestDelay(duration=1.0))
    op.priority = priority
    return LiveJob(Job(id=number, ops=[op], received_ts=(0, 0)), since)


def order(*live_jobs):
    queue = ReadyQueue(JobPhase.READY)
    for one in live_jobs:
        queue.push(one)
    found = []
    while (one := queue.pop()) is not None:
        one.phase = JobPhase.PARKED
        found.append(one.job.id)
    return found


def test_the_older_of_two_jobs_of_one_priority_goes_first():
    assert order(live_job(2, 5.0), live_job(1, 5.0), live_job(3, 4.0)) == [3, 1, 2]


def test_an_urgent_job_passes_those_shortly_before_it():
    assert order(live_job(1, 0.0), live_job(2, 500.0, -10), live_job(3, 700.0, -10)) == [2, 1, 3]


def test_the_lowest_priority_is_overtaken_for_a_limited_time():
    assert OVERTAKEN_SECONDS == 39 * 60
    lowest = live_job(1, 0.0, 19)
    before, after = live_job(2, OVERTAKEN_SECONDS - 1, -20), live_job(3, OVERTAKEN_SECONDS + 1, -20)
    assert order(lowest, before, after) == [2, 1, 3]


def test_endless_urgent_jobs_do_not_starve_the_lowest_priority():
    queue, clock = ReadyQueue(JobPhase.READY), 0.0
    queue.push(live_job(0, clock, 19))
    for number in range(1, 10_000):
        clock += 1.0
        queue.push(live_job(number, clock, -20))
        popped = queue.pop()
        popped.phase = JobPhase.RUNNING
        if popped.job.id == 0:
            break
    assert popped.job.id == 0 and clock <= OVERTAKEN_SECONDS + 1


@pytest.mark.parametrize("change", ["priority", "phase"])
def test_stale_items_are_not_popped(change):
    queue, moved, other = ReadyQueue(JobPhase.READY), live_job(1, 0.0), live_job(2, 1.0)
    queue.push(moved)
    queue.push(other)
    if change == "phase":
        moved.phase = JobPhase.ENDING
    else:
        moved.job.ops[0].priority = 5
        queue.push(moved)
    assert queue.pop() is other
