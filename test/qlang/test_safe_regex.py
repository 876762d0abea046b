"""Patterns of strangers: which are taken, which could run for minutes."""

import re

import pytest

from ganeti.qlang import safe_regex


@pytest.mark.parametrize(
    "text",
    [
        "",
        "^web",
        "^inst[^.]*(\\..*)?$",
        "^(web|db|app)[0-9]{2}\\.dc1",
        "^(\\d{1,3}\\.){3}\\d+$",
        "(?i)WEB",
        "(?:ab)+",
        "((a)b)*",
        "[]a]+",
        "[^]]*",
        "[a\\]b]",
        "{}",
        "a{b",
        "x{3}y{,4}z{2,}",
        "a*.*b*",
        "|".join(["a.*"] * 8),
        "(?P<host>[a-z]+)",
        "(?<!a)b",
        "a.*?b",
        "(?s:a.)",
        "()",
    ],
)
def test_patterns_that_people_write_are_taken(text):
    assert safe_regex.read(text).pattern == text


@pytest.mark.parametrize(
    "text",
    ["(a+)+$", "(a|a)*b", "(a?)+", "(aa?)*", "((a)|b)+", "(?:a{1,9}){2,}", "(?=a+)*", "([ab]*)*"],
)
def test_a_choice_repeated_without_end_is_refused(text):
    with pytest.raises(ValueError, match="choice within a repetition"):
        safe_regex.read(text)


@pytest.mark.parametrize(
    "text", ["a?" * 30, "(a|b)" * 30, ".*.*.*.*", "(a?){30}", "(a|b){1,1000}", "(x*|y)(.*)a+b+"]
)
def test_many_choices_are_refused(text):
    with pytest.raises(ValueError, match="too many"):
        safe_regex.read(text)


@pytest.mark.parametrize(
    "text", ["(a)\\1", "(?P<x>a)(?P=x)", "(?x)a b", "(?#note)", "(a)(?(1)b|c)"]
)
def test_references_and_the_like_are_refused(text):
    with pytest.raises(ValueError, match="not allowed"):
        safe_regex.read(text)


@pytest.mark.parametrize("text", ["(", "a{2}{3}", "*a", "[a", "\\", "(?P<1>a)"])
def test_what_is_no_pattern_is_refused_in_words(text):
    with pytest.raises(ValueError, match="cannot be read"):
        safe_regex.read(text)


def test_what_pcre_writes_otherwise():
    for text, good, bad in (
        ("^web[[:digit:]]+$", "web17", "webx"),
        ("^[^[:alpha:]_]$", "1", "a"),
        (r"^[\][:upper:]]$", "]", "a"),
        (r"^\Qa.b*\E+$", "a.b**", "axb"),
        (r"^\Qa.", "a.", "ab"),
        ("^(?<kind>web|db)[[:punct:]]", "web-1", "web1"),
        ("(?<=a)b", "ab", "b"),
    ):
        found = safe_regex.read(text)
        assert found.search(good) and not found.search(bad), text
    with pytest.raises(ValueError, match="unknown name, nosuch"):
        safe_regex.read("[[:nosuch:]]")


def glob(text):
    """As ``utils.DnsNameGlobPattern``."""
    return (
        "^"
        + "".join({"*": "[^.]*", "?": "[^.]"}.get(char, re.escape(char)) for char in text)
        + r"(\..*)?$"
    )


@pytest.mark.parametrize(
    "text, good, bad",
    [
        ("*ance*1*", "instance1.example.com", "instance2"),
        ("in*1.*am*", "inst1.example.com", "in1"),
        ("*a*a*a*a*a*b", "aaaaaab.c", "aaaa.b"),
        ("*", "web.example.com", None),
        ("w?b", "web", "wb"),
        ("**b**", "ab", "a.b"),
        ("*.ex*.c*", "n.example.com", "n.com"),
        ("web-1", "web-1.x", "web-10"),
        ("*ab", "aab", "aba"),
        ("*a*ab", "aaab", "ab"),
    ],
)
def test_names_with_stars(text, good, bad):
    found = safe_regex.read(glob(text))
    assert found.search(good) and (bad is None or not found.search(bad))
    assert re.search(glob(text), good) and (bad is None or not re.search(glob(text), bad))


def test_many_stars_are_not_tried_again_and_again():
    found = safe_regex.read(glob("*a" * 40 + "*b"))
    assert not found.search("a" * 250)
    assert found.search("a" * 249 + "b")


def test_a_long_pattern_is_refused():
    assert safe_regex.read("a" * safe_regex.LENGTH_MAX)
    with pytest.raises(ValueError, match="longer than 256"):
        safe_regex.read("a" * (safe_regex.LENGTH_MAX + 1))


def test_classes_are_ascii():
    assert safe_regex.read("\\d").search("\u0663") is None
