"""Strict parsing of clients' JSON, lenient parsing of luxid's."""

import random

import pytest

from ganeti import serializer


@pytest.mark.parametrize(
    "text, value",
    [
        (b'{"a": [1, 2.5, null]}', {"a": [1, 2.5, None]}),
        (b" 2 ", 2),
        ('"é"', "é"),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b"9223372036854775807", 2**63 - 1),
        (b"-9223372036854775808", -(2**63)),
    ],
)
def test_strict_reading_accepts_valid_json(text, value):
    assert serializer.loads(text) == value


@pytest.mark.parametrize(
    "text, words",
    [
        (b"{", "line 1"),
        (b"", "line 1"),
        (b"[1,]", "line 1"),
        (b"NaN", "NaN"),
        (b"-Infinity", "Infinity"),
        (b'{"a":1,"a":2}', "'a'"),
        (b"1" * 30, "digits"),
        (b"1" * 20, "20 digits"),
        (b"-" + b"1" * 20, "20 digits"),
        (b"1e999", "large"),
        (b"[" * 100 + b"]" * 100, "nested"),
        (b"\xff", "UTF-8"),
        (b'"\\ud800"', "surrogate"),
        (b'{"a":"\x01"}', "Invalid control"),
    ],
)
def test_strict_reading_refuses_and_says_why(text, words):
    with pytest.raises(serializer.ParseError, match=words):
        serializer.loads(text)


def test_brackets_in_strings_are_no_nesting():
    text = '"' + "[" * 100 + '\\""'
    assert serializer.loads(text) == "[" * 100 + '"'


PIECES = ["[", "]", "{", "}", '"', "\\", '\\"', "a", " ", "[" * 9, "]" * 9]


@pytest.mark.parametrize("seed", range(500))
def test_brackets_are_counted_as_they_stand(seed):
    chance = random.Random(seed)
    text = "".join(chance.choices(PIECES, k=chance.randrange(40)))
    depth, deepest, inside, escaped = 0, 0, False, False
    for char in text:
        if inside:
            inside, escaped = escaped or char != '"', char == "\\" and not escaped
        elif char == '"':
            inside = True
        else:
            depth += (char in "[{") - (char in "]}")
            deepest = max(deepest, depth)
    try:
        serializer._check_depth(text)
    except serializer.ParseError:
        assert deepest > serializer.MAX_DEPTH
    else:
        assert deepest <= serializer.MAX_DEPTH


def test_deep_nesting_is_refused_quickly_however_deep():
    with pytest.raises(serializer.ParseError):
        serializer.loads(b"[" * 1_000_000)


def test_lenient_reading_accepts_bad_bytes_and_control_characters():
    assert serializer.loads_lenient(b'{"a": "\xe9\x01"}') == {"a": "\ufffd\x01"}


@pytest.mark.parametrize(
    "text",
    [
        b"NaN",
        b"[Infinity]",
        b'{"a": -Infinity}',
        b"[1e999]",
        b"[-1E400]",
        b"9" * 5000,
        b"[" * 100_000,
    ],
)
def test_a_peer_cannot_send_what_could_not_be_written_again(text):
    with pytest.raises(serializer.ParseError):
        serializer.loads_lenient(text)
    with pytest.raises(serializer.ParseError):
        serializer.loads_lenient(b"nonsense")


def test_json_is_written_as_one_line_of_ascii():
    assert serializer.dumps({"é": "\n"}) == '{"\\u00e9":"\\n"}'
    assert serializer.dump_bytes([1]) == b"[1]\n"
    with pytest.raises(ValueError):
        serializer.dumps(float("nan"))


def test_an_object_is_written_with_the_objects_that_it_holds():
    class Point:
        def __init__(self, x, next_):
            self.x, self.next = x, next_

    assert serializer.dumps_object(Point(1, [Point(2, None)])) == (
        '{"x":1,"next":[{"x":2,"next":null}]}'
    )
