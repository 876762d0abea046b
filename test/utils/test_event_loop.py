"""The loop, with a clock that advances only when a test says so."""

import selectors
import signal
import socket
import threading

import pytest

from ganeti.utils import event_loop as loop_module
from ganeti.utils.event_loop import READ, WRITE, Loop


class LoopClock:
    """A clock that advances only when a test says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return LoopClock()


@pytest.fixture
def loop(clock):
    found = Loop(clock)
    yield found
    found.close()


@pytest.fixture
def pair():
    ends = socket.socketpair()
    yield ends
    for end in ends:
        end.close()


def test_the_events_are_those_of_selectors():
    assert (READ, WRITE) == (selectors.EVENT_READ, selectors.EVENT_WRITE)


def test_calls_when_a_socket_is_ready(loop, pair):
    seen = []
    loop.add(pair[0], READ, seen.append)
    loop.run_once(0)
    assert seen == []
    pair[1].send(b"x")
    loop.run_once(0)
    loop.modify(pair[0], READ | WRITE)
    loop.run_once(0)
    assert seen == [READ, READ | WRITE]


def test_a_socket_can_be_waited_for_by_nothing(loop, pair):
    seen = []
    pair[1].send(b"x")
    loop.add(pair[0], 0, seen.append)
    loop.run_once(0)
    assert seen == []
    for events in (READ, 0, 0):
        loop.modify(pair[0], events)
        loop.run_once(0)
    assert seen == [READ]
    loop.remove(pair[0])
    with pytest.raises(KeyError):
        loop.modify(pair[0], READ)


def test_who_is_removed_in_a_round_is_not_called_in_it(loop, pair):
    seen = []

    def first_come(me, other):
        seen.append(me)
        loop.remove(other)

    for me, other in (pair, pair[::-1]):
        me.send(b"x")
        loop.add(me, READ, lambda _, me=me, other=other: first_come(me, other))
    loop.run_once(0)
    assert len(seen) == 1


def test_a_failing_callback_is_logged_and_harms_nobody(loop, pair, caplog):
    seen = []
    loop.add(pair[0], WRITE, lambda _: 1 // 0)
    loop.call_later(0, lambda: [][1])
    loop.call_threadsafe(lambda: {}["x"])
    loop.call_threadsafe(lambda: seen.append("fine"))
    loop.run_once(0)
    assert seen == ["fine"]
    for name in ("ZeroDivisionError", "IndexError", "KeyError"):
        assert name in caplog.text


def test_timers_are_called_once_and_in_order(loop, clock):
    seen = []
    for seconds in (2, 1, 1, 3):
        loop.call_later(seconds, lambda seconds=seconds: seen.append(seconds))
    loop.run_once(0)
    assert seen == []
    clock.now += 2
    loop.run_once(0)
    loop.run_once(0)
    assert seen == [1, 1, 2]


def test_a_cancelled_timer_is_not_called(loop, clock):
    seen = []
    timer = loop.call_later(1, lambda: seen.append(1))
    timer.cancel()
    timer.cancel()
    clock.now += 2
    loop.run_once(0)
    assert seen == [] and timer.cancelled


def test_cancelled_timers_do_not_pile_up(loop):
    kept = loop.call_later(1, lambda: None)
    for _ in range(20 * loop_module.MIN_CANCELLED_TO_SWEEP):
        loop.call_later(3600, lambda: None).cancel()
    assert len(loop._timers) <= 2 * loop_module.MIN_CANCELLED_TO_SWEEP + 2
    assert kept in loop._timers


def test_sleeps_without_end_when_idle_and_until_the_next_timer_otherwise(loop, clock):
    assert loop._select_timeout(None) is None
    loop.call_later(5, lambda: None)
    loop.call_later(1, lambda: None).cancel()
    clock.now += 2
    assert loop._select_timeout(None) == 3.0 and loop._select_timeout(1) == 1
    clock.now += 9
    assert loop._select_timeout(None) == 0.0


def test_other_threads_wake_it(loop):
    ready = threading.Event()
    thread = threading.Thread(target=lambda: (ready.set(), loop.run()), daemon=True)
    thread.start()
    ready.wait(10)
    for _ in range(50):  # whether the loop is asleep or awake, no call is lost
        seen = threading.Event()
        loop.call_threadsafe(seen.set)
        assert seen.wait(10)
    loop.call_threadsafe(loop.stop)
    thread.join(10)
    assert not thread.is_alive()


def test_many_threads_lose_no_call(loop):
    seen = []
    threads = [
        threading.Thread(
            target=lambda: [loop.call_threadsafe(lambda: seen.append(1)) for _ in range(500)]
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    while len(seen) < 4000:
        before = len(seen)
        loop.run_once(10)
        assert len(seen) > before or any(thread.is_alive() for thread in threads)


def test_a_signal_handler_may_call(loop):
    before = signal.signal(signal.SIGUSR1, lambda *_: loop.call_threadsafe(loop.stop))
    try:
        loop.call_later(0, lambda: signal.raise_signal(signal.SIGUSR1))
        loop.run()  # returns, or the test hangs
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_stop_before_the_start_counts(loop):
    loop.stop()
    loop.run()
    seen = []
    loop.call_threadsafe(lambda: (seen.append(1), loop.stop()))
    loop.run()  # and counts once
    assert seen == [1]


def test_calls_after_the_end_do_no_harm():
    closed = Loop()
    closed.close()
    closed.call_threadsafe(lambda: None)


def test_a_signal_that_another_thread_meets_wakes_it(monkeypatch):
    loop, waiting, late = Loop(), threading.Event(), []
    select = loop._selector.select

    def about_to_wait(timeout):
        waiting.set()
        return select(timeout)

    def meet():
        assert waiting.wait(30)
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, lambda *_: loop.call_threadsafe(loop.stop))
    loop.call_later(30.0, lambda: (late.append("nobody heard of it"), loop.stop()))
    monkeypatch.setattr(loop._selector, "select", about_to_wait)
    thread = threading.Thread(target=meet)
    try:
        thread.start()
        loop.run()
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)
        loop.close()
    assert not late


def test_what_is_called_soon_comes_after_the_sockets_of_this_round(loop):
    ours, theirs = socket.socketpair()
    seen = []
    loop.add(ours, READ, lambda _: (ours.recv(9), seen.append("socket")))
    loop.call_soon(lambda: seen.append("soon"))
    theirs.send(b"x")
    loop.run_once(1.0)
    assert seen == ["socket", "soon"]
    ours.close()
    theirs.close()
