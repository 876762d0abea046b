"""The live jobs: copies for readers, calls for watchers."""

from ganeti import opcodes
from ganeti.jqueue.job import Job, JobOp
from ganeti.jqueue.live import LiveJobs


def make(number):
    return Job(id=number, ops=[JobOp.of(opcodes.OpTestDelay(duration=1.0))], received_ts=(0, 0))


def test_a_copy_does_not_change_with_the_job():
    live_jobs, job = LiveJobs(), make(1)
    live_jobs.add(job)
    seen = live_jobs.copy(1)
    job.ops[0].lines.append([1, (0, 0), "message", "x"])
    job.ops[0].status = "running"
    assert seen.ops[0].status == "queued" and seen.ops[0].log == []
    assert live_jobs.copies()[1] is not job


def test_watchers_are_called_until_they_unwatch():
    live_jobs, calls = LiveJobs(), []
    live_jobs.add(make(1))
    unwatch = live_jobs.watch(1, lambda: calls.append(1))
    live_jobs.watch(2, lambda: calls.append(2))
    live_jobs.changed(1)
    unwatch()
    unwatch()
    live_jobs.changed(1)
    live_jobs.changed(3)
    assert calls == [1]


def test_watchers_are_called_at_the_end_of_the_job():
    live_jobs, calls, job = LiveJobs(), [], make(1)
    live_jobs.add(job)
    live_jobs.watch(1, lambda: calls.append(len(live_jobs)))
    live_jobs.remove(job)
    assert calls == [0] and live_jobs.copy(1) is None


def test_a_watcher_that_fails_stops_no_other():
    live_jobs, calls = LiveJobs(), []
    live_jobs.watch(1, lambda: calls.append(1 / 0))
    live_jobs.watch(1, lambda: calls.append(1))
    live_jobs.changed(1)
    assert calls == [1]
