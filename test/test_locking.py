"""Locks: in which order they are granted, and how they are shown."""

import pytest

from ganeti import errors
from ganeti.locking import (
    Level,
    LockManager,
    LockWait,
    exclusive,
    merge,
    shared,
)


class LockingScene:
    """A lock manager whose owners are single letters; it records which were granted later."""

    def __init__(self):
        self.locks = LockManager()
        self.granted = []

    def ask(self, owner, *wants, priority=0):
        return self.locks.request(owner, wants, priority, lambda: self.granted.append(owner))

    def free(self, owner):
        self.granted.clear()
        self.locks.release(owner)
        return self.granted


@pytest.fixture
def scene():
    return LockingScene()


X, Y = exclusive(Level.INSTANCE, "x"), exclusive(Level.INSTANCE, "y")
X_SHARED = shared(Level.INSTANCE, "x")
NODE, NODE_SHARED = exclusive(Level.NODE, "n"), shared(Level.NODE, "n")


def test_free_locks_are_held_at_once(scene):
    assert scene.ask("a", X, NODE)
    assert scene.ask("b", Y) and not scene.ask("c", NODE_SHARED)


def test_shared_owners_coexist_and_an_exclusive_one_excludes(scene):
    assert scene.ask("a", X_SHARED) and scene.ask("b", X_SHARED)
    assert not scene.ask("c", X)
    assert scene.free("a") == [] and scene.free("b") == ["c"]


def test_readers_do_not_overtake_a_waiting_writer(scene):
    scene.ask("a", X_SHARED)
    scene.ask("w", X)
    assert not scene.ask("b", X_SHARED)
    assert scene.free("a") == ["w"] and scene.free("w") == ["b"]


def test_the_queue_is_in_order_of_priority_then_arrival(scene):
    scene.ask("a", X)
    for owner, priority in (("b", 0), ("c", 10), ("d", -10), ("e", 0)):
        scene.ask(owner, X, priority=priority)
    served = []
    while now := scene.free(served[-1] if served else "a"):
        served += now
    assert served == ["d", "b", "e", "c"]


def test_the_priority_of_a_waiter_may_change(scene):
    scene.ask("a", X)
    scene.ask("b", X)
    scene.ask("c", X)
    scene.locks.change_rank("c", -10)
    assert scene.free("a") == ["c"]


def test_a_waiter_holds_no_locks_of_later_levels(scene):
    scene.ask("a", X)
    scene.ask("b", X, NODE)
    assert scene.ask("c", NODE)


def test_giving_up_while_waiting_lets_others_in(scene):
    scene.ask("a", X_SHARED)
    scene.ask("w", X)
    scene.ask("b", X_SHARED)
    assert scene.free("w") == ["b"]


def test_a_request_goes_on_to_its_next_lock(scene):
    scene.ask("a", X)
    scene.ask("b", NODE)
    scene.ask("c", X, NODE)
    assert scene.free("a") == [] and scene.free("b") == ["c"]


def test_a_callback_that_fails_stops_no_other(scene):
    scene.ask("a", X)
    scene.locks.request("b", [X_SHARED], 0, lambda: 1 / 0)
    scene.ask("c", X_SHARED)
    assert scene.free("a") == ["c"]


def test_a_second_request_of_one_owner_is_refused(scene):
    scene.ask("a", X)
    with pytest.raises(errors.LockError):
        scene.ask("a", Y)


def test_releasing_what_is_not_held_is_harmless(scene):
    assert scene.free("nobody") == []


def test_states_show_holders_and_waiters(scene):
    scene.ask("a", X)
    scene.ask("b", X_SHARED)
    (state,) = scene.locks.states()
    assert (state.name, state.mode, state.owners) == ("instance/x", "exclusive", ("a",))
    assert state.pending == (("shared", ("b",)),)
    assert scene.locks.waits_for("b") == LockWait("instance/x", "shared", ("a",))
    assert scene.locks.waits_for("a") is None
    scene.free("a")
    scene.free("b")
    assert scene.locks.states() == []


def test_a_waiter_that_fits_waits_for_those_before_it(scene):
    scene.ask("a", X_SHARED)
    scene.ask("b", X)
    scene.ask("c", X_SHARED)
    assert scene.locks.waits_for("b").blockers == ("a",)
    assert scene.locks.waits_for("c").blockers == ("b",)


def test_merge_orders_by_level_and_keeps_the_stronger():
    assert merge([NODE, X_SHARED, X, Y]) == (X, Y, NODE)
    assert merge([X, X_SHARED])[0].exclusive
