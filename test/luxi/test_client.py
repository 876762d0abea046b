"""The LUXI client: one connection, opened anew when needed, nothing sent twice."""

import contextlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ganeti import errors, luxi, serializer
from ganeti.utils import io

OK = b'{"success": true, "result": 7}\x03'
STALE = b'{"success": true, "result": "stale"}\x03'


@contextlib.contextmanager
def master(path, *conversations):
    """Run a server that gives each connection its answers; None closes without an answer."""
    requests = []
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()

    def serve():
        for answers in conversations:
            sock, _ = server.accept()
            with sock:
                for answer in answers:
                    data = b""
                    while not data.endswith(luxi.EOM):
                        data += sock.recv(4096)
                    requests.append(serializer.loads(data[:-1])["method"])
                    if answer is None:
                        break
                    sock.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield requests
    thread.join(10)
    server.close()
    assert not thread.is_alive()


def test_calls_share_a_connection(tmp_path):
    path = str(tmp_path / "sock")
    with master(path, [OK, OK]) as requests:
        client = luxi.Client(path)
        assert client.call(luxi.QueryClusterInfo()) == 7
        assert client.call(luxi.QueryConfigValues(["x"])) == 7
        client.close()
    assert requests == ["QueryClusterInfo", "QueryConfigValues"]


def test_a_closed_connection_is_opened_anew(tmp_path):
    path = str(tmp_path / "sock")
    with master(path, [OK], [OK]):
        client = luxi.Client(path)
        assert client.call(luxi.QueryClusterInfo()) == 7
        client._sock.settimeout(10)
        assert client._sock.recv(1, socket.MSG_PEEK) == b""  # the master has closed
        assert client.call(luxi.QueryClusterInfo()) == 7
        client.close()


def test_a_query_is_sent_again_a_submission_is_not(tmp_path):
    for call, expected in ((luxi.QueryClusterInfo(), 7), (luxi.SubmitJob([]), None)):
        path = str(tmp_path / f"sock{expected}")
        conversations = [[OK, None], [OK]] if expected else [[OK, None]]
        with master(path, *conversations) as requests:
            client = luxi.Client(path)
            client.call(luxi.QueryConfigValues([]))
            if expected:
                assert client.call(call) == expected
            else:
                with pytest.raises(errors.ConnectionClosed):
                    client.call(call)
            client.close()
        assert requests.count(type(call).__name__) == (2 if expected else 1)


@pytest.mark.parametrize("more", [STALE, b" ", STALE[:5], STALE * 2])
def test_a_surplus_answer_is_not_taken_for_that_of_the_next_call(tmp_path, more):
    path = str(tmp_path / "sock")
    with master(path, [OK], [OK]) as requests:
        client = luxi.Client(path)
        assert client.call(luxi.QueryClusterInfo()) == 7
        client._sock.close()
        client._sock, other = socket.socketpair()
        other.sendall(more)  # late: after the answer was read
        assert client.call(luxi.QueryClusterInfo()) == 7
        client.close()
        other.close()
    assert len(requests) == 2


@pytest.mark.parametrize("more", [STALE, STALE[:5], STALE * 2])
@pytest.mark.parametrize(
    "call, repeated", [(luxi.QueryClusterInfo(), True), (luxi.SubmitJob([]), False)]
)
def test_an_answer_followed_by_another_is_refused(tmp_path, more, call, repeated):
    path = str(tmp_path / "sock")
    with master(path, [OK, STALE + more], *[[OK]] * repeated) as requests:
        client = luxi.Client(path)
        assert client.call(luxi.QueryConfigValues([])) == 7
        if repeated:
            assert client.call(call) == 7
        else:
            with pytest.raises(errors.ConnectionClosed, match="more answers"):
                client.call(call)
        client.close()
    assert requests.count(type(call).__name__) == 1 + repeated


def test_a_master_that_hangs_up_after_its_answer_has_answered(tmp_path):
    path = str(tmp_path / "sock")
    with master(path, [OK], [OK]):
        client = luxi.Client(path)
        assert [client.call(luxi.QueryClusterInfo()) for _ in range(2)] == [7, 7]
        client.close()


def test_a_silent_master_is_a_timeout(tmp_path):
    path = str(tmp_path / "sock")
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()
    with pytest.raises(errors.Timeout):
        luxi.Client(path, call_timeout=0.01).call(luxi.QueryClusterInfo())
    server.close()


def test_connecting_without_a_master_fails(tmp_path):
    with pytest.raises(errors.NoMaster):
        luxi.Client(str(tmp_path / "none")).call(luxi.QueryClusterInfo())


def test_a_path_longer_than_an_address_can_be_connected_to(tmp_path):
    directory = tmp_path / ("x" * 100) / ("y" * 100)
    directory.mkdir(parents=True)
    path = str(directory / "socket")
    server = socket.socket(socket.AF_UNIX)
    with io.short_socket_path(path) as short:
        server.bind(short)
    server.listen()
    luxi.connect(path, 5).close()
    server.close()


def test_a_master_with_a_full_accept_queue_is_waited_for(tmp_path):
    path = str(tmp_path / "sock")
    with socket.socket(socket.AF_UNIX) as server, ThreadPoolExecutor() as threads:
        server.bind(path)
        server.listen(0)
        first = luxi.connect(path, 5)  # the queue holds one connection that is not accepted
        with pytest.raises(errors.Timeout):
            luxi.connect(path, 0.01)
        second = threads.submit(luxi.connect, path, 60.0)
        for _ in range(2):
            server.accept()[0].close()
        second.result(60).close()
        first.close()


def test_a_call_that_is_begun_is_answered_later(tmp_path):
    path = str(tmp_path / "sock")
    with master(path, [OK, None], [OK]) as requests:
        client = luxi.Client(path)
        assert luxi.parse_reply(client.begin(luxi.QueryClusterInfo())()).result == 7
        assert client.begin(luxi.QueryClusterInfo())() == OK[:-1]  # on a second connection
        client.close()
    assert requests == ["QueryClusterInfo"] * 3


def test_a_submission_that_is_begun_is_not_sent_again(tmp_path):
    path = str(tmp_path / "sock")
    with master(path, [OK, None]):
        client = luxi.Client(path)
        client.call(luxi.QueryConfigValues([]))
        finish = client.begin(luxi.SubmitJob([]))
        with pytest.raises(errors.ConnectionClosed):
            finish()
        client.close()
