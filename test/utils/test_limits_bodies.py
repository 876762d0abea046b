"""Memory for bodies that are not complete yet: which one is refused."""

from ganeti.utils.limits import SMALL_BODY, BodyBudget

KIB = 1024


class FakeBodyHolder:
    def __init__(self, budget, authenticated=False):
        self.budget, self.authenticated, self.refused = budget, authenticated, False

    def hold(self, kib):
        self.budget.hold(self, kib * KIB)
        return self

    def refuse_body(self):
        self.refused = True
        self.budget.release(self)


def refused(*holders):
    return [holder.refused for holder in holders]


def test_the_body_that_began_first_is_refused():
    budget = BodyBudget(100 * KIB)
    first, second = FakeBodyHolder(budget).hold(20), FakeBodyHolder(budget).hold(50)
    first.hold(50)
    assert refused(first, second) == [False, False] and budget.total == 100 * KIB
    third = FakeBodyHolder(budget).hold(20)
    assert refused(first, second, third) == [True, False, False] and budget.total == 70 * KIB


def test_bodies_of_authenticated_clients_are_refused_last():
    budget = BodyBudget(100 * KIB)
    known, other = FakeBodyHolder(budget, True).hold(60), FakeBodyHolder(budget).hold(40)
    other.hold(41)
    assert refused(known, other) == [False, True] and budget.total == 60 * KIB
    FakeBodyHolder(budget, True).hold(60)
    assert known.refused and budget.total == 60 * KIB


def test_a_single_body_beyond_the_budget_is_refused():
    budget = BodyBudget(100 * KIB)
    assert FakeBodyHolder(budget).hold(101).refused and budget.total == 0


def test_small_and_complete_bodies_do_not_count():
    budget = BodyBudget(100 * KIB)
    budget.hold(FakeBodyHolder(budget), SMALL_BODY)
    whole = FakeBodyHolder(budget).hold(90)
    budget.release(whole)
    budget.release(whole)
    assert budget.total == 0 and not FakeBodyHolder(budget).hold(100).refused
