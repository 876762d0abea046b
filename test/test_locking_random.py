"""Thousands of random steps, compared with a model that is too simple to be wrong.

The model keeps the requests in a list, and says what must hold at any moment. It does not predict
which of several requests comes first, unless the theory does.
"""

import random

import pytest

from ganeti.locking import Level, LockManager, Want, merge

STEPS = 3000
OWNERS = [f"job/{number}" for number in range(12)]
LOCKS = [
    (level, name)
    for level in (Level.CLUSTER, Level.INSTANCE, Level.NODE)
    for name in ("a", "b", "c")
]


class LockingModel:
    """A lock manager and its model; after each step everything that must hold is checked."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.locks = LockManager()
        self.wants, self.arrived, self.priority, self.granted = {}, {}, {}, set()

    def step(self, number):
        owner = self.random.choice(OWNERS)
        if owner not in self.wants:
            self.ask(owner, number)
        elif self.random.random() < 0.3:
            self.priority[owner] = self.random.randint(-20, 19)
            self.locks.change_rank(owner, self.priority[owner])
        else:
            del self.wants[owner]
            self.granted.discard(owner)
            self.locks.release(owner)

    def ask(self, owner, number):
        chosen = self.random.sample(LOCKS, self.random.randint(0, 4))
        self.wants[owner] = merge(
            Want(level, name, self.random.random() < 0.5) for level, name in chosen
        )
        self.arrived[owner] = number
        self.priority[owner] = self.random.choice([-10, 0, 10])
        if self.locks.request(
            owner, self.wants[owner], self.priority[owner], lambda: self.grant(owner)
        ):
            self.grant(owner)

    def grant(self, owner):
        assert owner in self.wants and owner not in self.granted, (
            f"{owner} was granted its locks twice"
        )
        self.granted.add(owner)

    def check(self):
        states = {state.name: state for state in self.locks.states()}
        pending = {
            owner: state
            for state in states.values()
            for _, owners in state.pending
            for owner in owners
        }
        for owner, wants in self.wants.items():
            held = [want for want in wants if owner in self.holders(states, want)]
            assert held == list(wants[: len(held)]), "not taken in order"
            assert (owner in self.granted) == (len(held) == len(wants)) == (owner not in pending)
            if owner in pending:
                assert pending[owner].name == wants[len(held)].full_name
        for state in states.values():
            self.check_lock(state)

    @staticmethod
    def holders(states, want):
        return states[want.full_name].owners if want.full_name in states else ()

    def check_lock(self, state):
        assert state.owners or state.pending, "a lock that nobody holds is kept"
        assert set(state.owners) <= set(self.wants), "held by one who gave it back"
        modes = {
            want.mode
            for owner in state.owners
            for want in self.wants[owner]
            if want.full_name == state.name
        }
        assert len(modes) <= 1 and (modes == {"shared"} or len(state.owners) <= 1)
        queue = [owner for _, owners in state.pending for owner in owners]
        assert [self.priority[owner] for owner in queue] == sorted(map(self.priority.get, queue))
        if queue:  # the head waits only for the holders
            assert state.owners, "free, and somebody waits"
            assert state.pending[0][0] == "exclusive" or modes == {"exclusive"}


@pytest.mark.parametrize("seed", range(4))
def test_invariants_hold_whatever_happens(seed):
    model = LockingModel(seed)
    for number in range(STEPS):
        model.step(number)
        model.check()


@pytest.mark.parametrize("seed", range(4))
def test_every_owner_gets_its_locks_in_the_end(seed):
    model = LockingModel(seed)
    for number in range(STEPS // 10):
        owner = model.random.choice(OWNERS)
        if owner not in model.wants:
            model.ask(owner, number)
    while model.wants:
        owner = model.random.choice(sorted(model.granted))  # none can continue: a deadlock
        del model.wants[owner]
        model.granted.discard(owner)
        model.locks.release(owner)
        model.check()
    assert model.locks.states() == []
