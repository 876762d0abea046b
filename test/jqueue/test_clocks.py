"""Three clocks: what people read, who has waited, how old a job is."""

from ganeti.jqueue.clocks import Clocks, Moment, since_boot


def test_service_goes_on_from_its_base():
    times = iter([100.0, 100.9, 160.0])
    clocks = Clocks(lambda: 5.0, lambda: next(times), base=7)
    assert clocks.service_seconds == 7
    assert clocks.now() == Moment(5.0, 67)


def test_a_moment_as_the_wire_has_it():
    assert Moment(5.25).stamp == (5, 250000)


def test_the_machines_own_clock_goes_forward():
    assert since_boot() <= since_boot()
