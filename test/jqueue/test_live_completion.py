"""The begin, the log and the end of work are durable."""

import pytest

from ganeti.db import store
from ganeti.jqueue import rows
from ganeti.jqueue.live import Done
from support.jqueue import PATIENCE, PlannedTask, QueueScene, Work, op


@pytest.fixture
def scene(tmp_path):
    made = QueueScene(str(tmp_path / "master.db"))
    made.queue.start()
    yield made
    made.close()


def stored(scene, job_id):
    (job,) = rows.load(scene.store, [job_id], archived=True)
    return job


@pytest.mark.parametrize(
    "work, status", [(Work(hold=True), "running"), (Work(safe=True), "queued")]
)
def test_the_beginning_of_work_is_stored_first_unless_it_may_run_again(
    scene, monkeypatch, work, status
):
    seen = []

    def look(task, run):
        seen.append(stored(scene, task.job_id).status)
        return Done()

    monkeypatch.setattr(PlannedTask, "work", look)
    scene.wait(scene.submit(op(work)))
    assert seen == [status]


def test_lines_that_the_disk_refused_are_stored_with_the_end(scene, monkeypatch):
    monkeypatch.setattr(store, "STORE_RETRY", 0)

    def work(task, run):
        run.log("one")
        scene.refuse(2)
        run.log("two")
        run.log("three")
        return real(task, run)

    real = PlannedTask.work
    monkeypatch.setattr(PlannedTask, "work", work)
    job_id = scene.submit(op())
    scene.wait(job_id)
    scene.store.write(lambda _: None).result(PATIENCE)
    assert [line.text for line in stored(scene, job_id).ops[0].log] == [
        "one",
        "two",
        "three",
        "working",
    ]
