"""What an opcode that runs does to its job is durable."""

import pytest

from ganeti.jqueue import completion, rows
from ganeti.jqueue.execution import Done
from support.jqueue import PATIENCE, PlannedTask, QueueScene, op


@pytest.fixture
def scene(tmp_path):
    made = QueueScene(str(tmp_path / "master.db"))
    made.queue.start()
    yield made
    made.close()


def stored(scene, job_id):
    (job,) = rows.load(scene.store, [job_id], archived=True)
    return job


@pytest.mark.parametrize("word, status", [("hold", "running"), ("safe", "queued")])
def test_that_work_begins_is_stored_first_unless_it_may_be_repeated(
    scene, monkeypatch, word, status
):
    seen = []

    def work(task, run):
        seen.append(stored(scene, task.job_id).status)
        return Done()

    monkeypatch.setattr(PlannedTask, "work", work)
    scene.wait(scene.submit(op(word)))
    assert seen == [status]


def test_lines_that_the_disk_refused_are_stored_with_the_end(scene, monkeypatch):
    monkeypatch.setattr(completion, "STORE_RETRY", 0)

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
    assert [line[3] for line in stored(scene, job_id).ops[0].log] == [
        "one",
        "two",
        "three",
        "doing ok",
    ]
