"""Order of checks in the fair queue, and refusals when it is full."""

import threading

import pytest

from ganeti.http.errors import TooManyRequests
from ganeti.rapi.auth.throttle import MAX_WAITING, MAX_WAITING_OF_ADDRESS, FairQueue


class BusyQueue:
    """A queue with one thread, which is busy until the test releases it."""

    def __init__(self):
        self.queue, self.done, self.release = FairQueue(1), [], threading.Event()
        begun = threading.Event()

        def first():
            begun.set()
            assert self.release.wait(20)

        self.first = self.queue.add(first, suspicious=False, address="", name="")
        assert begun.wait(20)

    def add(self, what, suspicious=False, address="", name=""):
        return self.queue.add(
            lambda: self.done.append(what), suspicious=suspicious, address=address, name=name
        )

    def finish(self, *futures):
        self.release.set()
        for future in futures:
            future.result(20)
        return self.done


@pytest.fixture
def queue():
    found = BusyQueue()
    yield found
    found.release.set()


def test_checks_run_in_order_but_suspicious_ones_last(queue):
    futures = [queue.add("bad", suspicious=True), queue.add("one"), queue.add("two")]
    assert queue.finish(*futures) == ["one", "two", "bad"]


def test_an_error_of_a_check_is_its_result(queue):
    def fail():
        raise KeyError("x")

    future = queue.queue.add(fail, suspicious=False, address="", name="")
    queue.release.set()
    with pytest.raises(KeyError):
        future.result(20)


def test_the_queue_is_bounded(queue):
    futures = [queue.add(number) for number in range(MAX_WAITING)]
    with pytest.raises(TooManyRequests):
        queue.add("more")
    assert queue.finish(*futures) == list(range(MAX_WAITING))


def test_a_check_without_a_record_displaces_the_last_suspicious_one(queue):
    bad = [queue.add(number, suspicious=True) for number in range(MAX_WAITING)]
    with pytest.raises(TooManyRequests):
        queue.add("more", suspicious=True)
    good = queue.add("good")
    with pytest.raises(TooManyRequests):
        bad[-1].result(0)
    assert queue.finish(good, *bad[:-1]) == ["good", *range(MAX_WAITING - 1)]


def test_an_address_has_a_limited_share(queue):
    futures = [queue.add(number, address="192.0.2.1") for number in range(MAX_WAITING_OF_ADDRESS)]
    with pytest.raises(TooManyRequests):
        queue.add("more", address="192.0.2.1")
    futures += [queue.add("other", address="192.0.2.2")]
    queue.finish(*futures)
    queue.add("again", address="192.0.2.1").result(20)


def test_a_busy_address_waits_behind_others(queue):
    busy = [queue.add(number, address="192.0.2.1", name=f"user{number}") for number in range(3)]
    other = queue.add("other", address="192.0.2.2", name="jack")
    assert queue.finish(*busy, other) == [0, "other", 1, 2]


def test_many_addresses_that_try_one_name_do_not_keep_others_out(queue):
    crowd = [
        queue.add(number, address=f"192.0.2.{number}", name="admin")
        for number in range(MAX_WAITING)
    ]
    with pytest.raises(TooManyRequests):
        queue.add("more", address="192.0.2.99", name="admin")
    jack = queue.add("jack", address="192.0.2.100", name="jack")
    with pytest.raises(TooManyRequests):
        crowd[-1].result(0)
    assert queue.finish(jack, *crowd[:-1]) == [0, "jack", *range(1, MAX_WAITING - 1)]


def test_a_bad_record_ranks_below_everything_else(queue):
    bad = queue.add("bad", suspicious=True, address="192.0.2.1", name="jill")
    good = [queue.add(number, address="192.0.2.2", name="jack") for number in range(3)]
    assert queue.finish(bad, *good) == [0, 1, 2, "bad"]
