"""Log lines that any client can cause: the first ones always, and not too many."""

import logging

import pytest

from ganeti.utils import limits
from ganeti.utils.limits import LogBudget, network


class LimitedLog:
    """A budget, its clock, and what it was asked to call later."""

    def __init__(self, **options):
        self.now = 0.0
        self.later = []
        self.budget = LogBudget("knocks", clock=lambda: self.now, **options)

    def knock(self, peer="192.0.2.1", times=1):
        for _ in range(times):
            self.budget.log(logging.INFO, peer, f"{peer} knocks 100%")


@pytest.fixture(autouse=True)
def every_level(caplog):
    caplog.set_level(logging.INFO)


def lines(caplog):
    """Return the lines that were logged since the last call."""
    found = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return found


def test_an_address_gets_its_first_lines_and_the_rest_are_counted(caplog):
    limited = LimitedLog(per_address=3)
    limited.knock(times=10)
    assert lines(caplog) == ["192.0.2.1 knocks 100%"] * 3
    limited.now = 60.0
    limited.knock()
    assert lines(caplog) == [
        "7 more lines about knocks suppressed in the last 60 s",
        "192.0.2.1 knocks 100%",
    ]


def test_tokens_come_back_with_time_and_no_more_than_there_were(caplog):
    limited = LimitedLog(per_address=2)
    limited.knock(times=3)
    limited.now = 30.0
    limited.knock(times=3)
    assert len(lines(caplog)) == 3
    limited.now = 3000.0
    limited.knock(times=3)
    assert len(lines(caplog)) == 3  # the summary, and two


def test_another_address_is_logged_while_one_is_suppressed(caplog):
    limited = LimitedLog(per_address=1)
    limited.knock(times=5)
    limited.knock("192.0.2.2")
    assert lines(caplog) == ["192.0.2.1 knocks 100%", "192.0.2.2 knocks 100%"]


def test_lines_of_all_addresses_together_are_bounded(caplog):
    limited = LimitedLog(together=50)
    for number in range(200):
        limited.knock(f"192.0.2.{number}")
    assert len(lines(caplog)) == 50


def test_without_that_bound_each_address_is_logged(caplog):
    limited = LimitedLog(together=None)
    for number in range(500):
        limited.knock(f"2001:db8:{number:x}::1", times=2)
    assert len(lines(caplog)) == 1000


def test_the_number_of_remembered_addresses_is_bounded(monkeypatch):
    monkeypatch.setattr(limits, "MAX_ADDRESSES", 10)
    limited = LimitedLog()
    for number in range(100):
        limited.knock(f"192.0.2.{number}")
    assert len(limited.budget._addresses) == 10


def test_the_count_is_logged_when_no_more_lines_come(caplog):
    limited = LimitedLog(per_address=1)
    limited.budget._call_later = lambda seconds, function: limited.later.append((seconds, function))
    limited.knock(times=4)
    caplog.clear()
    ((seconds, summarize),) = limited.later
    limited.now += seconds
    summarize()
    assert lines(caplog) == ["3 more lines about knocks suppressed in the last 60 s"]
    limited.budget.summarize()
    assert lines(caplog) == []


def test_fields_are_added_to_the_message(caplog):
    LimitedLog().budget.log(logging.INFO, "::1", "words", {"client": "::1"})
    assert caplog.records[0].fields == {"message": "words", "client": "::1"}


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("", ""),
        ("2001:db8:0:0:1:2:3:4", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("x", "x"),
    ],
)
def test_a_client_is_counted_by_its_address_or_ipv6_network(peer, expected):
    assert network(peer) == expected
