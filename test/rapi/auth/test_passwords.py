"""Stored passwords, and the cost of checking them."""

import hashlib

import pytest

from ganeti.rapi.auth import passwords
from ganeti.rapi.auth.passwords import BadPassword, Password, parse_password

SALT, HASH = "c2FsdA==", "A" * 43 + "="


def fits(password, stored, name="jack"):
    return parse_password(stored).matches(name, password)


HA1 = hashlib.md5(b"jack:Ganeti Remote API:abc").hexdigest()


@pytest.mark.parametrize(
    ("stored", "good"),
    [
        ("abc", True),
        ("abcd", False),
        ("ab", False),
        ("", False),
        ("ABC", False),
        ("{cleartext}abc", True),
        ("{ClearText}abc", True),
        ("{cleartext}abd", False),
        ("{ha1}" + HA1, True),
        ("{HA1}" + HA1.upper(), True),
        ("{ha1}abc", False),
        (HA1, False),
        ("{ha1}" + HA1[:-1], False),
        ("{sha}abc", False),
        ("{}abc", False),
        ("{abc", False),
    ],
)
def test_passwords_in_ganetis_forms_match(stored, good):
    assert fits("abc", stored) is good


def test_a_clear_password_may_begin_with_a_brace():
    assert fits("{abc", "{abc")
    assert fits("{x}y", "{cleartext}{x}y") and not fits("{x}y", "{x}y")


def test_ha1_depends_on_the_name():
    assert passwords.ha1("jack", "abc") == HA1 != passwords.ha1("jill", "abc")


@pytest.mark.parametrize("scheme", passwords.SCHEMES)
def test_a_new_password_is_parsed_and_matches(scheme, monkeypatch):
    monkeypatch.setattr(passwords, "SCRYPT_N", 16)
    monkeypatch.setattr(passwords, "ITERATIONS", 10)
    for word in ("abc", "", "pä:\u20ac", "x" * 1000):
        stored = passwords.SCHEMES[scheme]("jack", word)
        assert " " not in stored and stored.startswith(f"{{{scheme}}}")
        assert fits(word, stored) and not fits(word + "x", stored)
    assert passwords.SCHEMES[scheme]("jill", "abc") != passwords.SCHEMES[scheme]("jack", "abc")


def test_hashes_of_the_standards_match():
    # RFC 7914, sections 12 and 11, the first 32 bytes of each.
    assert fits(
        "password", "{scrypt}n=1024,r=8,p=16$TmFDbA==$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWI="
    )
    assert fits(
        "passwd", "{pbkdf2-sha256}i=1$c2FsdA==$VawEblbjCJ/sFpHCJUS2BflBhSFt3gRl5oudV8INrLw="
    )


@pytest.mark.parametrize(
    "stored",
    [
        "{scrypt}",
        "{scrypt}abc",
        "{scrypt}n=16,r=8$" + SALT + "$" + HASH,
        f"{{scrypt}}n=15,r=8,p=1${SALT}${HASH}",
        f"{{scrypt}}n=1,r=8,p=1${SALT}${HASH}",
        f"{{scrypt}}n=2,r=1048576,p=1${SALT}${HASH}",
        f"{{scrypt}}n=2,r=1,p=65${SALT}${HASH}",
        f"{{scrypt}}n=65536,r=1,p=1${SALT}${HASH}",
        f"{{scrypt}}n=1073741824,r=8,p=1${SALT}${HASH}",
        f"{{scrypt}}n=32768,r=8,p=1000${SALT}${HASH}",
        f"{{scrypt}}n=0,r=8,p=1${SALT}${HASH}",
        f"{{scrypt}}n=16,r=8,p=1${SALT}$AAAA",
        f"{{scrypt}}n=16,r=8,p=1$A${HASH}",
        f"{{scrypt}}r=8,n=16,p=1${SALT}${HASH}",
        f"{{scrypt}}n=+16,r=8,p=1${SALT}${HASH}",
        f"{{pbkdf2-sha256}}i=99999999${SALT}${HASH}",
        f"{{pbkdf2-sha256}}i=${SALT}${HASH}",
        f"{{pbkdf2-sha256}}i=0${SALT}${HASH}",
        "{pbkdf2-sha256}abc",
    ],
)
def test_an_invalid_hash_is_refused_with_its_reason(stored):
    with pytest.raises(BadPassword, match="password"):
        parse_password(stored)


def test_a_decoy_costs_the_same_and_matches_nothing():
    stored = Password("scrypt", "", (16, 8, 1), b"salt", bytes(32))
    decoy = stored.decoy()
    assert decoy.costs == stored.costs is not None and not decoy.matches("jack", "")
    assert parse_password("abc").costs is parse_password("{ha1}abc").costs is None


def test_an_exclamation_mark_matches_no_password():
    for word in ("!", "", "x"):
        assert not fits(word, "!")
    assert fits("!x", "!x") and fits("!", "{cleartext}!")
    with pytest.raises(BadPassword, match="empty"):
        parse_password("{cleartext}")


def test_cheap_passwords_cost_the_same_in_every_scheme(monkeypatch):
    calls, real = [], passwords._sha256
    monkeypatch.setattr(passwords, "_sha256", lambda text: calls.append(1) or real(text))
    for stored in ("abc", "{ha1}" + HA1, "{unknown}abc"):
        calls.clear()
        fits("abc", stored)
        assert len(calls) == 4
    calls.clear()
    assert not passwords.NOBODY.matches("jack", "") and len(calls) == 4


@pytest.mark.parametrize("scheme", [*passwords.SCHEMES])
def test_a_new_password_can_match(scheme):
    assert parse_password(passwords.SCHEMES[scheme]("jack", "abc")).never_matches() == ""


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        ("abc", ""),
        ("!", ""),
        ("{cleartext}$6$salt$" + "a" * 86, ""),
        ("{ha1}" + "0" * 32, ""),
        ("{ha1}" + "0" * 31, "32 hexadecimal digits"),
        ("{md5}abc", "unknown scheme {md5}"),
        ("{nobody}x", "unknown scheme {nobody}"),
        ("$6$salt$" + "a" * 86, "a hash of crypt or htpasswd"),
        ("a\x7f", "control characters"),
    ],
)
def test_a_password_that_never_matches_has_a_reason(stored, words):
    found = parse_password(stored).never_matches()
    assert words in found and bool(found) == bool(words)
