"""Users, their passwords and what they may do."""

import base64
import hashlib
import os

import pytest

from ganeti.http import auth
from ganeti.http.auth import User, UsersFile, allows, parse_basic, verify
from ganeti.http.errors import Unauthorized

CHALLENGE = [("WWW-Authenticate", 'Basic realm="Ganeti Remote API"')]


def basic(name, password, encoding="utf-8"):
    """An Authorization header."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode(encoding)).decode()


class Place:
    """A users file in a folder, and a clock far from its time stamps."""

    def __init__(self, folder):
        self.path, self.old = folder / "users", folder / "rapi_users"
        self.now = 0
        self.stamp = 10 ** 18
        self.users = UsersFile([str(self.path), str(self.old)], clock_ns=lambda: self.now)

    def write(self, text, path=None):
        """A new content, an hour later."""
        path = path or self.path
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        self.stamp += 3600 * 10 ** 9
        self.now = self.stamp + 10 ** 10
        os.utime(path, ns=(self.stamp, self.stamp))

    def options(self, name="jack", password="abc"):
        """The options of a user who comes in; None when nobody does."""
        try:
            return sorted(self.users.authenticate(basic(name, password)).options)
        except Unauthorized:
            return None


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


# -- the header -------------------------------------------------------------------------

@pytest.mark.parametrize(("header", "expected"), [
    (basic("jack", "abc"), ("jack", "abc")),
    (basic("jack", "a:b:c"), ("jack", "a:b:c")),
    (basic("jack", ""), ("jack", "")),
    (basic("", "x"), ("", "x")),
    (basic("jörg", "pä\u20ac"), ("jörg", "pä\u20ac")),
    (basic("jörg", "pä", "latin-1"), ("jörg", "pä")),
    ("bAsIc YTpi", ("a", "b")),
    ("Basic   YTpi", ("a", "b")),
    (basic("jack", "x" * 5000), ("jack", "x" * 5000))])
def test_basic_holds_name_and_password(header, expected):
    assert parse_basic(header) == expected


@pytest.mark.parametrize("header", [
    None, "", "Basic", "Basic ", "Basic !!!", "Basic YTpi=", "Basic YTp", "Basic YT pi",
    "Basic YWJj", "YTpi", "Digest username=a", "Bearer YTpi", "Basic YTpi, Basic YTpi",
    "Basic \xff", "Basic\tYTpi"])
def test_anything_else_is_nobody(header):
    with pytest.raises(Unauthorized) as caught:
        parse_basic(header)
    assert caught.value.headers == CHALLENGE


# -- passwords --------------------------------------------------------------------------

HA1 = hashlib.md5(b"jack:Ganeti Remote API:abc").hexdigest()


@pytest.mark.parametrize(("stored", "good"), [
    ("abc", True), ("abcd", False), ("ab", False), ("", False), ("ABC", False),
    ("{cleartext}abc", True), ("{ClearText}abc", True), ("{cleartext}abd", False),
    ("{ha1}" + HA1, True), ("{HA1}" + HA1.upper(), True), ("{ha1}abc", False), (HA1, False),
    ("{ha1}" + HA1[:-1], False), ("{sha}abc", False), ("{}abc", False), ("{abc", False)])
def test_passwords_are_stored_in_ganetis_ways(stored, good):
    assert verify("jack", "abc", stored) is good


def test_a_brace_may_begin_a_clear_password():
    assert verify("jack", "{abc", "{abc")
    assert verify("jack", "{x}y", "{cleartext}{x}y") and not verify("jack", "{x}y", "{x}y")


def test_ha1_depends_on_the_name():
    assert auth.ha1("jack", "abc") == HA1 != auth.ha1("jill", "abc")


def test_every_password_costs_the_same_work(monkeypatch):
    calls = []
    real = auth._digest
    monkeypatch.setattr(auth, "_digest", lambda text: calls.append(1) or real(text))
    costs = set()
    for stored in ("abc", "{ha1}" + HA1, "{unknown}abc", auth._NOBODY):
        calls.clear()
        verify("jack", "abc", stored)
        costs.add(len(calls))
    assert costs == {4}


# -- the file ---------------------------------------------------------------------------

def test_a_line_is_name_password_and_options(place):
    place.write("# comment\n\n  jack abc write,read\njill\tdef\njohn ghi Instances.Startup, x ,\n")
    assert place.options() == ["read", "write"]
    assert place.options("jill", "def") == []
    assert place.options("john", "ghi") == ["instances.startup", "x"]


@pytest.mark.parametrize(("name", "password"), [
    ("jack", "abd"), ("jack", ""), ("Jack", "abc"), ("#", "comment"), ("", ""), ("nobody", "")])
def test_wrong_names_and_passwords_are_refused_alike(place, name, password):
    place.write("# comment\njack abc write\n")
    with pytest.raises(Unauthorized) as caught:
        place.users.authenticate(basic(name, password))
    assert caught.value.message == "Wrong user name or password"
    assert caught.value.headers == CHALLENGE


def test_names_and_passwords_may_be_of_any_language(place):
    place.write("jörg pä\u20ac write\n")
    assert place.options("jörg", "pä\u20ac") == ["write"]


def test_the_last_line_of_a_name_counts(place):
    place.write("jack old write\njack abc\n")
    assert place.options() == [] and place.options("jack", "old") is None


def test_dos_line_ends_do_no_harm(place):
    place.write("jack abc\r\njill def write\r\n")
    assert place.options() == [] and place.options("jill", "def") == ["write"]


def test_no_file_means_nobody(place):
    assert place.options() is None
    place.write("jack abc\n")
    assert place.options() == []
    place.path.unlink()
    assert place.options() is None


def test_the_first_file_that_exists_counts(place):
    place.write("jack old\n", place.old)
    assert place.options("jack", "old") == []
    place.write("jack abc\n")
    assert place.options("jack", "old") is None and place.options() == []


def test_a_change_is_noticed_without_a_word(place):
    place.write("jack abc\n")
    assert place.options() == []
    place.write("jack abc write\n")
    assert place.options() == ["write"]


def test_a_change_within_a_tick_of_the_clock_is_noticed(place):
    place.write("jack abc\n")
    place.now = place.stamp                 # read in the moment of the change
    assert place.options() == []
    place.path.write_text("jack xyz\n")     # the same size, inode and time
    os.utime(place.path, ns=(place.stamp, place.stamp))
    assert place.options() is None and place.options("jack", "xyz") == []


def test_reload_reads_whatever_the_time_stamp_says(place):
    place.write("jack abc\n")
    assert place.options() == []
    place.path.write_text("jack xyz\n")
    os.utime(place.path, ns=(place.stamp, place.stamp))
    assert place.options() == []
    place.users.reload()
    assert place.options("jack", "xyz") == []


@pytest.mark.parametrize(("broken", "words"), [
    ("jack new\nlonely\n", "line 2 is not NAME PASSWORD"),
    (b"# x\n\njack \xff\n", "line 3 is not UTF-8")])
def test_a_broken_file_changes_nothing_and_is_logged_once(place, caplog, broken, words):
    place.write("jack abc write\n")
    assert place.options() == ["write"]
    place.write(broken)
    assert [place.options() for _ in range(3)] == [["write"]] * 3
    record, = caplog.records
    assert words in record.getMessage() and "\n" not in record.getMessage()
    place.write("jack abc\n")
    assert place.options() == []


def test_a_file_that_cannot_be_read_changes_nothing(place, caplog):
    place.write("jack abc write\n")
    assert place.options() == ["write"]
    place.path.unlink()
    place.path.mkdir()
    assert place.options() == ["write"]
    assert "Is a directory" in caplog.text


# -- rights -----------------------------------------------------------------------------

@pytest.mark.parametrize(("options", "access", "expected"), [
    (None, "", True), (None, None, True), (None, "read", False), (None, "write", False),
    ("", "", True), ("", "read", False), ("", "instances.startup", False),
    ("read", "read", True), ("read", "write", False), ("read", "instances.startup", False),
    ("write", "read", True), ("write", "write", True), ("write", "instances.startup", True),
    ("instances.startup", "instances.startup", True), ("instances.startup", "read", False),
    ("instances.startup", "instances.shutdown", False), ("instances", "instances.startup", False)])
def test_rights(options, access, expected):
    user = None if options is None else User("jack", frozenset(options.split()))
    assert allows(user, access) is expected
