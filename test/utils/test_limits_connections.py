"""Connections that are closed when there are too many."""

import pytest

from ganeti.utils.limits import ConnectionTable


class FakeConnection:
    """A connection in the table, which notes how it ended."""

    def __init__(self, table, name, authenticated=False):
        self.table, self.name, self.authenticated = table, name, authenticated
        self.end = ""
        table.add(self)
        table.mark_waiting(self, True)

    def __repr__(self):
        return self.name

    def close(self):
        self.end = "closed"
        self.table.remove(self)

    def drain(self):
        self.end = "drained"
        self.table.remove(self)


@pytest.fixture
def table():
    return ConnectionTable(3)


def authenticated_connection(table, name):
    connection = FakeConnection(table, name)
    connection.authenticated = True
    table.mark_busy(connection)
    assert table.mark_waiting(connection, True)
    return connection


def test_the_longest_waiting_unauthenticated_connection_is_closed_first(table):
    authenticated, first, second = (
        authenticated_connection(table, "authenticated"),
        FakeConnection(table, "first"),
        FakeConnection(table, "second"),
    )
    assert not table.full and len(table) == 3
    table.evict_if_full()
    assert (first.end, second.end, authenticated.end) == ("closed", "", "")
    table.evict_if_full()  # the table is not full now
    assert second.end == ""


def test_a_connection_that_was_busy_has_waited_less(table):
    first, second = FakeConnection(table, "first"), FakeConnection(table, "second")
    table.mark_busy(first)
    table.mark_waiting(first, False)
    assert table.evict() and second.end == "closed"


def test_an_idle_authenticated_connection_is_drained_without_unauthenticated_ones(table):
    connections = [authenticated_connection(table, str(number)) for number in range(3)]
    table.mark_busy(connections[0])
    assert not table.full
    table.evict_if_full()
    assert [connection.end for connection in connections] == ["", "drained", ""]


def test_busy_connections_stay(table):
    connections = [authenticated_connection(table, str(number)) for number in range(3)]
    for connection in connections:
        table.mark_busy(connection)
        assert not table.mark_waiting(connection, False)  # it takes its answer
    assert table.full and not table.evict()
    table.remove(connections[0])
    assert not table.full
