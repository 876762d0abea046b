"""Ends happen on a draft, which is stored before it is shown."""

import logging
import threading
from concurrent.futures import Future

import pytest

from ganeti import errors, opcodes
from ganeti.db.store import StoreUnavailable
from ganeti.jqueue import completion
from ganeti.jqueue.clocks import Moment
from ganeti.jqueue.execution import Failed
from ganeti.jqueue.job import Job, JobOp

NOW = Moment(9.0, 3)


def make(*statuses):
    ops = [JobOp.of(opcodes.OpInstanceStartup(instance_name="web")) for _ in statuses]
    for op, status in zip(ops, statuses):
        op.status = completion.JobStatus(status)
    return Job(id=1, ops=ops, received_ts=(0, 0))


def test_a_job_changes_only_when_its_draft_is_published():
    job = make("running", "queued")
    draft = completion.copy_for_update(job, 0)
    completion.mark_failure(draft, 0, Failed(errors.OpExecError("no")), NOW)
    assert job.status == "running" and draft.status == "error"
    completion.publish(job, draft, 0)
    assert (job.status, job.end_ts, job.end_served) == ("error", (9, 0), 3)


def test_canceled_work_ends_as_canceled():
    draft = make("canceling", "queued")
    completion.mark_failure(draft, 0, Failed(errors.JobCanceled("x")), NOW)
    assert [op.status for op in draft.ops] == ["canceled", "canceled"]


def test_the_effective_opcode_is_shown():
    draft = make("running")
    full = opcodes.OpInstanceStartup(instance_name="web.example.com")
    completion.mark_failure(draft, 0, Failed(errors.OpExecError("no"), full), NOW)
    assert draft.summary == ["INSTANCE_STARTUP(web.example.com)"]


def failed(error, op=None, count=1):
    """A job that failed in its first opcode."""
    ops = [JobOp.of(op or opcodes.OpTestDelay(duration=1.0)) for _ in range(count)]
    ops[0].status = completion.JobStatus.RUNNING
    job = Job(id=7, ops=ops, received_ts=(0, 0))
    completion.mark_failure(job, 0, Failed(error), NOW)
    return job


def logged(caplog, job):
    caplog.set_level(logging.INFO)
    completion.log_outcome(job)
    (line,) = (record.getMessage() for record in caplog.records)
    return line


@pytest.mark.parametrize(
    "secrets",
    [
        {"osparams_secret": {"password": "hunter2"}},
        {"osparams_private": {"a": "hunter2", "b": "zz"}},
        {"osparams_secret": {"password": "one line\nhunter2"}},
    ],
)
def test_the_log_redacts_secrets_in_errors(caplog, secrets):
    op = opcodes.OpInstanceCreate(instance_name="web", mode="create", disks=[], nics=[], **secrets)
    line = logged(caplog, failed(errors.OpExecError("script: hunter2 is no good"), op))
    assert line.endswith("OpExecError: script: <redacted> is no good")


@pytest.mark.parametrize(
    "error, words",
    [
        (RuntimeError("our mistake"), "OpExecError: RuntimeError: our mistake"),
        (errors.OpPrereqError("no room", "insufficient_resources"), "OpPrereqError: no room"),
        (errors.GenericError(), "GenericError: GenericError"),
        (errors.HooksAbort([["node1", "check", "no"]]), "HooksAbort: [['node1', 'check', 'no']]"),
    ],
)
def test_the_log_describes_any_error(caplog, error, words):
    assert logged(caplog, failed(error)).endswith(f"error (TEST_DELAY(1.0)): {words}")


def test_a_job_that_was_canceled_needs_no_reason(caplog):
    job = failed(errors.JobCanceled("x"))
    assert logged(caplog, job) == "Job 7 ended: canceled (TEST_DELAY(1.0))"


def test_a_long_log_line_is_cut(caplog):
    op = opcodes.OpInstanceStartup(instance_name="x" * 2_000_000)
    for count in (1, 30):
        caplog.clear()
        line = logged(caplog, failed(errors.OpExecError("y" * 2_000_000), op, count))
        assert "xxx..." in line and line.endswith("yyy...") and len(line) < 1000


class RefusingStore:
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


def test_a_commit_is_retried_until_it_is_stored(monkeypatch):
    monkeypatch.setattr(completion, "STORE_RETRY", 0)
    assert (
        completion.commit(RefusingStore(3), lambda _: "done", threading.Event(), title="Job 5")
        == "done"
    )


def test_the_log_says_once_that_a_commit_waits_for_the_disk(monkeypatch, caplog):
    monkeypatch.setattr(completion, "STORE_RETRY", 0)
    caplog.set_level(logging.INFO)
    completion.commit(RefusingStore(3), lambda _: "done", threading.Event(), title="Job 5 of admin")
    assert [record.getMessage() for record in caplog.records] == [
        "Job 5 of admin: waiting for the disk: full",
        "Job 5 of admin: the disk takes changes again",
    ]


def test_a_commit_gives_up_when_the_daemon_stops():
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoreUnavailable):
        completion.commit(RefusingStore(1), lambda _: "done", stop, title="Job 5")


@pytest.mark.parametrize(
    "statuses, after",
    [
        (["running", "queued"], ["error", "error"]),
        (["success", "waiting"], ["success", "error"]),
        (["canceling"], ["error"]),
        (["success"], ["success"]),
        ([], []),
    ],
)
def test_a_job_that_is_given_up_ends_in_error_whatever_its_status(statuses, after):
    job = make(*statuses)
    completion.give_up(job, "lost", NOW)
    assert [op.status for op in job.ops] == after
    assert job.end_served == (3 if "error" in after else None)
