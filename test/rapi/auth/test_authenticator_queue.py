"""Who waits for a hash, and who has to come again."""

import threading

import pytest

from ganeti.http.errors import TooManyRequests
from ganeti.rapi.auth.authenticator import MAX_WAITING, MAX_WAITING_OF_ADDRESS, FairQueue


class Scene:
    """A line of one thread, which is at work until the test lets it go."""

    def __init__(self):
        self.line, self.done, self.gate = FairQueue(1), [], threading.Event()
        begun = threading.Event()

        def first():
            begun.set()
            assert self.gate.wait(20)

        self.first = self.line.add(first, suspicious=False, address="", name="")
        assert begun.wait(20)

    def add(self, what, suspicious=False, address="", name=""):
        return self.line.add(
            lambda: self.done.append(what), suspicious=suspicious, address=address, name=name
        )

    def finish(self, *futures):
        self.gate.set()
        for future in futures:
            future.result(20)
        return self.done


@pytest.fixture
def scene():
    found = Scene()
    yield found
    found.gate.set()


def test_first_come_first_served_but_those_with_a_record(scene):
    futures = [scene.add("bad", suspicious=True), scene.add("one"), scene.add("two")]
    assert scene.finish(*futures) == ["one", "two", "bad"]


def test_an_error_is_the_result(scene):
    def fail():
        raise KeyError("x")

    future = scene.line.add(fail, suspicious=False, address="", name="")
    scene.gate.set()
    with pytest.raises(KeyError):
        future.result(20)


def test_it_is_bounded(scene):
    futures = [scene.add(number) for number in range(MAX_WAITING)]
    with pytest.raises(TooManyRequests):
        scene.add("more")
    assert scene.finish(*futures) == list(range(MAX_WAITING))


def test_one_without_a_record_pushes_out_the_last_one_with(scene):
    bad = [scene.add(number, suspicious=True) for number in range(MAX_WAITING)]
    with pytest.raises(TooManyRequests):
        scene.add("more", suspicious=True)
    good = scene.add("good")
    with pytest.raises(TooManyRequests):
        bad[-1].result(0)
    assert scene.finish(good, *bad[:-1]) == ["good", *range(MAX_WAITING - 1)]


def test_an_address_has_a_share(scene):
    futures = [scene.add(number, address="192.0.2.1") for number in range(MAX_WAITING_OF_ADDRESS)]
    with pytest.raises(TooManyRequests):
        scene.add("more", address="192.0.2.1")
    futures += [scene.add("other", address="192.0.2.2")]
    scene.finish(*futures)
    scene.add("again", address="192.0.2.1").result(20)


def test_a_busy_address_waits_behind_others(scene):
    busy = [scene.add(number, address="192.0.2.1", name=f"user{number}") for number in range(3)]
    other = scene.add("other", address="192.0.2.2", name="jack")
    assert scene.finish(*busy, other) == [0, "other", 1, 2]


def test_many_addresses_that_try_one_name_do_not_keep_others_out(scene):
    crowd = [
        scene.add(number, address=f"192.0.2.{number}", name="admin")
        for number in range(MAX_WAITING)
    ]
    with pytest.raises(TooManyRequests):
        scene.add("more", address="192.0.2.99", name="admin")
    jack = scene.add("jack", address="192.0.2.100", name="jack")
    with pytest.raises(TooManyRequests):
        crowd[-1].result(0)
    assert scene.finish(jack, *crowd[:-1]) == [0, "jack", *range(1, MAX_WAITING - 1)]


def test_a_bad_record_weighs_most(scene):
    bad = scene.add("bad", suspicious=True, address="192.0.2.1", name="jill")
    good = [scene.add(number, address="192.0.2.2", name="jack") for number in range(3)]
    assert scene.finish(bad, *good) == [0, 1, 2, "bad"]
