"""Random calls and restarts: nothing acknowledged is lost, nothing runs twice."""

import random
import threading
from collections import Counter

import pytest

from ganeti import errors
from ganeti.constants import JOB_FINAL
from ganeti.db import store
from support.jqueue import PATIENCE, QueueScene, Work, op

STEPS = 250
WORKS = [
    Work(),
    Work(),
    Work(fail=True),
    Work(again=True),
    Work(children=True),
    Work(clash=True),
    Work(unwritable=True),
    Work(lock="a"),
    Work(lock="b"),
    Work(hold=True, lock="a"),
    Work(hold=True),
    Work(refused=True),
]


class RandomCalls:
    """A queue, the calls that it got, and its answers."""

    def __init__(self, path, seed):
        self.random = random.Random(seed)
        self.scene = QueueScene(path)
        self.accepted, self.finals = {}, {}
        self.canceled = set()
        self.scene.queue.start()

    def step(self):
        self.random.choices(
            [self.submit, self.cancel, self.move, self.let_go, self.refuse, self.restart],
            [60, 15, 10, 10, 3, 2],
        )[0]()

    def submit(self):
        ops = [
            op(
                self.random.choice(WORKS),
                depends=self.depends(),
                priority=self.random.choice([-10, 0, 10]),
            )
            for _ in range(self.random.choice([1, 1, 1, 2, 3]))
        ]
        try:
            self.accepted[self.scene.submit(*ops)] = len(ops)
        except errors.JobQueueError:
            pass  # so it is not acknowledged

    def depends(self):
        if not self.accepted or self.random.random() < 0.7:
            return None
        return [
            [
                self.random.choice(sorted(self.accepted)),
                self.random.choice([[], ["success"], ["error", "canceled"]]),
            ]
        ]

    def cancel(self):
        def note(job_id, text):
            if text == f"Job {job_id} canceled":  # it was canceled, rather than "will be"
                self.canceled.add(job_id)

        self.change(lambda job_id: self.scene.queue.cancel(job_id).result(PATIENCE), note)

    def move(self):
        priority = self.random.randint(-20, 19)
        self.change(
            lambda job_id: self.scene.queue.change_priority(job_id, priority).result(PATIENCE),
            lambda job_id, text: None,
        )

    def change(self, call, then):
        job_id = self.random.choice([1, *self.accepted])
        try:
            done, text = call(job_id)
        except errors.JobQueueError:
            return
        if done:
            then(job_id, text)

    def let_go(self):
        self.scene.let_go.set()
        self.scene.let_go = threading.Event()

    def refuse(self):
        self.scene.refuse(self.random.randint(1, 5))

    def restart(self):
        self.scene.let_go.set()
        self.scene.queue.stop(PATIENCE)  # ends that the disk refuses from here on are not stored
        self.note()
        self.scene.store.__dict__.pop("enqueue", None)
        self.wait_for_writes()
        self.scene.let_go = threading.Event()
        self.scene.open()
        self.scene.queue.start()

    def wait_for_writes(self):
        """Wait until all queued changes are written or refused."""
        while self.scene.store.write(lambda _: None).exception(PATIENCE) is not None:
            pass

    def note(self):
        """Record the end of a job, or assert that it has not changed since."""
        for job in self.scene.queue.jobs():
            if job.final:
                assert self.finals.setdefault(job.id, job.status) == job.status

    def end(self):
        self.scene.let_go.set()
        jobs = self.scene.queue.jobs()
        while not all(job.final for job in jobs):
            for job in jobs:
                self.scene.wait(job.id)
            jobs = self.scene.queue.jobs()
        self.note()
        return {job.id: job for job in jobs}


@pytest.mark.parametrize("seed", range(6))
def test_random_calls_lose_nothing_and_run_nothing_twice(tmp_path, monkeypatch, seed):
    monkeypatch.setattr(store, "STORE_RETRY", 0.001)
    monkeypatch.setattr(QueueScene, "max_live", 10**6)
    calls = RandomCalls(str(tmp_path / "master.db"), seed)
    for _ in range(STEPS):
        calls.step()
    jobs = calls.end()
    assert {job_id: len(jobs[job_id].ops) for job_id in calls.accepted} == calls.accepted
    ran = Counter(calls.scene.began)
    for job_id, job in jobs.items():
        begun = sum(item.exec_ts is not None for item in job.ops)
        worked = sum(item.status == "success" for item in job.ops)
        assert worked <= ran[job_id] <= begun
        assert all(item.status in JOB_FINAL and item.end_ts for item in job.ops)
    assert {str(jobs[job_id].status) for job_id in calls.canceled} <= {"canceled"}
    assert calls.scene.locks.states() == []
    calls.scene.close()
