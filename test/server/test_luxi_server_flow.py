"""The connections' states, step by step: the test runs the loop, and there are no threads."""

import socket
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from ganeti import luxi, serializer
from ganeti.server import luxi_handlers, luxi_server
from ganeti.utils.event_loop import Loop

BIG = "x" * 1_000_000


class Pool:
    """A pool that works only when it is told to."""

    def __init__(self):
        self.waiting = []

    def submit(self, function, *arguments):
        self.waiting.append((function, arguments))

    def work(self):
        waiting, self.waiting = self.waiting, []
        for function, arguments in waiting:
            function(*arguments)


class ConnectionScene:
    """One connection; ``client`` is the other end."""

    def __init__(self):
        self.client, sock = socket.socketpair()
        self.client.setblocking(False)
        sock.setblocking(False)
        self.loop, self.pool, self.queue = Loop(), Pool(), Queue()
        self.splitter, self.asked, self.closed = luxi.Splitter(), 0, False
        self.connection = luxi_server._Connection(self, sock)
        self.sources = SimpleNamespace(queue=self.queue)

    def forget(self, connection):
        self.closed = True

    def answer(self, sources, call):
        self.asked += 1
        return call.names

    def send(self, *requests):
        for request in requests:
            self.client.sendall(request)
        self.turn()

    def turn(self, rounds=20):
        for _ in range(rounds):
            self.loop.run_once(0)
            self.pool.work()

    def receive(self):
        """Return all answers that are there without another round of the loop."""
        found = []
        while True:
            try:
                data = self.client.recv(1 << 20)
            except BlockingIOError:
                return found
            if not data:
                return found
            found += [serializer.loads(message) for message in self.splitter.feed(data)]


class Queue:
    """A queue with a job that never changes, which counts the looks at it."""

    def __init__(self):
        self.looks, self.watchers = 0, []

    def job(self, job_id):
        self.looks += 1
        return SimpleNamespace(archived=False, final=False, ops=[], id=job_id, status="queued")

    def waiting_for(self, job_id):
        return []

    def watch(self, job_id, watcher):
        self.watchers.append(watcher)
        return lambda: self.watchers.remove(watcher)


@pytest.fixture
def scene(monkeypatch):
    made = ConnectionScene()
    monkeypatch.setitem(luxi_handlers.READS, luxi.QueryConfigValues, made.answer)
    yield made
    made.client.close()
    made.connection.close()
    made.loop.close()


def ask(*names):
    return luxi.request(luxi.QueryConfigValues(list(names)))


def wait(timeout=60):
    return luxi.request(luxi.WaitForJobChange(1, ["status"], ["queued"], None, timeout))


def test_who_fetches_no_answers_gets_no_more_made(scene, monkeypatch):
    monkeypatch.setitem(
        luxi_handlers.READS, luxi.QueryConfigValues, lambda *call: [BIG] + scene.answer(*call)
    )
    scene.send(*[ask("x")] * 51)
    assert scene.asked == 1
    found = []
    for _ in range(2000):
        found += scene.receive()
        scene.turn(1)
    assert len(found) == 51 and scene.asked == 51


def test_a_message_too_long_is_refused_in_its_turn(scene):
    scene.connection._splitter = luxi.Splitter(200)
    scene.client.sendall(ask("first"))
    scene.loop.run_once(0)  # it is with the pool now
    scene.client.sendall(b"x" * 300)
    scene.turn()
    first, second = scene.receive()
    assert first["result"] == ["first"] and "longer than" in second["result"]
    assert scene.closed


def test_a_client_that_is_gone_waits_no_longer(scene):
    scene.send(wait())
    assert len(scene.queue.watchers) == 1
    scene.client.close()
    scene.turn()
    assert scene.closed and scene.queue.watchers == []


def test_a_client_that_only_stops_sending_still_waits(scene):
    scene.send(wait())
    scene.client.shutdown(socket.SHUT_WR)
    scene.turn()
    assert not scene.closed and len(scene.queue.watchers) == 1


def test_many_changes_at_once_are_looked_at_once(scene):
    scene.send(wait())
    before = scene.queue.looks
    for _ in range(100):
        scene.queue.watchers[0]()
    scene.turn()
    assert scene.queue.looks == before + 1
    scene.queue.watchers[0]()
    scene.turn()
    assert scene.queue.looks == before + 2


def test_a_client_that_left_before_its_call_was_read_waits_for_nothing(scene):
    scene.client.sendall(wait())
    scene.loop.run_once(0)
    scene.client.close()
    scene.loop.run_once(0)
    scene.turn()
    assert scene.closed and scene.queue.watchers == []


def test_an_answer_to_a_client_that_left_is_dropped(scene, monkeypatch):
    answer = Future()
    monkeypatch.setitem(luxi_handlers.READS, luxi.QueryConfigValues, lambda *_: answer)
    scene.send(ask("x"))
    scene.client.close()
    scene.turn()
    answer.set_result(["late"])
    scene.turn()
    assert scene.closed


def test_there_is_room_for_so_many_clients(tmp_path):
    path, loop = str(tmp_path / "socket"), Loop()
    server = luxi_server.LuxiServer(luxi_server.listen(path), None, loop, max_clients=2)
    clients = [luxi.connect(path, 30) for _ in range(3)]
    for _ in range(5):
        loop.run_once(0)
    assert len(server._connections) == 2
    clients[0].close()
    clients[2].sendall(b"nonsense" + luxi.EOM)
    clients[2].settimeout(0)
    answer = b""
    while not answer:  # its turn comes now
        loop.run_once(30)
        try:
            answer = clients[2].recv(1000)
        except BlockingIOError:
            pass
    assert b"Failed to parse request" in answer
    server.close()
    for client in clients:
        client.close()
    loop.close()
