"""Countdowns and the pace of bodies, by a clock that the test turns."""

import contextlib

import pytest

from ganeti.http.connection import Countdown, Deadlines, Pace
from ganeti.utils.event_loop import Loop
from support.http import SteppedClock

LIMITS = Deadlines(body=60.0, pace=10.0, min_rate=100)


class CountdownRig:
    """A loop, a countdown, and how often it has run out."""

    def __init__(self):
        self.clock, self.expired = SteppedClock(), 0
        self.loop = Loop(self.clock)
        self.countdown = Countdown(self.loop, self._count)

    def _count(self):
        self.expired += 1

    def after(self, seconds):
        """Return how often it has expired after ``seconds`` more."""
        self.clock.now += seconds
        self.loop.run_once(0)
        return self.expired


@pytest.fixture
def rig():
    found = CountdownRig()
    with contextlib.closing(found.loop):
        yield found


def test_a_countdown_expires_once(rig):
    rig.countdown.start(5)
    assert [rig.after(4), rig.after(1), rig.after(100)] == [0, 1, 1]


def test_the_last_start_of_a_countdown_counts(rig):
    rig.countdown.start(5)
    assert rig.after(4) == 0
    rig.countdown.start(5)
    assert [rig.after(4), rig.after(1)] == [0, 1]
    rig.countdown.start(100)
    rig.countdown.start(1)
    assert rig.after(1) == 2


def test_a_paused_countdown_does_not_expire(rig):
    rig.countdown.start(5)
    rig.countdown.pause()
    assert rig.after(100) == 0
    rig.countdown.start(1)
    rig.countdown.cancel()
    assert rig.after(100) == 0


def test_starting_a_countdown_again_costs_no_timer(rig):
    for _ in range(100):
        rig.countdown.start(5)
    assert len(rig.loop._timers) == 1


def test_a_pace_is_kept_until_the_time_is_over(rig):
    pace = Pace(rig.countdown, LIMITS, rig.clock)
    pace.begin()
    for turn in range(5):
        pace.count(1000)
        assert rig.after(10) == turn + 1
        assert pace.continue_body()
    pace.count(1000)
    assert rig.after(10) == 6 and not pace.continue_body()


def test_a_pace_of_a_byte_too_few_is_not_enough(rig):
    pace = Pace(rig.countdown, LIMITS, rig.clock)
    pace.begin()
    pace.count(999)
    assert rig.after(10) == 1 and not pace.continue_body()
