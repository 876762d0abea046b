"""Natural order of names; unique words."""

import errno
import os
import socket

import pytest

from ganeti.utils import text


@pytest.mark.parametrize(
    "names",
    [
        ["node1", "node2", "node10"],
        ["a", "a1", "a1b", "a1b2", "a1b10", "b"],
        ["1", "2", "10", "x"],
        ["a01", "a1", "a02", "a2"],
        ["", "0", "00", "a"],
    ],
)
def test_names_come_in_the_order_of_their_numbers(names):
    assert text.nice_sorted(names[::-1]) == names


def test_a_very_long_number_is_only_compared():
    assert text.nice_key("a" + "9" * 6000) > text.nice_key("a" + "8" * 6000)


def test_keys_of_any_two_names_compare():
    names = ["1a", "a1", "", "é", "1", "1.1", "1-1"]
    assert sorted(text.nice_sorted(names)) == sorted(names)


def test_words_are_used_once():
    one, other = text.unique_words(), text.unique_words()
    words = [make() for make in (one, other) for _ in range(1000)]
    assert len(set(words)) == 2000 and {len(word) for word in words} == {16}
    assert all(word.isalnum() and word.isascii() for word in words)


def raised_by(function, *arguments):
    try:
        function(*arguments)
    except OSError as err:
        return err
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    "err, words",
    [
        (raised_by(open, "/nonexistent/file"), "/nonexistent/file: No such file or directory"),
        (raised_by(open, b"/nonexistent/file"), "/nonexistent/file: No such file or directory"),
        (
            raised_by(os.rename, "/nonexistent/a", "/b"),
            "/nonexistent/a -> /b: No such file or directory",
        ),
        (OSError(errno.EADDRINUSE, "Address already in use"), "Address already in use"),
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "Name or service not known",
        ),
        (TimeoutError("timed out"), "timed out"),
        (OSError(), "OSError"),
    ],
)
def test_an_os_error_is_told_without_its_number(err, words):
    assert text.describe_os_error(err) == words
