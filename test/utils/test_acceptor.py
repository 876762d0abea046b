"""Accepting on a loop: no room, no descriptors, and the end."""

import errno
import socket

import pytest

from ganeti.utils.acceptor import RETRY_SECONDS, Acceptor
from ganeti.utils.event_loop import Loop


class Scene:
    """A listener whose clients are accepted while there is room."""

    def __init__(self):
        self.now = 100.0
        self.loop = Loop(lambda: self.now)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.accepted, self.room, self.closed_one = [], 100, False
        self.acceptor = Acceptor(
            self.loop,
            [self.listener],
            lambda sock, address: self.accepted.append((sock, address)),
            has_room=lambda: len(self.accepted) < self.room,
            free_descriptor=lambda: self.closed_one,
        )
        self.clients = []

    def connect(self, count=1):
        """Connect clients, and run the loop until it would wait."""
        self.clients += [socket.create_connection(self.address) for _ in range(count)]
        self.run()

    def run(self):
        """Run the loop until it would wait."""
        for _ in range(5):
            self.loop.run_once(0)

    def close(self):
        """Close everything."""
        self.acceptor.close()
        for sock in [*self.clients, *(sock for sock, _ in self.accepted)]:
            sock.close()
        self.loop.close()


@pytest.fixture
def scene():
    found = Scene()
    yield found
    found.close()


def test_clients_are_passed_with_their_addresses(scene):
    scene.connect(3)
    addresses = [address for _, address in scene.accepted]
    assert addresses == [client.getsockname() for client in scene.clients]


def test_without_room_clients_wait_until_accepting_resumes(scene):
    scene.room = 1
    scene.connect(3)
    assert len(scene.accepted) == 1
    scene.room = 3
    scene.run()
    assert len(scene.accepted) == 1
    scene.acceptor.resume()
    scene.run()
    assert len(scene.accepted) == 3


class OutOfDescriptors:
    """A listener in a process without descriptors."""

    tries = 0

    def accept(self):
        self.tries += 1
        raise OSError(errno.EMFILE, "Too many open files")


def test_without_descriptors_accepting_pauses(scene, caplog):
    full = OutOfDescriptors()
    scene.acceptor._accept(full)
    assert full.tries == 1 and "Too many open files" in caplog.text
    scene.connect()
    assert not scene.accepted
    scene.now += RETRY_SECONDS
    scene.run()
    assert len(scene.accepted) == 1


def test_clients_that_leave_cause_one_retry_and_one_line_a_second(scene, caplog):
    full = OutOfDescriptors()
    for _ in range(5):
        scene.acceptor._accept(full)
        scene.acceptor.resume()  # as a client leaves
    scene.acceptor._accept(full)
    assert full.tries == 6 and caplog.text.count("Too many open files") == 1
    timers = [timer for timer in scene.loop._timers if not timer.cancelled]
    assert len(timers) == 1


def test_a_descriptor_that_can_be_freed_needs_no_pause(scene, caplog):
    scene.closed_one = True
    scene.acceptor._accept(OutOfDescriptors())
    scene.connect()
    assert len(scene.accepted) == 1 and not caplog.text


def test_queued_clients_are_accepted_before_the_end(scene):
    scene.clients.append(socket.create_connection(scene.address))
    scene.acceptor.accept_queued()
    scene.acceptor.close()
    scene.acceptor.resume()
    assert len(scene.accepted) == 1
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(scene.address)
