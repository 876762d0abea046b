"""Dependencies: which job waits for which, and how the end of one decides about the other."""

import pytest

from ganeti.constants import JobStatus
from ganeti.jqueue.admission import Dependencies, judge
from ganeti.jqueue.job import Job
from ganeti.jqueue.live import LiveJob, LiveJobs


def live_job(number):
    return LiveJob(Job(id=number, ops=[], received_ts=(0, 0)))


def test_the_end_of_a_job_names_its_waiting_jobs_once():
    dependencies, waiting = Dependencies(None, LiveJobs()), [live_job(5), live_job(6)]
    for one in waiting:
        dependencies.park(one, 1)
    assert waiting[0].depends_on == 1 and dependencies.job_ended(1) == {5, 6}
    assert dependencies.job_ended(1) == set()


def test_a_job_that_stops_waiting_is_forgotten():
    dependencies, waiting = Dependencies(None, LiveJobs()), live_job(5)
    dependencies.park(waiting, 1)
    dependencies.stop_waiting(waiting)
    dependencies.stop_waiting(waiting)
    assert waiting.depends_on is None and dependencies.job_ended(1) == set()


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
def test_the_status_of_the_other_job_decides(status, wanted, words):
    verdict = judge(7, status, wanted)
    assert (verdict is None) == (words is None)
    assert verdict is None or words in verdict.result[1][0]


@pytest.mark.parametrize("wanted", [[], ["success"], ["error"], ["success", "error"]])
def test_a_canceled_job_cancels_those_that_do_not_list_canceled(wanted):
    assert judge(7, JobStatus.CANCELED, wanted) == ("canceled", "Job canceled by request")


@pytest.mark.parametrize("wanted", [["canceled"], ["success", "canceled"]])
def test_jobs_that_list_canceled_go_on_after_a_canceled_job(wanted):
    assert judge(7, JobStatus.CANCELED, wanted) is None
