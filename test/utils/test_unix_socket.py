"""The process that serves a socket is found without waiting or sending."""

import os
import socket

import pytest

from ganeti.utils import unix_socket
from ganeti.utils.unix_socket import Listener


@pytest.fixture
def served(tmp_path):
    """Yield a listening socket whose path is too long for an address."""
    folder = tmp_path / ("n" * 100)
    folder.mkdir()
    sock = socket.socket(socket.AF_UNIX)
    fd = os.open(folder, os.O_RDONLY)
    sock.bind(f"/proc/self/fd/{fd}/s")
    os.close(fd)
    sock.listen(1)
    yield sock, str(folder / "s")
    sock.close()


def test_a_listener_is_named(served):
    found = unix_socket.find_listener(served[1])
    assert found is not None and found.pid == os.getpid()
    assert str(found).endswith(f" (pid {os.getpid()})")


def test_a_full_backlog_is_somebody(served):
    _, path = served
    clients = []
    while unix_socket.find_listener(path) != Listener():
        fd = os.open(os.path.dirname(path), os.O_RDONLY)
        clients.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
        clients[-1].connect_ex(f"/proc/self/fd/{fd}/s")
        os.close(fd)
        assert len(clients) < 10
    for client in clients:
        client.close()


def test_a_socket_of_another_type_is_somebody(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "s"))
        assert unix_socket.find_listener(str(tmp_path / "s")) == Listener()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may connect to every socket")
def test_a_socket_that_may_not_be_tried_is_an_error_with_its_name(served):
    os.chmod(served[1], 0)
    with pytest.raises(PermissionError) as caught:
        unix_socket.find_listener(served[1])
    assert caught.value.filename == served[1]


def test_nobody_serves_what_a_dead_process_left(served):
    sock, path = served
    sock.close()
    assert unix_socket.find_listener(path) is None


@pytest.mark.parametrize("name", ["missing", "file", "file/below", f"{'n' * 100}/{'m' * 100}"])
def test_nobody_serves_what_is_no_socket(tmp_path, name):
    (tmp_path / "file").touch()
    assert unix_socket.find_listener(str(tmp_path / name)) is None


def test_an_unknown_process_is_another():
    assert (str(Listener()), str(Listener(7))) == ("another process", "a process (pid 7)")
