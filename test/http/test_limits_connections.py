"""Who makes room when there are too many."""

import pytest

from ganeti.http.limits import ConnectionTable


class Guest:
    """Somebody with a seat."""

    def __init__(self, seats, name, authenticated=False):
        self.seats, self.name, self.authenticated = seats, name, authenticated
        self.end = ""
        seats.take(self)
        seats.waits(self, True)

    def __repr__(self):
        return self.name

    def close(self):
        self.end = "closed"
        self.seats.leave(self)

    def drain(self):
        self.end = "drained"
        self.seats.leave(self)


@pytest.fixture
def seats():
    return ConnectionTable(3)


def known(seats, name):
    guest = Guest(seats, name)
    guest.authenticated = True
    seats.works(guest)
    assert seats.waits(guest, True)
    return guest


def test_who_has_waited_longest_goes_strangers_first(seats):
    friend, first, second = known(seats, "friend"), Guest(seats, "first"), Guest(seats, "second")
    assert not seats.full and len(seats) == 3
    seats.make_room()
    assert (first.end, second.end, friend.end) == ("closed", "", "")
    seats.make_room()  # there is some
    assert second.end == ""


def test_who_was_busy_meanwhile_has_waited_less(seats):
    first, second = Guest(seats, "first"), Guest(seats, "second")
    seats.works(first)
    seats.waits(first, False)
    assert seats.evict() and second.end == "closed"


def test_an_idle_friend_goes_where_there_are_no_strangers(seats):
    friends = [known(seats, str(number)) for number in range(3)]
    seats.works(friends[0])
    assert not seats.full
    seats.make_room()
    assert [friend.end for friend in friends] == ["", "drained", ""]


def test_friends_who_are_busy_stay(seats):
    friends = [known(seats, str(number)) for number in range(3)]
    for friend in friends:
        seats.works(friend)
        assert not seats.waits(friend, False)  # it takes its answer
    assert seats.full and not seats.evict()
    seats.leave(friends[0])
    assert not seats.full
