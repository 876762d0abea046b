"""Pages of other origins: which may ask, and which only read."""

import pytest

from ganeti.http.cors import Cors, is_origin
from ganeti.http.message import Headers, Request

PAGE = "https://page.example.com"
ALLOW = "Access-Control-Allow-Origin"


def request(method="GET", origin=PAGE, host="rapi.example.com:5080", **more):
    fields = [(name.replace("_", "-"), value) for name, value in more.items()]
    fields += [] if origin is None else [("Origin", origin)]
    return Request(method, "/", headers=Headers(fields), host=host)


@pytest.mark.parametrize("text", ["*", PAGE, "http://a:80", "https://[::1]:8443", "https://a-b.c"])
def test_an_origin_is_recognized(text):
    assert is_origin(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "https://",
        PAGE + "/",
        "ftp://a",
        "https://A",
        "https://a:port",
        "https://a b",
        "null",
        "https://*.a",
        "https://a\r\nX: y",
    ],
)
def test_other_text_is_not_an_origin(text):
    assert not is_origin(text)


def test_no_origin_is_allowed_by_default():
    assert Cors().headers(request().headers) == []
    assert Cors().preflight(request(Access_Control_Request_Method="PUT"), ["PUT"]) == []


def test_an_allowed_origin_may_read_answers():
    lines = dict(Cors([PAGE]).headers(request().headers))
    assert lines[ALLOW] == PAGE and lines["Access-Control-Allow-Credentials"] == "true"
    assert lines["Vary"] == "Origin" and "ETag" in lines["Access-Control-Expose-Headers"]


def test_another_origin_and_none_get_no_allowance():
    for origin in ("https://page.example.com:444", "http://page.example.com", "null", None):
        assert Cors([PAGE]).headers(request(origin=origin).headers) == [("Vary", "Origin")]


def test_every_origin_is_allowed_without_remembered_credentials():
    lines = dict(Cors(["*"]).headers(request().headers))
    assert lines[ALLOW] == "*" and "Access-Control-Allow-Credentials" not in lines


def test_a_preflight_of_an_allowed_origin_is_answered():
    asked = request("OPTIONS", Access_Control_Request_Method="PUT")
    lines = dict(Cors([PAGE]).preflight(asked, ["PUT", "OPTIONS"]))
    assert lines["Access-Control-Allow-Methods"] == "PUT, OPTIONS"
    assert "Authorization" in lines["Access-Control-Allow-Headers"]
    assert Cors([PAGE]).preflight(request("OPTIONS"), ["PUT"]) == []
    assert Cors(["https://a"]).preflight(asked, ["PUT"]) == []


@pytest.mark.parametrize(
    ("method", "origin", "expected"),
    [
        ("POST", PAGE, True),
        ("PUT", "null", True),
        ("DELETE", "http://rapi.example.com", True),
        ("GET", PAGE, False),
        ("HEAD", PAGE, False),
        ("OPTIONS", PAGE, False),
        ("POST", None, False),
        ("POST", "https://rapi.example.com:5080", False),
        ("POST", "https://ours", False),
    ],
)
def test_a_change_for_a_foreign_page_is_recognized(method, origin, expected):
    assert Cors(["https://ours"]).is_foreign(request(method, origin)) is expected


def test_a_page_without_tls_is_not_ours_where_we_have_it():
    for secure in (True, False):
        cors = Cors([], secure=secure)
        assert cors.is_foreign(request("POST", "http://rapi.example.com:5080")) is secure
        assert cors.is_foreign(request("POST", "https://rapi.example.com:5080")) is False


@pytest.mark.parametrize(
    ("method", "media_type", "expected"),
    [
        ("POST", None, True),
        ("POST", "text/plain", True),
        ("POST", "application/json", False),
        ("POST", "Application/JSON; charset=utf-8", False),
        ("PUT", None, False),
        ("DELETE", None, False),
        ("GET", None, False),
    ],
)
def test_with_every_origin_allowed_a_change_needs_a_preflight(method, media_type, expected):
    fields = {} if media_type is None else {"Content_Type": media_type}
    assert Cors(["*"]).is_foreign(request(method, **fields)) is expected
    assert Cors(["*", PAGE]).is_foreign(request(method, **fields)) is False
    assert Cors(["*"]).is_foreign(request(method, "https://rapi.example.com:5080")) is False
