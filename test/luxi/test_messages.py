"""LUXI messages: framing wherever the stream is cut, requests, answers."""

import pytest

from ganeti import errors, luxi, serializer
from ganeti.luxi import RequestContext


def test_messages_are_the_same_wherever_the_stream_is_cut():
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


def test_a_request_has_the_form_of_ganetis_own_clients():
    message = serializer.loads(luxi.request(luxi.QueryTags("node", "n"))[:-1])
    assert message == {"method": "QueryTags", "args": ["node", "n"], "version": 3000000}


def test_the_context_is_sent_beside_the_arguments():
    context = RequestContext("admin", "r1")
    message = serializer.loads(luxi.request(luxi.QueryClusterInfo(), context)[:-1])
    assert message["context"] == {"user": "admin", "request_id": "r1"}


def test_an_answer_is_its_result_or_raises_its_error():
    assert luxi.parse_answer(b'{"success": 1, "result": [2], "more": 1}') == [2]
    with pytest.raises(errors.JobLost, match="gone"):
        luxi.parse_answer(b'{"success": false, "result": ["JobLost", ["gone"]]}')
    with pytest.raises(errors.RequestError, match="what"):
        luxi.parse_answer(b'{"success": false, "result": "what"}')
    with pytest.raises(errors.LuxiError, match="mismatch"):
        luxi.parse_answer(b'{"success": true, "result": 1, "version": 2}')


@pytest.mark.parametrize(
    "result",
    [
        b'["OpPrereqError", [["x"], {}]]',
        b'["OpPrereqError", ["x", {}]]',
        b'["OpPrereqError", [null]]',
        b'["GenericError", [{"a": 1}]]',
        b'["JobLost", [5]]',
        b'["TagError", [[]]]',
    ],
)
def test_a_malformed_error_is_a_request_error(result):
    with pytest.raises(errors.RequestError):
        luxi.parse_answer(b'{"success": false, "result": ' + result + b"}")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"success": true}',
        b"\xff",
        b'{"success": true, "result": NaN}',
        b'{"success": true, "result": [1e999]}',
        b'{"success": NaN, "result": 1}',
        b'{"success": true, "result": -Infinity}',
        b'{"success": true, "result": ' + b"[" * 10**5,
    ],
)
def test_a_malformed_answer_is_a_protocol_error(data):
    with pytest.raises(errors.ProtocolError):
        luxi.parse_answer(data)
