"""Waits for jobs: which calls they make, and when they end."""

from concurrent.futures import Future

import pytest

from ganeti import errors, luxi
from ganeti.http import errors as http_errors
from ganeti.rapi.baserlib import ResourceRequest
from ganeti.rapi.job_wait import NO_LOG, JobWait, first_of, parse_change
from support.rapi import table


class WaitingMaster:
    """Keeps the calls; the test answers them."""

    def __init__(self):
        self.calls, self.futures, self.gone = [], [], []

    def wait(self, call, gone):
        self.calls.append(call)
        self.futures.append(Future())
        self.gone.append(gone)
        return self.futures[-1]

    def call(self, call):
        return table(
            call,
            [
                {"status": None}
                if call.qfilter[2] == 99
                else {"status": "success", "id": call.qfilter[2]}
            ],
        )

    def answer(self, index, *values, entries=()):
        self.futures[index].set_result(
            luxi.pack({"success": True, "result": [list(values), list(entries)]})[:-1]
        )

    def fail(self, index, error):
        self.futures[index].set_result(
            luxi.pack({"success": False, "result": errors.encode(error)})[:-1]
        )


class JobWaitScene:
    """A wait for some jobs, on a clock that the test moves."""

    def __init__(self, *ids, gone=lambda: False, **options):
        self.master, self.now = WaitingMaster(), 100.0
        self.job_wait = JobWait(
            ResourceRequest(self.master, gone=gone),
            ids,
            ["id"],
            clock=lambda: self.now,
            **options,
        )
        self.ids = ids
        self.steps = self.job_wait.steps()
        self.future = next(self.steps)

    def go_on(self):
        """Resume after an answer; return the statuses of the jobs, or None if it waits again."""
        assert self.future.done()
        try:
            self.future = next(self.steps)
        except StopIteration:
            return [self.job_wait.status(number) for number in self.ids]
        return None


def test_waits_for_the_next_change_until_the_end():
    scene = JobWaitScene(7, timeout=90)
    scene.master.answer(0, "queued", 7)
    assert scene.go_on() is None
    scene.now += 80
    scene.master.answer(1, "running", 7)
    assert scene.go_on() is None
    scene.master.answer(2, "success", 7)
    assert scene.go_on() == ["success"]
    assert scene.master.calls == [
        luxi.WaitForJobChange(7, ["status", "id"], None, NO_LOG, 60.0),
        luxi.WaitForJobChange(7, ["status", "id"], ["queued", 7], NO_LOG, 60.0),
        luxi.WaitForJobChange(7, ["status", "id"], ["running", 7], NO_LOG, 10.0),
    ]


def test_the_wait_ends_after_its_timeout():
    scene = JobWaitScene(7, timeout=5)
    scene.master.answer(0, "queued", 7)
    assert scene.go_on() is None
    scene.now += 5
    scene.master.answer(1, "queued", 7)
    assert scene.go_on() == ["queued"]


def test_a_timeout_of_0_answers_the_present_state():
    scene = JobWaitScene(7, timeout=0)
    scene.master.answer(0, "running", 7)
    assert scene.go_on() == ["running"]


def test_new_log_entries_end_the_wait():
    scene = JobWaitScene(7, serial=3, timeout=60)
    assert scene.master.calls[0].previous_serial == 3
    scene.master.answer(0, "running", 7, entries=[[4, [1, 2], "message", "x"]])
    assert scene.go_on() == ["running"]
    assert scene.job_wait.entries == [[4, [1, 2], "message", "x"]]


def test_any_of_some_lets_the_others_go():
    scene = JobWaitScene(7, 8, timeout=60)
    scene.master.answer(0, "running", 7)
    assert scene.go_on() is None
    assert not scene.master.gone[1]()
    scene.master.answer(1, "success", 8)
    assert scene.go_on() == ["running", "success"]
    assert scene.master.gone[2]()


def test_any_waits_until_all_are_known():
    scene = JobWaitScene(7, 8, timeout=60)
    scene.master.answer(1, "success", 8)
    assert scene.go_on() is None
    assert len(scene.master.calls) == 2  # what has ended is not asked about again
    scene.master.answer(0, "queued", 7)
    assert scene.go_on() == ["queued", "success"]


def test_enough_jobs_must_end():
    scene = JobWaitScene(7, 8, timeout=60, enough=2)
    scene.master.answer(0, "success", 7)
    scene.master.answer(1, "running", 8)
    assert scene.go_on() is None
    scene.master.answer(2, "error", 8)
    assert scene.go_on() == ["success", "error"]


def test_an_archived_job_has_ended():
    scene = JobWaitScene(7, timeout=60)
    scene.master.fail(0, errors.JobLost("gone"))
    assert scene.go_on() == ["success"]


def test_an_unknown_job_ends_all_waits():
    scene = JobWaitScene(7, 99, timeout=60)
    scene.master.fail(1, errors.JobLost("gone"))
    with pytest.raises(http_errors.NotFound) as caught:
        scene.go_on()
    assert caught.value.as_object()["detail"] == "there is no job 99"
    assert scene.master.gone[0]()


def test_a_stop_answers_the_last_known_state():
    scene = JobWaitScene(7, timeout=60)
    scene.master.answer(0, "running", 7)
    scene.go_on()
    scene.master.futures[1].set_result(None)
    assert scene.go_on() == ["running"]


def test_a_stop_before_anything_is_known_is_503():
    scene = JobWaitScene(7, timeout=60)
    scene.master.futures[0].set_result(None)
    with pytest.raises(http_errors.ServiceUnavailable):
        scene.go_on()


def test_a_client_that_left_ends_its_calls():
    left = []
    scene = JobWaitScene(7, gone=lambda: bool(left))
    assert not scene.master.gone[0]()
    left.append(True)
    assert scene.master.gone[0]()


def test_a_wait_that_is_closed_abandons_its_calls():
    scene = JobWaitScene(7)
    scene.steps.close()
    assert scene.master.gone[0]()


def test_broken_connections_are_replaced_some_times():
    scene = JobWaitScene(7, timeout=60)
    for index in range(3):
        scene.master.futures[index].set_exception(errors.ConnectionClosed("x"))
        assert scene.go_on() is None
    scene.master.futures[3].set_exception(errors.ConnectionClosed("x"))
    with pytest.raises(errors.ConnectionClosed):
        scene.go_on()


@pytest.mark.parametrize("answer", ["nochange", None, [], [["x"]], [["x"], None], [None, []]])
def test_answers_that_are_no_change_are_errors(answer):
    with pytest.raises(errors.RequestError):
        parse_change(answer)


def test_too_few_values_are_an_error():
    scene = JobWaitScene(7)
    scene.master.answer(0, "running")
    with pytest.raises(errors.RequestError, match="instead of 2 values"):
        scene.go_on()


def test_first_of_is_resolved_by_the_first_future():
    futures = [Future(), Future()]
    first = first_of(futures)
    assert not first.done()
    for future in futures:
        future.set_result(1)
    assert first.done()
