"""An opcode's execution as its work sees it."""

import threading

import pytest

from ganeti import errors
from ganeti.jqueue.live import JobContext


@pytest.fixture
def scene():
    class JobRunScene:
        cancel, story = threading.Event(), []

    made = JobRunScene()
    made.run = JobContext(
        7,
        made.cancel,
        begin=lambda: made.story.append("begin"),
        log=lambda text, kind: made.story.append((kind, text)),
    )
    return made


def test_begin_and_log_reach_the_scheduler(scene):
    scene.run.begin()
    scene.run.log("words")
    scene.run.log("more", "delay-test")
    assert scene.story == ["begin", ("message", "words"), ("delay-test", "more")]
    assert scene.run.job_id == 7 and not scene.run.cancelled()


def test_canceled_work_does_not_begin(scene):
    scene.cancel.set()
    with pytest.raises(errors.JobCanceled):
        scene.run.begin()
    assert scene.story == [] and scene.run.cancelled()


def test_a_pause_ends_with_the_job(scene):
    scene.cancel.set()
    scene.run.pause(3600)
