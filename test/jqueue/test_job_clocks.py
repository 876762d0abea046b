"""The three clocks of the queue."""

from ganeti.jqueue.job import Clocks, Moment, since_boot


def test_service_seconds_go_on_from_their_base():
    times = iter([100.0, 100.9, 160.0])
    clocks = Clocks(lambda: 5.0, lambda: next(times), base=7)
    assert clocks.service_seconds == 7
    assert clocks.now() == Moment(5.0, 67)


def test_a_moment_has_its_timestamp_as_on_the_wire():
    assert Moment(5.25).stamp == (5, 250000)


def test_seconds_since_boot_never_go_back():
    assert since_boot() <= since_boot()
