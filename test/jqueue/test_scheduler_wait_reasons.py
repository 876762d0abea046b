"""The reasons for which jobs wait."""

import pytest

from support.jqueue import PATIENCE, QueueScene, op


@pytest.fixture
def scene(tmp_path):
    made = QueueScene(str(tmp_path / "master.db"), workers=2)
    made.queue.start()
    yield made
    made.close()


def why(scene, job_id):
    return [
        (item["kind"], item["name"], item["mode"], item["jobs"])
        for item in scene.queue.waiting_for(job_id)
    ]


def test_a_job_waits_for_a_lock_and_its_holders(scene):
    first, second = scene.submit(op(hold=True, lock="web")), scene.submit(op(lock="web"))
    scene.reach(first, "running")
    scene.reach(second, "waiting")
    assert why(scene, second) == [("lock", "instance/web", "exclusive", [first])]
    assert why(scene, first) == []


def test_a_job_waits_for_unfinished_jobs_that_it_depends_on(scene):
    first, ended = scene.submit(op(hold=True)), scene.submit(op())
    scene.wait(ended)
    second = scene.submit(op(hold=True))
    third = scene.submit(op(depends=[[ended, []], [first, []], [second, []]]))
    scene.queue.cancel(second).result(PATIENCE)
    scene.wait(second)
    scene.wait(scene.submit(op()))  # so the dispatcher has seen the third
    assert why(scene, third) == [("job", str(first), None, [first])]


def test_a_job_waits_for_a_free_worker(scene):
    running = [scene.submit(op(hold=True)) for _ in range(2)]
    for job_id in running:
        scene.reach(job_id, "running")
    assert why(scene, scene.submit(op())) == [("limit", "max_running_jobs", None, running)]


def test_busy_workers_are_looked_for_once_for_many_jobs(scene, monkeypatch):
    running = [scene.submit(op(hold=True)) for _ in range(2)]
    for job_id in running:
        scene.reach(job_id, "running")
    waiting = [scene.submit(op()) for _ in range(5)]
    explain, walks = scene.queue.explainer(), []

    class Counted(dict):
        def items(self):
            walks.append(1)
            return super().items()

    monkeypatch.setattr(
        scene.queue._scheduler, "_scheduled", Counted(scene.queue._scheduler._scheduled)
    )
    assert all(explain(job_id)[0]["jobs"] == running for job_id in waiting) and walks == [1]
    monkeypatch.undo()


def test_a_job_waits_for_the_disk(scene):
    running = [scene.submit(op(hold=True)) for _ in range(2)]
    waiting = scene.submit(op())
    for job_id in running:
        scene.reach(job_id, "running")
    scene.store.refusing = True
    assert why(scene, waiting) == [("limit", "disk", None, [])]


def test_jobs_wait_for_the_shutdown_when_the_master_stops(scene):
    running = [scene.submit(op(hold=True)) for _ in range(2)]
    waiting = scene.submit(op())
    for job_id in running:
        scene.reach(job_id, "running")
    assert sorted(scene.queue.stop(0)) == running
    assert why(scene, waiting) == [("drain", "shutdown", None, [])]


def test_a_job_that_has_ended_waits_for_nothing(scene):
    job_id = scene.submit(op())
    scene.wait(job_id)
    assert why(scene, job_id) == [] and why(scene, 999) == []
