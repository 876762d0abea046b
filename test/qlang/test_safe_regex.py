"""Clients' search patterns: those that are accepted, and those that could run for minutes."""

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
def test_ordinary_patterns_are_accepted(text):
    assert safe_regex.compile_pattern(text).pattern == text


@pytest.mark.parametrize(
    "text",
    ["(a+)+$", "(a|a)*b", "(a?)+", "(aa?)*", "((a)|b)+", "(?:a{1,9}){2,}", "(?=a+)*", "([ab]*)*"],
)
def test_a_choice_repeated_without_end_is_refused(text):
    with pytest.raises(ValueError, match="choice within an unbounded repetition"):
        safe_regex.compile_pattern(text)


@pytest.mark.parametrize(
    "text", ["a?" * 30, "(a|b)" * 30, ".*.*.*.*", "(a?){30}", "(a|b){1,1000}", "(x*|y)(.*)a+b+"]
)
def test_many_choices_are_refused(text):
    with pytest.raises(ValueError, match="too many"):
        safe_regex.compile_pattern(text)


@pytest.mark.parametrize(
    "text", ["(a)\\1", "(?P<x>a)(?P=x)", "(?x)a b", "(?#note)", "(a)(?(1)b|c)"]
)
def test_references_and_special_groups_are_refused(text):
    with pytest.raises(ValueError, match="not allowed"):
        safe_regex.compile_pattern(text)


@pytest.mark.parametrize("text", ["(", "a{2}{3}", "*a", "[a", "\\", "(?P<1>a)"])
def test_an_invalid_pattern_is_refused_with_its_reason(text):
    with pytest.raises(ValueError, match="cannot be read"):
        safe_regex.compile_pattern(text)


def test_pcre_syntax_is_translated():
    for text, good, bad in (
        ("^web[[:digit:]]+$", "web17", "webx"),
        ("^[^[:alpha:]_]$", "1", "a"),
        (r"^[\][:upper:]]$", "]", "a"),
        (r"^\Qa.b*\E+$", "a.b**", "axb"),
        (r"^\Qa.", "a.", "ab"),
        ("^(?<kind>web|db)[[:punct:]]", "web-1", "web1"),
        ("(?<=a)b", "ab", "b"),
    ):
        found = safe_regex.compile_pattern(text)
        assert found.search(good) and not found.search(bad), text
    with pytest.raises(ValueError, match="unknown name, nosuch"):
        safe_regex.compile_pattern("[[:nosuch:]]")


def glob(text):
    """Return the pattern that Ganeti's ``utils.DnsNameGlobPattern`` makes."""
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
def test_globs_match_as_ganetis_own(text, good, bad):
    found = safe_regex.compile_pattern(glob(text))
    assert found.search(good) and (bad is None or not found.search(bad))
    assert re.search(glob(text), good) and (bad is None or not re.search(glob(text), bad))


def test_many_stars_do_not_backtrack():
    found = safe_regex.compile_pattern(glob("*a" * 40 + "*b"))
    assert not found.search("a" * 250)
    assert found.search("a" * 249 + "b")


def test_a_long_pattern_is_refused():
    assert safe_regex.compile_pattern("a" * safe_regex.LENGTH_MAX)
    with pytest.raises(ValueError, match="longer than 256"):
        safe_regex.compile_pattern("a" * (safe_regex.LENGTH_MAX + 1))


def test_classes_are_ascii():
    assert safe_regex.compile_pattern("\\d").search("\u0663") is None
