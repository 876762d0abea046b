"""A slow master is waited for, a silent one is given up, and found again."""

import threading

import pytest

from ganeti import errors, luxi
from support.luxi import OK, SOON, SlowMaster


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "socket")


@pytest.fixture
def master(path):
    found = SlowMaster(path)
    yield found
    found.close()


@pytest.fixture
def health(path):
    return luxi.HealthMonitor(lambda timeout: luxi.connect(path, timeout), timeout=SOON)


def until(condition):
    """Wait until another thread has made a condition true."""
    tick = threading.Event()
    for _ in range(2000):
        if condition():
            return
        tick.wait(0.01)
    raise AssertionError("in vain")


def lives(health):
    try:
        health.fail_if_silent()
    except errors.Timeout:
        return False
    return True


def test_a_silent_master_is_given_up_and_found_again(master, health, path):
    client = luxi.Client(path, health=health)
    with pytest.raises(errors.Timeout, match="does not answer"):
        client.call(luxi.QueryClusterInfo())
    assert not lives(health)
    asked = master.asked
    with pytest.raises(errors.Timeout):
        client.call(luxi.SubmitJob([]))  # refused at once: nothing is sent
    assert asked.acquire(timeout=20) and asked.acquire(timeout=20)
    assert not asked.acquire(blocking=False)
    master.speaks.set()
    until(lambda: lives(health))
    assert client.call(luxi.QueryClusterInfo()) == ["cluster"]


def test_a_lost_probe_is_sent_again(path, health):
    master = SlowMaster(path)
    serve, asked = master._serve, threading.Event()

    def lose_the_first(sock):
        master._serve = serve
        asked.wait(20)  # it is never answered, and never closed

    master._serve = lose_the_first
    master.speaks.set()
    with pytest.raises(errors.Timeout):
        health.probe(since=float("inf"))
    until(lambda: lives(health))
    asked.set()
    master.close()


def test_the_timeout_counts_from_the_last_answer_to_anybody(path):
    now, waited = [100.0], []
    health = luxi.HealthMonitor(lambda timeout: None, timeout=4.0, clock=lambda: now[0])

    class SilentSocket:
        """A socket that receives nothing; another client is answered after three seconds."""

        timeout = None

        def gettimeout(self):
            return self.timeout

        def settimeout(self, seconds):
            self.timeout = seconds

        def recv(self, size):
            if not waited:
                now[0] += 3.0
                health.record_answer()
                now[0] -= 3.0
            now[0] += self.timeout
            waited.append(self.timeout)
            raise TimeoutError

    def probe(since):
        raise errors.Timeout(f"after {now[0] - 100.0} s")

    health.probe = probe
    client = luxi.Client(path, health=health, clock=lambda: now[0])
    with pytest.raises(errors.Timeout, match="after 7.0 s"):
        client._receive(SilentSocket(), 1000.0)
    assert waited == [4.0, 3.0]


def test_a_master_that_answers_others_is_only_slow(health):
    health._connect = None  # no probe is needed
    health.record_answer()
    health.probe(since=0.0)
    assert lives(health)


def test_a_master_that_answers_the_probe_is_only_slow(master, health):
    master.speaks.set()
    health.probe(since=float("inf"))
    assert lives(health)


def send_pieces(sock):
    """Send the first half of an answer, and the second only when the test has ended."""
    sock.recv(4096)
    sock.sendall(OK[:9])
    sock.recv(4096)


def hang_up(sock):
    sock.recv(4096)
    sock.close()


def reset(sock):
    sock.close()  # with the request unread


@pytest.mark.parametrize("serve", [send_pieces, hang_up, reset])
def test_a_master_that_does_anything_is_not_silent(master, health, serve):
    master._serve = serve
    health.probe(since=float("inf"))
    assert lives(health)


def test_a_master_that_is_gone_is_not_silent(health):
    health.probe(since=float("inf"))  # the caller's own connection says so
    assert lives(health)


def test_a_silent_master_that_goes_away_is_not_silent_any_more(path, health):
    master = SlowMaster(path)
    with pytest.raises(errors.Timeout):
        health.probe(since=float("inf"))
    master._server.close()
    master._serve = None
    master.speaks.set()
    until(lambda: lives(health))


def test_a_full_accept_queue_is_silence(health):
    def connect(timeout):
        raise errors.Timeout("full")

    health._connect = connect
    with pytest.raises(errors.Timeout):
        health.probe(since=float("inf"))
    health._connect = lambda timeout: luxi.connect("/nowhere", timeout)
    until(lambda: lives(health))
