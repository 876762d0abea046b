"""The master's socket: every request gets an answer, in order, however it arrives."""

import os
import socket
import stat

import pytest

from ganeti import luxi, opcodes, serializer
from ganeti.server import luxi_server
from support.master import PATIENCE, MasterScene


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    made = MasterScene(tmp_path_factory.mktemp("luxid"))
    yield made
    made.close()


@pytest.fixture
def raw(scene):
    with scene.connect() as sock:
        sock.settimeout(PATIENCE)
        yield sock


def answers(sock, count):
    splitter, found = luxi.Splitter(), []
    while len(found) < count:
        data = sock.recv(65536)
        assert data, f"closed after {len(found)} answers"
        found += [serializer.loads(message) for message in splitter.feed(data)]
    return found


def ask(*names):
    return luxi.request(luxi.QueryConfigValues(list(names)))


def test_requests_in_one_piece_are_answered_in_order(raw):
    raw.sendall(ask("cluster_name") + ask("master_node") + ask("nosuch"))
    assert [answer["result"] for answer in answers(raw, 3)] == [
        ["cluster.example.com"],
        ["node1.example.com"],
        [None],
    ]


def test_a_request_may_come_byte_by_byte(raw):
    for at in range(len(message := ask("cluster_name"))):
        raw.sendall(message[at : at + 1])
    assert answers(raw, 1) == [{"success": True, "result": ["cluster.example.com"]}]


def test_answers_are_ascii_and_carry_no_version(raw):
    raw.sendall(ask("cluster_name"))
    data = raw.recv(65536)
    assert data.isascii() and b"version" not in data and data.endswith(luxi.EOM)


def test_half_a_close_after_a_request_still_gets_its_answer(raw):
    raw.sendall(ask("cluster_name"))
    raw.shutdown(socket.SHUT_WR)
    assert answers(raw, 1)[0]["success"]
    assert raw.recv(10) == b""


@pytest.mark.parametrize(
    "message, words",
    [
        (b"nonsense", "Expecting value"),
        (b"[]", "an object"),
        (b"{}", "unknown method"),
        (b'{"method": "NoSuch", "args": []}', "NoSuch"),
        (b'{"method": "QueryTags"}', "takes 2"),
        (b'{"method": "CancelJob", "args": ["x"]}', "job id"),
        (b"\xff{", "UTF-8"),
        (b'{"method": "SubmitJob", "args": [[{"OP_ID": 1, "OP_ID": 2}]]}', "twice"),
    ],
)
def test_what_cannot_be_read_is_answered_and_ends_the_connection(raw, message, words):
    raw.sendall(message + luxi.EOM)
    (answer,) = answers(raw, 1)
    assert answer["success"] is False and words in answer["result"]
    assert answer["result"].startswith("Failed to parse request: ")
    assert raw.recv(10) == b""


def test_any_other_error_keeps_the_connection(raw):
    raw.sendall(luxi.request(luxi.QueryTags("instance", "nosuch")) + ask("cluster_name"))
    first, second = answers(raw, 2)
    assert first["result"][0] == "OpPrereqError" and second["success"]


def test_members_beside_the_call_are_passed_over(raw):
    raw.sendall(
        b'{"method": "QueryConfigValues", "args": [["cluster_name"]], "version": "x", '
        b'"more": 1, "context": {"user": "admin"}}\n' + luxi.EOM
    )
    assert answers(raw, 1)[0]["success"]


# -- the socket ----------------------------------------------------------------------------


def test_a_socket_that_somebody_serves_is_left_alone(scene, tmp_path):
    path = str(tmp_path / "s")
    with luxi_server.listen(path) as sock:
        inode = os.stat(path).st_ino
        with pytest.raises(
            luxi_server.LuxiSocketError, match=rf"\(pid {os.getpid()}\) serves {path}"
        ):
            luxi_server.listen(path)
        assert os.stat(path).st_ino == inode
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o660 and sock.getblocking() is False
    luxi_server.listen(path).close()


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.touch(),
        lambda path: path.mkdir(),
        os.mkfifo,
        lambda path: path.symlink_to("/nonexistent"),
    ],
)
def test_what_is_no_socket_is_not_removed(tmp_path, make):
    make(tmp_path / "s")
    before = os.lstat(tmp_path / "s")
    with pytest.raises(luxi_server.LuxiSocketError, match="is not a socket; move it away"):
        luxi_server.listen(str(tmp_path / "s"))
    assert os.lstat(tmp_path / "s") == before


# -- waiting for a job -------------------------------------------------------------------


def delay(seconds=3600.0):
    return opcodes.OpTestDelay(duration=seconds)


def test_a_final_job_is_answered_at_once(scene):
    job = scene.wait(scene.submit(delay(0.001)))
    wait = luxi.WaitForJobChange(str(job.id), ["status", "id"], ["success", job.id], None, 60)
    values, log = scene.call(wait)
    assert values == ["success", job.id]
    assert [entry[0] for entry in log] == list(range(1, len(log) + 1))


def test_many_waits_in_one_piece_are_all_answered(scene, raw):
    job = scene.wait(scene.submit(delay(0.001)))
    raw.sendall(luxi.request(luxi.WaitForJobChange(job.id, ["id"], None, 10**9, 60)) * 2000)
    assert [answer["result"] for answer in answers(raw, 2000)] == [[[job.id], []]] * 2000


def test_waiting_for_a_field_that_does_not_exist_tells_nothing(scene):
    job = scene.wait(scene.submit(delay(0.001)))
    wait = luxi.WaitForJobChange(job.id, ["status", "nosuch"], None, None, 60)
    assert scene.call(wait) == [[None, None], []]
    wait = luxi.WaitForJobChange(job.id, [], [], 0, 60)
    assert scene.call(wait)[0] == []


def test_a_change_ends_the_wait_and_a_close_forgets_it(scene, raw):
    job_id = scene.submit(delay())
    values = None
    while values != ["running"]:
        values, _ = scene.call(luxi.WaitForJobChange(job_id, ["status"], values, 10**9, 60))
    raw.sendall(luxi.request(luxi.WaitForJobChange(job_id, ["status"], values, 10**9, 60)))
    with scene.connect() as gone:
        gone.sendall(luxi.request(luxi.WaitForJobChange(job_id, ["status"], values, 10**9, 60)))
    assert scene.call(luxi.CancelJob(job_id))[0] is True
    assert answers(raw, 1)[0]["result"][0][0] in ("canceling", "canceled")
    assert scene.wait(job_id).status == "canceled"


def test_a_wait_that_sees_nothing_answers_what_was_known(scene):
    job_id = scene.submit(delay())
    scene.call(luxi.WaitForJobChange(job_id, ["status"], ["queued"], None, 60))
    now = None
    while now != ["running"]:
        now = scene.call(luxi.WaitForJobChange(job_id, ["status"], now, 10**9, 60))[0]
    assert scene.call(luxi.WaitForJobChange(job_id, ["status"], now, 10**9, 0)) == [now, []]
    scene.call(luxi.CancelJob(job_id))


def test_waiting_for_an_unknown_job_is_refused(scene, raw):
    raw.sendall(luxi.request(luxi.WaitForJobChange(999999, ["status"], None, None, 60)))
    assert answers(raw, 1)[0]["result"][0] == "JobLost"


def test_a_thousand_waiting_clients_hold_no_thread(scene):
    import threading

    job_id = scene.submit(delay())
    now = None
    while now != ["running"]:
        now = scene.call(luxi.WaitForJobChange(job_id, ["status"], now, 10**9, 60))[0]
    before = threading.active_count()
    clients = [scene.connect() for _ in range(300)]
    for client in clients:
        client.sendall(luxi.request(luxi.WaitForJobChange(job_id, ["status"], now, 10**9, 60)))
    assert scene.call(luxi.QueryConfigValues(["cluster_name"])) == ["cluster.example.com"]
    assert threading.active_count() <= before + 8
    scene.call(luxi.CancelJob(job_id))
    for client in clients:
        client.settimeout(PATIENCE)
        assert answers(client, 1)[0]["success"]
        client.close()
