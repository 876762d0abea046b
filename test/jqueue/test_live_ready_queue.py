"""Who is next: priorities, and an end to being overtaken."""

import pytest

from ganeti import opcodes
from ganeti.jqueue.job import Job, JobOp
from ganeti.jqueue.live import OVERTAKEN_SECONDS, JobPhase, LiveJob, ReadyQueue


def entry(number, since, priority=0):
    op = JobOp.of(opcodes.OpTestDelay(duration=1.0))
    op.priority = priority
    return LiveJob(Job(id=number, ops=[op], received_ts=(0, 0)), since)


def order(*entries):
    line = ReadyQueue(JobPhase.READY)
    for one in entries:
        line.push(one)
    found = []
    while (one := line.pop()) is not None:
        one.phase = JobPhase.PARKED
        found.append(one.job.id)
    return found


def test_of_one_priority_the_elder_goes_first():
    assert order(entry(2, 5.0), entry(1, 5.0), entry(3, 4.0)) == [3, 1, 2]


def test_the_urgent_passes_those_shortly_before_it():
    assert order(entry(1, 0.0), entry(2, 500.0, -10), entry(3, 700.0, -10)) == [2, 1, 3]


def test_the_lowest_is_passed_for_so_long_and_no_longer():
    assert OVERTAKEN_SECONDS == 39 * 60
    lowest = entry(1, 0.0, 19)
    before, after = entry(2, OVERTAKEN_SECONDS - 1, -20), entry(3, OVERTAKEN_SECONDS + 1, -20)
    assert order(lowest, before, after) == [2, 1, 3]


def test_endless_urgent_jobs_do_not_starve_it():
    line, clock = ReadyQueue(JobPhase.READY), 0.0
    line.push(entry(0, clock, 19))
    for number in range(1, 10_000):
        clock += 1.0
        line.push(entry(number, clock, -20))
        served = line.pop()
        served.phase = JobPhase.RUNNING
        if served.job.id == 0:
            break
    assert served.job.id == 0 and clock <= OVERTAKEN_SECONDS + 1


@pytest.mark.parametrize("change", ["priority", "phase"])
def test_who_moved_is_not_found_in_the_old_place(change):
    line, moved, other = ReadyQueue(JobPhase.READY), entry(1, 0.0), entry(2, 1.0)
    line.push(moved)
    line.push(other)
    if change == "phase":
        moved.phase = JobPhase.ENDING
    else:
        moved.job.ops[0].priority = 5
        line.push(moved)
    assert line.pop() is other
