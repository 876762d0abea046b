"""Users, their passwords and what they may do."""

import base64
import datetime
import os

import pytest

from ganeti.http.auth import UsersFile, parse_basic
from ganeti.http.errors import Unauthorized
from ganeti.http.guard import Guard
from ganeti.http.rights import Vocabulary

WORDS = Vocabulary(frozenset({"read", "write", "x", "instances.startup"}))
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
        self.users = UsersFile([str(self.path), str(self.old)], WORDS,
                               clock_ns=lambda: self.now)
        self.guard = Guard(self.users, today=lambda: datetime.datetime.fromtimestamp(
            self.now / 1e9, datetime.timezone.utc).date())

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
            return sorted(self.guard.authenticate(basic(name, password)).rights.whole)
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
    "Basic \xff", "Basic\tYTpi", "Basic YTpi====", basic("a", "b\0"), basic("a\n", "b")])
def test_anything_else_is_nobody(header):
    with pytest.raises(Unauthorized) as caught:
        parse_basic(header)
    assert caught.value.headers == CHALLENGE


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
        place.guard.authenticate(basic(name, password))
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
    record, = (record for record in caplog.records if record.levelname == "ERROR")
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

def test_words_that_are_unknown_are_told_once_for_a_version(place, caplog):
    place.write("jack abc read,fly")
    assert place.options() == place.options() == ["read"]
    assert caplog.text.count("line 1: there is no right or role 'fly'") == 1
    place.write("jack abc read,swim")
    assert place.options() == ["read"] and "swim" in caplog.text


def test_the_last_day(place, caplog):
    place.write("jack abc read,expires=2026-01-31")
    for day, expected in (("2026-01-31T23:59:59", ["read"]), ("2026-02-01T00:00:00", None)):
        stamp = datetime.datetime.fromisoformat(day + "+00:00").timestamp()
        place.now = int(stamp * 10 ** 9)
        place.stamp = place.now - 10 ** 12
        os.utime(place.path, ns=(place.stamp, place.stamp))
        assert place.options() == expected
    assert "User jack has expired" in caplog.text


def test_passwords_that_lie_open_are_told_once(place, caplog):
    place.write("jack abc\njill {cleartext}def\njohn {ha1}ab\n")
    place.path.chmod(0o644)
    for _ in range(3):
        place.options()
    assert caplog.text.count("passwords in clear text, of jack, jill;") == 1
    assert caplog.text.count("every user of this machine can read it") == 1
    assert "abc" not in caplog.text


def test_a_hash_that_cannot_be_checked_breaks_the_file(place, caplog):
    place.write("jack abc read")
    assert place.options() == ["read"]
    place.write("jack {scrypt}n=1073741824,r=8,p=1$AAAA$AAAA write")
    assert place.options() == ["read"] and "line 1: a {scrypt} password" in caplog.text
