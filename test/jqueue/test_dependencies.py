"""Who waits for which job, and what the end of that one means."""

import pytest

from ganeti.constants import JobStatus
from ganeti.jqueue.dependencies import Dependencies, judge
from ganeti.jqueue.job import Job
from ganeti.jqueue.live import LiveJob, LiveJobs


def entry(number):
    return LiveJob(Job(id=number, ops=[], received_ts=(0, 0)))


def test_those_who_wait_are_told_once():
    dependents, waiting = Dependencies(None, LiveJobs()), [entry(5), entry(6)]
    for one in waiting:
        dependents.park(one, 1)
    assert waiting[0].depends_on == 1 and dependents.job_ended(1) == {5, 6}
    assert dependents.job_ended(1) == set()


def test_who_leaves_is_forgotten():
    dependents, waiting = Dependencies(None, LiveJobs()), entry(5)
    dependents.park(waiting, 1)
    dependents.stop_waiting(waiting)
    dependents.stop_waiting(waiting)
    assert waiting.depends_on is None and dependents.job_ended(1) == set()


@pytest.mark.parametrize(
    "status, wanted, words",
    [
        (JobStatus.SUCCESS, ["success"], None),
        (JobStatus.ERROR, [], None),
        (None, [], "Job 7 not found"),
        (None, ["success"], "Job 7 not found"),
        (
            JobStatus.ERROR,
            ["success", "canceled"],
            "finished with status 'error', not one of 'success', 'canceled' as required",
        ),
    ],
)
def test_how_the_other_ended_decides(status, wanted, words):
    verdict = judge(7, status, wanted)
    assert (verdict is None) == (words is None)
    assert verdict is None or words in verdict.result[1][0]


@pytest.mark.parametrize("wanted", [[], ["success"], ["error"], ["success", "error"]])
def test_a_canceled_one_cancels_those_that_do_not_list_it(wanted):
    assert judge(7, JobStatus.CANCELED, wanted) == ("canceled", "Job canceled by request")


@pytest.mark.parametrize("wanted", [["canceled"], ["success", "canceled"]])
def test_those_that_list_canceled_go_on_after_a_canceled_one(wanted):
    assert judge(7, JobStatus.CANCELED, wanted) is None
