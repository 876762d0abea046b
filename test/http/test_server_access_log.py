"""The entries of the access log, whatever a client sends."""

import json
import logging

import pytest

from ganeti.http.message import Request, Response
from ganeti.http.server import AccessLogEntry, shorten_target
from ganeti.utils import log
from support.http import running

SEEN = AccessLogEntry(
    "192.0.2.1",
    4242,
    Request("PUT", "/2/tags?tag=x", "/2/tags"),
    Response(200, b"17\n", user="admin", request_id="r1", log_id="n1", job_id=17),
    0.0123456,
)
UNREAD = AccessLogEntry("::1", 7, None, Response(400, b"{}"), 0.0)


def test_the_text_line_is_ganetis_own():
    assert SEEN.line() == "192.0.2.1:4242 PUT /2/tags?tag=x HTTP/1.1 200"
    assert UNREAD.line() == "::1:7 - 400"


def test_fields_hold_all_that_is_known():
    assert SEEN.fields() == {
        "client": "192.0.2.1",
        "port": 4242,
        "user": "admin",
        "method": "PUT",
        "target": "/2/tags?tag=x",
        "status": 200,
        "bytes": 3,
        "whole": True,
        "seconds": 0.012346,
        "job": 17,
        "request_id": "r1",
        "id": "n1",
    }
    assert UNREAD.fields() == {
        "client": "::1",
        "port": 7,
        "user": None,
        "method": None,
        "target": None,
        "status": 400,
        "bytes": 2,
        "whole": True,
        "seconds": 0.0,
        "job": None,
        "request_id": None,
        "id": None,
    }


def test_a_long_target_is_cut_and_marked():
    for size, shown in ((512, 512), (513, 512 + len("...[+1]")), (8192, 512 + len("...[+7680]"))):
        found = AccessLogEntry("::1", 7, Request("GET", "/" * size, "/"), Response(404), 0.0)
        assert len(found.fields()["target"]) == shown
        assert found.line().split(" ")[1:] == [
            "GET",
            found.fields()["target"],
            "HTTP/1.1",
            "404",
        ]
    assert found.fields()["target"].endswith("//...[+7680]")


def test_an_id_of_ours_is_both_ids():
    found = AccessLogEntry("::1", 7, None, Response(400, request_id="r1"), 0.0)
    assert found.fields()["id"] == found.fields()["request_id"] == "r1"


def test_an_answer_that_broke_off_is_marked():
    part = AccessLogEntry("::1", 7, Request("GET", "/2", "/2"), Response(200, whole=False), 0.0)
    assert part.line() == "::1:7 GET /2 HTTP/1.1 200 (a part)"
    assert part.fields()["whole"] is False


def test_an_answer_to_head_has_no_bytes():
    head = AccessLogEntry("::1", 7, Request("HEAD", "/2", "/2"), Response(200, b"{}"), 0.0)
    assert head.fields()["bytes"] == 0


def lines_of(found):
    """Return an entry as it is logged, as text and as JSON."""
    text = log.OneLineFormatter(log.FORMAT.format(program="ganeti-rapi"))
    one = logging.LogRecord("x", logging.INFO, "", 0, "%s", (found.line(),), None)
    other = logging.LogRecord("x", logging.INFO, "", 0, "", (), None)
    other.fields = found.fields()
    return text.format(one), log.JsonFormatter("ganeti-rapi").format(other)


NASTY = [bytes([code]).decode("latin-1") for code in range(256)] + [
    "\u2028",
    "\u2029",
    "\x1b[31m",
    "\r\n2026-01-01 00:00:00,000: root",
    "x" * 9000,
    "\ud800",
]


@pytest.mark.parametrize("where", ["method", "target", "user", "request_id"])
def test_an_access_makes_one_line_whatever_is_in_it(where):
    for text in NASTY:
        words = {"method": "GET", "target": "/", "user": "u", "request_id": "r", where: text}
        found = AccessLogEntry(
            "192.0.2.1",
            1,
            Request(words["method"], words["target"]),
            Response(200, b"", user=words["user"], request_id=words["request_id"]),
            0,
        )
        line, record = lines_of(found)
        assert len(line.splitlines()) == 1 and "\x1b" not in line
        assert record.isascii() and record.isprintable() and len(record.splitlines()) == 1
        assert json.loads(record)[where] == (shorten_target(text) if where == "target" else text)


def test_every_byte_sent_makes_one_line():
    with running(lambda _: Response(200)) as web:
        for code in range(256):
            client = web.connect().send(
                b"GET /x" + bytes([code]) + b" HTTP/1.1\r\nHost: a\r\n"
                b"Authorization: Basic c2VjcmV0\r\n\r\n"
            )
            client.answer()
            client.close()
            for line in lines_of(web.access()):
                assert len(line.splitlines()) == 1 and "c2VjcmV0" not in line
