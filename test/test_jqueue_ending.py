"""Ends happen on a draft, which is stored before it is shown."""

import threading
from concurrent.futures import Future

import pytest

from ganeti import errors, opcodes
from ganeti.jqueue import ending
from ganeti.jqueue.clocks import Moment
from ganeti.jqueue.job import Job, JobOp
from ganeti.jqueue.task import Failed
from ganeti.store import StoreUnavailable

NOW = Moment(9.0, 3)


def make(*statuses):
    ops = [JobOp.of(opcodes.OpInstanceStartup(instance_name="web")) for _ in statuses]
    for op, status in zip(ops, statuses):
        op.status = ending.JobStatus(status)
    return Job(id=1, ops=ops, received_ts=(0, 0))


def test_the_job_changes_only_when_it_adopts_the_draft():
    job = make("running", "queued")
    draft = ending.draft_of(job, 0)
    ending.mark_failure(draft, 0, Failed(errors.OpExecError("no")), NOW)
    assert job.status == "running" and draft.status == "error"
    ending.adopt(job, draft, 0)
    assert (job.status, job.end_ts, job.end_served) == ("error", (9, 0), 3)


def test_canceled_work_is_no_failure():
    draft = make("canceling", "queued")
    ending.mark_failure(draft, 0, Failed(errors.JobCanceled("x")), NOW)
    assert [op.status for op in draft.ops] == ["canceled", "canceled"]


def test_what_the_work_found_out_is_shown():
    draft = make("running")
    full = opcodes.OpInstanceStartup(instance_name="web.example.com")
    ending.mark_failure(draft, 0, Failed(errors.OpExecError("no"), full), NOW)
    assert draft.summary == ["INSTANCE_STARTUP(web.example.com)"]


class Disk:
    """A store that refuses a few times."""

    def __init__(self, refusals):
        self.refusals = refusals

    def write(self, change):
        future = Future()
        if self.refusals:
            self.refusals -= 1
            future.set_exception(StoreUnavailable("full"))
        else:
            future.set_result(change(None))
        return future


def test_what_must_be_stored_is_tried_until_it_is(monkeypatch):
    monkeypatch.setattr(ending, "STORE_RETRY", 0)
    assert ending.commit(Disk(3), lambda _: "done", threading.Event()) == "done"


def test_a_daemon_that_stops_gives_up():
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoreUnavailable):
        ending.commit(Disk(1), lambda _: "done", stop)


@pytest.mark.parametrize("statuses, after", [
    (["running", "queued"], ["error", "error"]), (["success", "waiting"], ["success", "error"]),
    (["canceling"], ["error"]), (["success"], ["success"]), ([], []),
])
def test_a_job_that_is_given_up_ends_whatever_it_was(statuses, after):
    job = make(*statuses)
    ending.give_up(job, "lost", NOW)
    assert [op.status for op in job.ops] == after
    assert job.end_served == (3 if "error" in after else None)
