"""The end of a job: marked in a draft, published, and logged."""

import logging

import pytest

from ganeti import errors, opcodes
from ganeti.constants import JobStatus
from ganeti.jqueue.job import Job, JobOp, Moment

NOW = Moment(9.0, 3)


def make(*statuses):
    ops = [JobOp.of(opcodes.OpInstanceStartup(instance_name="web")) for _ in statuses]
    for op, status in zip(ops, statuses):
        op.status = JobStatus(status)
    return Job(id=1, ops=ops, received_ts=(0, 0))


def test_a_job_changes_only_when_its_draft_is_published():
    job = make("running", "queued")
    draft = job.copy_for_update(0)
    draft.fail(0, errors.OpExecError("no"), NOW)
    assert job.status == "running" and draft.status == "error"
    job.publish(draft, 0)
    assert (job.status, job.end_ts, job.end_served) == ("error", (9, 0), 3)


def test_canceled_work_ends_as_canceled():
    draft = make("canceling", "queued")
    draft.fail(0, errors.JobCanceled("x"), NOW)
    assert [op.status for op in draft.ops] == ["canceled", "canceled"]


def test_the_effective_opcode_is_shown():
    draft = make("running")
    draft.ops[0].show(opcodes.OpInstanceStartup(instance_name="web.example.com"))
    draft.ops[0].show(None)
    assert draft.summary == ["INSTANCE_STARTUP(web.example.com)"]


def failed(error, op=None, count=1):
    """Return a job that failed in its first opcode."""
    ops = [JobOp.of(op or opcodes.OpTestDelay(duration=1.0)) for _ in range(count)]
    ops[0].status = JobStatus.RUNNING
    job = Job(id=7, ops=ops, received_ts=(0, 0))
    job.fail(0, error, NOW)
    return job


def logged(caplog, job):
    caplog.set_level(logging.INFO)
    job.log_outcome()
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
    job.give_up("lost", NOW)
    assert [op.status for op in job.ops] == after
    assert job.end_served == (3 if "error" in after else None)
