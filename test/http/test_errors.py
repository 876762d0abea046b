"""Error responses as values."""

import pytest

from ganeti.http import errors
from ganeti.http.message import REASONS

CLASSES = sorted(errors.HttpError.__subclasses__(), key=lambda cls: (cls.code, cls.__name__))


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_object_has_code_message_and_explanation(cls):
    found = cls().as_object()
    assert found == {"code": cls.code, "message": REASONS[cls.code], "explain": cls.standard}
    assert cls.standard


def test_every_status_has_one_class():
    codes = [cls.code for cls in CLASSES]
    assert len(set(codes)) == len(codes)
    assert {
        400,
        401,
        403,
        404,
        409,
        413,
        414,
        415,
        417,
        422,
        429,
        431,
        500,
        501,
        502,
        503,
        504,
        505,
    } <= set(codes)


def test_messages_are_plain_text():
    found = errors.BadRequest("<b> & 'x'").as_object()
    assert found["message"] == "<b> & 'x'"


def test_not_found_always_has_the_message_that_clients_compare():
    found = errors.NotFound(detail="instance 'web'").as_object()
    assert found == {
        "code": 404,
        "message": "Not Found",
        "explain": "Nothing matches the given URI",
        "detail": "instance 'web'",
    }


def test_a_missing_method_is_answered_with_those_allowed():
    err = errors.NotImplementedMethod("no", allow=["GET", "HEAD"])
    assert err.headers == [("Allow", "GET, HEAD")]
    assert errors.NotImplementedMethod("no").headers == []


@pytest.mark.parametrize("cls", [errors.ServiceUnavailable, errors.TooManyRequests])
def test_a_temporary_refusal_has_retry_after(cls):
    assert cls("full", retry_after=30).headers == [("Retry-After", "30")]
    assert cls("full").headers == []


def test_an_error_prints_its_message():
    assert str(errors.Conflict("it runs")) == "it runs"
