"""Memory for bodies that are not whole: who gives way."""

from ganeti.http.limits import SMALL_BODY, BodyBudget

KIB = 1024


class Holder:
    def __init__(self, room, authenticated=False):
        self.room, self.authenticated, self.refused = room, authenticated, False

    def hold(self, kib):
        self.room.hold(self, kib * KIB)
        return self

    def give_way(self):
        self.refused = True
        self.room.leave(self)


def refused(*holders):
    return [holder.refused for holder in holders]


def test_who_began_first_gives_way():
    room = BodyBudget(100 * KIB)
    first, second = Holder(room).hold(20), Holder(room).hold(50)
    first.hold(50)
    assert refused(first, second) == [False, False] and room.total == 100 * KIB
    third = Holder(room).hold(20)
    assert refused(first, second, third) == [True, False, False] and room.total == 70 * KIB


def test_known_users_come_last():
    room = BodyBudget(100 * KIB)
    known, other = Holder(room, True).hold(60), Holder(room).hold(40)
    other.hold(41)
    assert refused(known, other) == [False, True] and room.total == 60 * KIB
    Holder(room, True).hold(60)
    assert known.refused and room.total == 60 * KIB


def test_one_alone_may_be_too_much():
    room = BodyBudget(100 * KIB)
    assert Holder(room).hold(101).refused and room.total == 0


def test_small_bodies_and_those_that_are_whole_do_not_count():
    room = BodyBudget(100 * KIB)
    room.hold(Holder(room), SMALL_BODY)
    whole = Holder(room).hold(90)
    room.leave(whole)
    room.leave(whole)
    assert room.total == 0 and not Holder(room).hold(100).refused
