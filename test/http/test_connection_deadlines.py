"""Countdowns and the pace of bodies, by a clock that the test turns."""

import contextlib

import pytest

from ganeti.http.connection import Countdown, Deadlines, Pace
from ganeti.utils.event_loop import Loop
from support.http import Clock

LIMITS = Deadlines(body=60.0, pace=10.0, min_rate=100)


class Scene:
    """A loop, a countdown, and how often it has run out."""

    def __init__(self):
        self.clock, self.expired = Clock(), 0
        self.loop = Loop(self.clock)
        self.countdown = Countdown(self.loop, self._count)

    def _count(self):
        self.expired += 1

    def after(self, seconds):
        """How often it has run out when so many seconds more are over."""
        self.clock.now += seconds
        self.loop.run_once(0)
        return self.expired


@pytest.fixture
def scene():
    found = Scene()
    with contextlib.closing(found.loop):
        yield found


def test_runs_out_once(scene):
    scene.countdown.start(5)
    assert [scene.after(4), scene.after(1), scene.after(100)] == [0, 1, 1]


def test_the_last_start_counts(scene):
    scene.countdown.start(5)
    assert scene.after(4) == 0
    scene.countdown.start(5)
    assert [scene.after(4), scene.after(1)] == [0, 1]
    scene.countdown.start(100)
    scene.countdown.start(1)
    assert scene.after(1) == 2


def test_pausing(scene):
    scene.countdown.start(5)
    scene.countdown.pause()
    assert scene.after(100) == 0
    scene.countdown.start(1)
    scene.countdown.cancel()
    assert scene.after(100) == 0


def test_starting_again_costs_no_timer(scene):
    for _ in range(100):
        scene.countdown.start(5)
    assert len(scene.loop._timers) == 1


def test_a_pace_is_kept_until_the_time_is_over(scene):
    pace = Pace(scene.countdown, LIMITS, scene.clock)
    pace.begin()
    for turn in range(5):
        pace.count(1000)
        assert scene.after(10) == turn + 1
        assert pace.continue_body()
    pace.count(1000)
    assert scene.after(10) == 6 and not pace.continue_body()


def test_a_byte_too_few(scene):
    pace = Pace(scene.countdown, LIMITS, scene.clock)
    pace.begin()
    pace.count(999)
    assert scene.after(10) == 1 and not pace.continue_body()
