"""LUXI: framing that survives any cut, calls as dataclasses, the client's manners."""

import contextlib
import socket
import threading

import pytest

from ganeti import errors, luxi


# -- framing ----------------------------------------------------------------------

def test_messages_survive_any_cut():
    stream = luxi.pack({"a": "é"}) + b'{"b": 1}\n' + luxi.EOM + luxi.pack({})
    whole = list(luxi.Splitter().feed(stream))
    for cut in range(len(stream)):
        splitter = luxi.Splitter()
        assert [*splitter.feed(stream[:cut]), *splitter.feed(stream[cut:])] == whole
        assert not splitter.pending
    assert len(whole) == 3


def test_a_message_without_end_is_refused():
    splitter = luxi.Splitter(limit=10)
    list(splitter.feed(b"1234567890"))
    assert splitter.pending
    with pytest.raises(errors.ProtocolError, match="longer than 10"):
        list(splitter.feed(b"1"))


# -- calls ------------------------------------------------------------------------

def test_a_call_is_the_same_after_the_wire():
    call = luxi.WaitForJobChange("25", ["status"], None, 3, 60)
    assert luxi.WaitForJobChange.from_args(call.to_args()) == call
    assert luxi.CancelJob.from_args([5]) == luxi.CancelJob(5, False)


@pytest.mark.parametrize("call, args, words", [
    (luxi.SubmitJob, [], "ops is missing"), (luxi.SubmitJob, None, "takes 1 arguments"),
    (luxi.SubmitJob, [[], 1], "takes 1 arguments"), (luxi.SubmitJob, [["x"]], "ops must be"),
    (luxi.CancelJob, ["abc"], "job_id must be a job id"), (luxi.QueryTags, ["group", ""], "kind"),
    (luxi.QueryNodes, [["a"], ["name"]], "lock is missing")])
def test_wrong_arguments_are_named(call, args, words):
    with pytest.raises(ValueError, match=words):
        call.from_args(args)


@pytest.mark.parametrize("value, number", [
    (25, 25), ("25", 25), (25.0, 25), ("abc", None), ("25 ", None), (25.5, None), (-1, None),
    (True, None), ("٣", None), (None, None), ("9" * 19, None)])
def test_job_ids_come_in_several_forms(value, number):
    assert luxi.parse_job_id(value) == number


def test_a_request_has_the_form_of_ganetis_own_clients():
    message = luxi.serializer.loads(luxi.request(luxi.QueryTags("node", "n"))[:-1])
    assert message == {"method": "QueryTags", "args": ["node", "n"], "version": 3000000}


def test_who_asks_travels_beside_the_call():
    context = luxi.Context("admin", "r1")
    message = luxi.serializer.loads(luxi.request(luxi.QueryClusterInfo(), context)[:-1])
    assert message["context"] == {"user": "admin", "request_id": "r1"}
    assert luxi.Context.from_wire(message["context"]) == context
    assert luxi.Context.from_wire({"user": 3, "more": "x"}) == luxi.Context.from_wire(None)


# -- answers ------------------------------------------------------------------------

def test_answers():
    assert luxi.parse_answer(b'{"success": 1, "result": [2], "more": 1}') == [2]
    with pytest.raises(errors.JobLost, match="gone"):
        luxi.parse_answer(b'{"success": false, "result": ["JobLost", ["gone"]]}')
    with pytest.raises(errors.RequestError, match="what"):
        luxi.parse_answer(b'{"success": false, "result": "what"}')
    with pytest.raises(errors.LuxiError, match="mismatch"):
        luxi.parse_answer(b'{"success": true, "result": 1, "version": 2}')


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"success": true}', b"\xff"])
def test_an_answer_without_sense_is_a_protocol_error(data):
    with pytest.raises(errors.ProtocolError):
        luxi.parse_answer(data)


# -- the client -----------------------------------------------------------------------

OK = b'{"success": true, "result": 7}\x03'


@contextlib.contextmanager
def master(path, *conversations):
    """A server that gives each connection its answers; None closes unanswered."""
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
                    requests.append(luxi.serializer.loads(data[:-1])["method"])
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
        assert client._sock.recv(1, socket.MSG_PEEK) == b""     # the master has closed
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


def test_a_silent_master_is_a_timeout(tmp_path):
    path = str(tmp_path / "sock")
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()
    with pytest.raises(errors.Timeout):
        luxi.Client(path, call_timeout=0.01).call(luxi.QueryClusterInfo())
    server.close()


def test_nobody_there(tmp_path):
    with pytest.raises(errors.NoMaster):
        luxi.Client(str(tmp_path / "none")).call(luxi.QueryClusterInfo())


def test_a_path_longer_than_an_address(tmp_path):
    directory = tmp_path / ("x" * 100) / ("y" * 100)
    directory.mkdir(parents=True)
    path = str(directory / "socket")
    server = socket.socket(socket.AF_UNIX)
    from ganeti.utils import io
    with io.short_socket_path(path) as short:
        server.bind(short)
    server.listen()
    luxi.connect(path, 5).close()
    server.close()
