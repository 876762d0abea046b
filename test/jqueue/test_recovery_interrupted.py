"""Interrupted jobs: if the disk refuses to store their end, the master starts nevertheless."""

import pytest

from ganeti.db import store
from ganeti.jqueue import rows
from support.jqueue import QueueScene, leave, op


@pytest.fixture
def scene(tmp_path):
    made = QueueScene(str(tmp_path / "master.db"))
    yield made
    made.close()


def stored(scene, job_id):
    with scene.store.read() as connection:
        return rows.status(connection, job_id)


def test_interrupted_jobs_are_shown_as_ended_and_stored_once_the_disk_takes_it(scene, monkeypatch):
    monkeypatch.setattr(store, "STORE_RETRY", 0)
    died = scene.submit(op(hold=True))
    after = scene.submit(op(depends=[[died, ["error"]]]))
    leave(scene, died, "running")
    scene.refuse(3)
    scene.open()
    assert (scene.queue.job(died).status, stored(scene, died)) == ("error", "running")
    scene.queue.start()
    assert scene.wait(after).status == "success"
    assert stored(scene, died) == "error"


def test_a_disk_that_goes_on_refusing_changes_nothing(scene):
    died, queued = scene.submit(op(hold=True)), scene.submit(op())
    leave(scene, died, "running")
    scene.refuse(10**9)
    scene.open()
    scene.queue.start()
    assert scene.queue.waiting_for(queued)[0]["name"] == "disk"
    scene.queue.stop(30)
    del scene.store.enqueue
    assert stored(scene, died) == "running" and scene.began == []
