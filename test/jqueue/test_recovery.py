"""Recovery of the unfinished jobs of the previous master."""

import pytest

from ganeti.jqueue import recovery, rows
from ganeti.jqueue.job import Moment
from support.jqueue import QueueScene, Work, leave, op


@pytest.fixture
def scene(tmp_path):
    made = QueueScene(str(tmp_path / "master.db"))
    yield made
    made.close()


@pytest.mark.parametrize(
    "works, statuses, runs",
    [
        ([Work()], ["queued"], True),
        ([Work()], ["waiting"], True),
        ([Work()], ["running"], False),
        ([Work()], ["canceling"], False),
        ([Work(safe=True)], ["running"], True),
        ([Work(), Work()], ["success", "queued"], False),
        ([Work(safe=True), Work()], ["running", "queued"], True),
    ],
)
def test_a_job_that_had_begun_fails_unless_it_may_run_again(scene, works, statuses, runs):
    leave(scene, scene.submit(*map(op, works)), *statuses)
    found = recovery.load_unfinished(scene.store, scene.rerun_safe, Moment(9.0, 30))
    assert (len(found.to_run), len(found.failed)) == ((1, 0) if runs else (0, 1))
    for job in found.failed:
        assert job.status == "error" and job.end_served == 30


def test_interrupted_opcodes_are_cleaned_up_before_their_end_is_stored(scene):
    job_id, seen = scene.submit(op(hold=True)), []
    leave(scene, job_id, "running")

    def clean_up(interrupted):
        with scene.store.read() as connection:
            seen.extend(
                (number, opcode.comment, rows.status(connection, number))
                for number, opcode in interrupted
            )

    scene.queue.recover(clean_up)
    assert seen == [(job_id, Work(hold=True).comment, "running")]
    assert scene.queue.job(job_id).status == "error"
