"""Changes that must be written are retried until the disk accepts them."""

import logging
import threading
from concurrent.futures import Future

import pytest

from ganeti.db import store
from ganeti.db.store import Store, StoreUnavailable


class RefusingStore:
    """A store that refuses some changes before it accepts one."""

    def __init__(self, refusals):
        self.refusals = refusals

    def write(self, change):
        future = Future()
        if self.refusals:
            self.refusals -= 1
            future.set_exception(StoreUnavailable("full"))
        else:
            future.set_result(change(None))
        return future


def test_a_commit_is_retried_until_it_is_stored(monkeypatch):
    monkeypatch.setattr(store, "STORE_RETRY", 0)
    assert (
        Store.write_with_retries(
            RefusingStore(3), lambda _: "done", threading.Event(), title="Job 5"
        )
        == "done"
    )


def test_the_log_says_once_that_a_commit_waits_for_the_disk(monkeypatch, caplog):
    monkeypatch.setattr(store, "STORE_RETRY", 0)
    caplog.set_level(logging.INFO)
    Store.write_with_retries(
        RefusingStore(3), lambda _: "done", threading.Event(), title="Job 5 of admin"
    )
    assert [record.getMessage() for record in caplog.records] == [
        "Job 5 of admin: waiting for the disk: full",
        "Job 5 of admin: the disk accepts changes again",
    ]


def test_a_commit_gives_up_when_the_daemon_stops():
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoreUnavailable):
        Store.write_with_retries(RefusingStore(1), lambda _: "done", stop, title="Job 5")
