"""Secrets in a program's output."""

import pytest

from ganeti.utils.redaction import redact

HIDDEN = "<redacted>"


@pytest.mark.parametrize(
    "text, secret, expected",
    [
        ("pass hunter2!", "hunter2", f"pass {HIDDEN}!"),
        ("-phunter2x", "hunter2", f"-p{HIDDEN}x"),
        ("nothing here", "hunter2", "nothing here"),
        ("a longer-secret", "longer", f"a {HIDDEN}-secret"),
        ("ümläut", "mlä", f"ü{HIDDEN}ut"),
        ("a.c abc", "a.c", f"{HIDDEN} abc"),
    ],
)
def test_a_value_is_replaced_wherever_it_is(text, secret, expected):
    assert redact(text, [secret]) == expected


@pytest.mark.parametrize(
    "printed",
    ["it's\n two", "it's two", "it's", "'it'\\''s", "'it'\"'\"'s", '{"x": "it\'s\\n two"}'],
)
def test_its_other_forms_are_replaced(printed):
    assert HIDDEN in redact(printed, ["it's\n two"])


@pytest.mark.parametrize("line", ["MIIEowIBAAKCAQEA", "  MIIEowIBAAKCAQEA ", "xMIIEowIBAAKCAQEAx"])
def test_one_line_of_many_is_replaced(line):
    key = "-----BEGIN KEY-----\nMIIEowIBAAKCAQEA\n}\n-----END KEY-----\n"
    assert "MII" not in redact(line, [key]) and redact("}", [key]) == "}"


@pytest.mark.parametrize(
    "text, secret, expected",
    [
        ("pin=7", "7", f"pin={HIDDEN}"),
        ("-p7", "7", f"-p{HIDDEN}"),
        ("77 of 17", "7", "77 of 17"),
        ("PASS_ab ab, 'ab' about", "ab", f"PASS_{HIDDEN} {HIDDEN}, '{HIDDEN}' about"),
        ("x1 x12 ax1", "x1", f"{HIDDEN} x12 ax1"),
        ("/dev/sda - '-' a-b", "-", f"/dev/sda {HIDDEN} '{HIDDEN}' a-b"),
        ("key:/, /etc", "/", f"key:{HIDDEN}, /etc"),
        ("é élan", "é", f"{HIDDEN} élan"),
    ],
)
def test_a_short_value_is_replaced_where_it_is_a_word(text, secret, expected):
    assert redact(text, [secret]) == expected


def test_the_longest_value_is_replaced_first():
    assert redact("abcdef abc", ["abc", "abcdef"]) == f"{HIDDEN} {HIDDEN}"


@pytest.mark.parametrize("secrets", [[], [""], [" ", "\n\t"]])
def test_nothing_is_replaced_without_a_value(secrets):
    assert redact("all of this\n", secrets) == "all of this\n"
