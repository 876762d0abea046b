"""The live jobs: copies for those who look, words for those who watch."""

from ganeti import opcodes
from ganeti.jqueue.job import Job, JobOp
from ganeti.jqueue.live import LiveJobs


def make(number):
    return Job(id=number, ops=[JobOp.of(opcodes.OpTestDelay(duration=1.0))], received_ts=(0, 0))


def test_a_copy_does_not_change_with_the_job():
    board, job = LiveJobs(), make(1)
    board.add(job)
    seen = board.copy(1)
    job.ops[0].lines.append([1, (0, 0), "message", "x"])
    job.ops[0].status = "running"
    assert seen.ops[0].status == "queued" and seen.ops[0].log == []
    assert board.live(1) is job and board.copies()[1] is not job


def test_watchers_hear_of_changes_until_they_leave():
    board, heard = LiveJobs(), []
    board.add(make(1))
    leave = board.watch(1, lambda: heard.append(1))
    board.watch(2, lambda: heard.append(2))
    board.changed(1)
    leave()
    leave()
    board.changed(1)
    board.changed(3)
    assert heard == [1]


def test_the_end_is_a_change_too():
    board, heard, job = LiveJobs(), [], make(1)
    board.add(job)
    board.watch(1, lambda: heard.append(len(board)))
    board.remove(job)
    assert heard == [0] and board.copy(1) is None


def test_a_watcher_that_fails_takes_no_other_with_it():
    board, heard = LiveJobs(), []
    board.watch(1, lambda: heard.append(1 / 0))
    board.watch(1, lambda: heard.append(1))
    board.changed(1)
    assert heard == [1]
