"""The job watcher: many waiters, few calls, no thread for any of them."""

import dataclasses
import socket
import threading

import pytest

from ganeti import errors, luxi
from ganeti.luxi import job_watcher
from ganeti.utils.event_loop import Loop
from support.luxi import SOON, SlowMaster

CALL = luxi.WaitForJobChange(7, ["status"], None, None, 60.0)
OK = b'{"success": true, "result": ["cluster"]}'


def never():
    return False


@pytest.fixture
def master(tmp_path):
    found = SlowMaster(str(tmp_path / "socket"))
    yield found
    found.close()


@pytest.fixture
def loop():
    found = Loop()
    thread = threading.Thread(target=found.run)
    thread.start()
    yield found
    found.call_threadsafe(found.stop)
    thread.join(20)
    assert not thread.is_alive()


class WatchedMaster:
    """Waits at a master of which one test may hold several."""

    def __init__(self, loop, path, limit=3, probed=False):
        self.connect = lambda timeout: luxi.connect(path, timeout)
        self.health = luxi.HealthMonitor(self.connect, timeout=SOON)
        if not probed:  # nobody makes sure of a master that takes its time
            self.health.answered_since = lambda since: True
        self.watcher = luxi.JobWatcher(loop, self.connect, self.health, limit=limit)

    def wait(self, gone=never, call=CALL):
        return self.watcher.wait(call, gone)


@pytest.fixture
def watched(loop, master, tmp_path):
    return WatchedMaster(loop, str(tmp_path / "socket"))


@pytest.fixture
def server(tmp_path):
    """Yield the listening socket of a master whose answers the test makes."""
    with socket.socket(socket.AF_UNIX) as found:
        found.bind(str(tmp_path / "socket"))
        found.listen()
        yield found


def test_answers_reach_all_waiters(watched, master):
    futures = [watched.wait() for _ in range(3)]
    assert not any(future.done() for future in futures)
    master.speaks.set()
    assert [future.result(20) for future in futures] == [OK] * 3


def test_waiters_for_the_same_change_share_a_call(loop, server, tmp_path):
    watched = WatchedMaster(loop, str(tmp_path / "socket"))
    futures = [watched.wait() for _ in range(3)]
    joined = threading.Event()
    loop.call_threadsafe(joined.set)  # it is called after what was asked for before
    assert joined.wait(20)
    with server.accept()[0] as other:
        assert other.recv(4096).count(b"\x03") == 1
        other.sendall(OK + b"\x03")
        assert [future.result(20) for future in futures] == [OK] * 3


def test_calls_beyond_the_maximum_take_turns(loop, server, tmp_path, monkeypatch):
    monkeypatch.setattr("ganeti.luxi.job_watcher.MAX_WATCHES", 1)
    watched = WatchedMaster(loop, str(tmp_path / "socket"))
    calls = [dataclasses.replace(CALL, job_id=number) for number in (7, 8)]
    futures = [watched.wait(call=call) for call in calls]
    asked = []
    for _ in range(3):
        with server.accept()[0] as other:
            asked.append(b"[7," in other.recv(4096))
            assert other.recv(4096) == b""  # its turn is over
    assert asked == [True, False, True]
    with server.accept()[0] as other:
        other.sendall(OK + b"\x03")
        assert futures[1].result(20) == OK
    assert not futures[0].done()


def test_waiters_beyond_the_limit_are_refused(watched, master):
    futures = [watched.wait() for _ in range(3)]
    with pytest.raises(errors.TooManyWaits, match="3 requests wait"):
        watched.wait()
    master.speaks.set()
    for future in futures:
        future.result(20)
    assert watched.wait().result(20) == OK


def test_a_call_that_could_not_be_sent_frees_its_slot(loop, tmp_path):
    watched = WatchedMaster(loop, str(tmp_path / "nobody"), limit=1)
    for _ in range(2):
        with pytest.raises(errors.NoMaster):
            watched.wait().result(20)


def test_a_client_that_left_is_removed(watched, master):
    left = threading.Event()
    future = watched.wait(left.is_set)
    left.set()
    assert future.result(20) is None


def test_waiters_at_a_silent_master_time_out(loop, master, tmp_path):
    watched = WatchedMaster(loop, str(tmp_path / "socket"), probed=True)
    future = watched.wait()
    with pytest.raises(errors.Timeout, match="does not answer"):
        future.result(20)
    with pytest.raises(errors.Timeout):
        watched.wait().result(20)  # nobody waits again to find that out


def test_a_wait_ends_after_its_timeout(watched, master, monkeypatch):
    monkeypatch.setattr("ganeti.luxi.job_watcher.MIN_WAIT", 0.0)
    call = luxi.WaitForJobChange(7, ["status"], ["queued"], None, 0.0)
    assert watched.wait(call=call).result(20) is None


def test_the_master_ends_a_long_wait(watched, master, monkeypatch):
    monkeypatch.setattr("ganeti.luxi.job_watcher.MIN_WAIT", 0.0)
    monkeypatch.setattr("ganeti.luxi.job_watcher.CALL_SECONDS", 0.1)
    known = dataclasses.replace(CALL, previous=["queued"])
    long = watched.wait(call=dataclasses.replace(known, timeout=0.1))
    assert watched.wait(call=dataclasses.replace(known, timeout=0.09)).result(20) is None
    assert watched.wait(call=dataclasses.replace(known, timeout=0.09)).result(20) is None
    master.speaks.set()
    assert long.result(20) == OK


def test_all_waits_end_when_the_watcher_ends(watched, master):
    known = dataclasses.replace(CALL, previous=["queued"])
    futures = [watched.wait(call=known) for _ in range(2)]
    first = watched.wait()
    watched.watcher.end()
    assert [future.result(20) for future in futures] == [None, None]
    assert watched.wait(call=known).result(20) is None
    master.speaks.set()  # the present state is still answered
    assert first.result(20) == watched.wait().result(20) == OK


@pytest.mark.parametrize("said", [b"", b"half"])
def test_a_connection_that_ends_is_reported(loop, server, tmp_path, said):
    future = WatchedMaster(loop, str(tmp_path / "socket")).wait()
    with server.accept()[0] as other:
        other.sendall(said)
    with pytest.raises(errors.ConnectionClosed):
        future.result(20)


def test_an_answer_in_pieces_is_one(loop, server, tmp_path):
    future = WatchedMaster(loop, str(tmp_path / "socket")).wait()
    with server.accept()[0] as other:
        for byte in OK + b"\x03":
            other.sendall(bytes([byte]))
        assert future.result(20) == OK


def test_a_master_that_answers_others_is_waited_for(loop, server, tmp_path):
    watched, asked = WatchedMaster(loop, str(tmp_path / "socket")), threading.Semaphore(0)
    watched.health.answered_since = lambda since: False
    watched.health.probe = lambda since: asked.release()  # and it is there
    future = watched.wait()
    with server.accept()[0] as silent:
        for _ in range(3):
            assert asked.acquire(timeout=20)
        assert not future.done()
        silent.sendall(OK + b"\x03")
        assert future.result(20) == OK


def test_a_master_is_not_waited_for_beyond_the_timeout(loop, server, tmp_path, monkeypatch):
    monkeypatch.setattr("ganeti.luxi.job_watcher.CALL_SECONDS", -job_watcher.SLACK)
    future = WatchedMaster(loop, str(tmp_path / "socket")).wait()
    with pytest.raises(errors.Timeout, match="in time"):
        future.result(20)
