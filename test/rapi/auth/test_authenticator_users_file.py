"""The header with credentials, and the watched users file."""

import datetime
import os
import tempfile
from pathlib import Path

import pytest

from ganeti.http.errors import Unauthorized
from ganeti.rapi.auth import authenticator
from ganeti.rapi.auth.authenticator import parse_basic
from ganeti.rapi.auth.users import BrokenFile
from support.users import CHALLENGE, UsersFolder, basic


@pytest.fixture
def folder(tmp_path):
    return UsersFolder(tmp_path)


# -- the header -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (basic("jack", "abc"), ("jack", "abc")),
        (basic("jack", "a:b:c"), ("jack", "a:b:c")),
        (basic("jack", ""), ("jack", "")),
        (basic("", "x"), ("", "x")),
        (basic("jörg", "pä\u20ac"), ("jörg", "pä\u20ac")),
        (basic("jörg", "pä", "latin-1"), ("jörg", "pä")),
        ("bAsIc YTpi", ("a", "b")),
        ("Basic   YTpi", ("a", "b")),
        (basic("jack", "x" * 5000), ("jack", "x" * 5000)),
    ],
)
def test_basic_holds_name_and_password(header, expected):
    assert parse_basic(header) == expected


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic YTpi=",
        "Basic YTp",
        "Basic YT pi",
        "Basic YWJj",
        "YTpi",
        "Digest username=a",
        "Bearer YTpi",
        "Basic YTpi, Basic YTpi",
        "Basic \xff",
        "Basic\tYTpi",
        "Basic YTpi====",
        basic("a", "b\0"),
        basic("a\n", "b"),
    ],
)
def test_any_other_header_is_refused(header):
    with pytest.raises(Unauthorized) as caught:
        parse_basic(header)
    assert caught.value.headers == CHALLENGE


# -- the file ---------------------------------------------------------------------------


def test_a_line_is_name_password_and_options(folder):
    folder.write("# comment\n\n  jack abc write,read\njill\tdef\njohn ghi Instances.Startup, x ,\n")
    assert folder.options() == ["read", "write"]
    assert folder.options("jill", "def") == []
    assert folder.options("john", "ghi") == ["instances.startup", "x"]


@pytest.mark.parametrize(
    ("name", "password"),
    [("jack", "abd"), ("jack", ""), ("Jack", "abc"), ("#", "comment"), ("", ""), ("nobody", "")],
)
def test_wrong_names_and_passwords_are_refused_alike(folder, name, password):
    folder.write("# comment\njack abc write\n")
    with pytest.raises(Unauthorized) as caught:
        folder.authenticator.authenticate(basic(name, password))
    assert caught.value.message == "Wrong user name or password"
    assert caught.value.headers == CHALLENGE


def test_names_and_passwords_may_be_of_any_language(folder):
    folder.write("jörg pä\u20ac write\n")
    assert folder.options("jörg", "pä\u20ac") == ["write"]


def test_the_last_line_of_a_name_counts(folder):
    folder.write("jack old write\njack abc\n")
    assert folder.options() == [] and folder.options("jack", "old") is None


def test_dos_line_ends_are_ignored(folder):
    folder.write("jack abc\r\njill def write\r\n")
    assert folder.options() == [] and folder.options("jill", "def") == ["write"]


def test_nobody_is_let_in_without_a_file(folder):
    assert folder.options() is None
    folder.write("jack abc\n")
    assert folder.options() == []
    folder.path.unlink()
    assert folder.options() is None


def test_the_first_file_that_exists_counts(folder):
    folder.write("jack old\n", folder.old)
    assert folder.options("jack", "old") == []
    folder.write("jack abc\n")
    assert folder.options("jack", "old") is None and folder.options() == []


def test_a_change_is_noticed_without_a_reload(folder):
    folder.write("jack abc\n")
    assert folder.options() == []
    folder.write("jack abc write\n")
    assert folder.options() == ["write"]


def test_a_change_within_a_tick_of_the_clock_is_noticed(folder):
    folder.write("jack abc\n")
    folder.now = folder.stamp  # read in the moment of the change
    assert folder.options() == []
    folder.path.write_text("jack xyz\n")  # the same size, inode and time
    os.utime(folder.path, ns=(folder.stamp, folder.stamp))
    assert folder.options() is None and folder.options("jack", "xyz") == []


def test_a_reload_reads_the_file_whatever_its_time_stamp(folder):
    folder.write("jack abc\n")
    assert folder.options() == []
    folder.path.write_text("jack xyz\n")
    os.utime(folder.path, ns=(folder.stamp, folder.stamp))
    assert folder.options() == []
    folder.users.reload()
    assert folder.options("jack", "xyz") == []


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("\ufeffjack abc\n".encode("utf-16-le"), "the file is UTF-16"),
        ("jack abc\n".encode("utf-16-le"), "mostly of NUL bytes"),
        ("jack abc\n".encode("utf-32-be"), "mostly of NUL bytes"),
        (bytes(40), "NUL bytes"),
    ],
)
def test_a_file_that_is_not_text_changes_nothing_and_is_logged_once(folder, caplog, broken, words):
    folder.write("jack abc write\n")
    assert folder.options() == ["write"]
    folder.write(broken)
    assert [folder.options() for _ in range(3)] == [["write"]] * 3
    (record,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert words in record.getMessage() and "\n" not in record.getMessage()
    folder.write("jack abc\n")
    assert folder.options() == []


# -- lines that cannot be used ------------------------------------------------------------

HASH = "{scrypt}n=16,r=8,p=1$c2FsdA==$" + "A" * 43 + "="
#: Unusable lines of jack's -> part of the complaint.
BAD_LINES = {
    "jack": " is not NAME PASSWORD",
    "  jack \t ": " is not NAME PASSWORD",
    "jack {cleartext}": ": a {cleartext} password is empty; use ! for no password; user jack is",
    "jack {cleartext} write": ": a {cleartext} password is empty",
    "jack {scrypt}abc write": ": a {scrypt} password is not PARAMETERS$SALT$HASH",
    "jack {SCRYPT} write": ": a {scrypt} password is not",
    f"jack {HASH[:-9]} write": ": salt or hash of a {scrypt} password",
    "jack " + HASH.replace("n=16", "n=15") + " write": ": a {scrypt} password has parameters",
    "jack " + HASH.replace("==", "=") + " write": ": salt or hash of a {scrypt} password",
    "jack {pbkdf2-sha256}i=99999999$AAAA$AAAA write": ": a {pbkdf2-sha256} password has",
    "jack a\x01c write": " contains control characters; user jack is locked out",
    "jack abc write\x00": " contains control characters",
    "jack\x00 abc": " contains control",
    "\0\0jack abc write": " contains control",
    "ja\x7fck abc write": " contains control",
    "jack\x00abc write": " contains control",
    "jack abc\rjill def": " contains control",
    "jack a\x1b[31mc": " contains control",
    b"jack \xff write": " is not UTF-8; user jack",
    b"jack abc write # M\xfcller": " is not UTF-8",
    b"jack\xa0abc": " is not UTF-8",
    b"jack abc \xc3": " is not UTF-8",
}


@pytest.mark.parametrize("line", BAD_LINES)
@pytest.mark.parametrize("before", ["", "jack abc write\n"], ids=["alone", "after a good line"])
def test_a_bad_line_takes_its_user_out_and_nobody_else(folder, caplog, line, before):
    folder.write("jack abc write\njill old\n")
    assert folder.options() == ["write"]
    raw = line if isinstance(line, bytes) else line.encode()
    folder.write(f"admin x read\n{before}".encode() + raw + b"\njill def write\n")
    assert folder.options() is None and folder.options(password="old") is None
    assert folder.options("admin", "x") == ["read"] and folder.options("jill", "def") == ["write"]
    assert folder.authenticator.certified("jack") is None
    assert caplog.text.count(f": line {3 if before else 2}{BAD_LINES[line]}") == 1
    assert ("line 2 is ignored" in caplog.text) is bool(before)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b"j\xf6rg abc\n", "j\xf6rg"),
        ("j\xf6rg ".encode() + b"\xff\n", "j\xf6rg"),
        ("\xa0j\xf6rg\n".encode(), "j\xf6rg"),
        ("\u2003jack\n".encode(), "jack"),
        ("\ufeffjack new\n".encode(), "jack"),
        ("ja\u200bck new\n".encode(), "jack"),
    ],
)
def test_a_damaged_name_still_names_its_user(folder, line, name):
    folder.write(f"{name} abc write\n".encode() + line)
    assert folder.options(name) is None


def test_a_good_line_after_a_bad_one_counts(folder):
    folder.write("jack\njack abc write\n")
    assert folder.options() == ["write"]


def test_a_comment_of_any_encoding_costs_nothing(folder, caplog):
    folder.write(b"# M\xfcller left\n  #\xff\x00\x01\njack abc write\n#jack\n")
    assert folder.options() == ["write"] and " is locked out" not in caplog.text


def test_a_line_of_one_word_is_not_shown_as_it_may_be_a_password(folder, caplog):
    folder.write("jack abc write\nS3cret\n")
    assert folder.options() == ["write"]
    assert "line 2 is not NAME PASSWORD" in caplog.text and "S3cret" not in caplog.text


@pytest.mark.parametrize("text", ["jack\n", "\0jack\n", "-----BEGIN\nMIIB\n", "{cleartext}\n"])
def test_a_file_without_a_usable_line_lets_nobody_in_and_starts(folder, text):
    folder.write(text)
    found = folder.users.load()
    assert "it contains no users" in "".join(found) and folder.options() is None


# -- a file that is being written ---------------------------------------------------------

CUT = "jack abc read,instances.startup"
FULL = CUT + ":web*.a,expires=2999-01-01\n"


def test_a_line_that_was_cut_a_moment_ago_gives_nothing_until_it_is_whole(folder):
    folder.write("jack abc read\njill def\n")
    assert folder.options() == ["read"]
    folder.write_now("jill def\n" + CUT)
    folder.meanwhile = lambda: folder.write("jill def\n" + FULL)
    assert folder.options("jill", "def") == [] and not folder.slept
    assert folder.options() == ["read"] and folder.slept == 1
    assert folder.options() == ["read"] and folder.slept == 1


def test_a_line_that_stays_without_its_newline_is_believed_when_the_file_has_settled(folder):
    folder.write("jack abc read\n")
    assert folder.options() == ["read"]
    folder.write_now("jill def\njack new write")
    assert folder.options(password="new") == ["write"] and folder.slept == 1
    folder.write_now("jill two\njack new write")  # that line was there before
    assert folder.options(password="new") == ["write"] and folder.slept == 1


def test_a_file_that_never_settles_keeps_the_user_of_half_a_line_out(folder):
    folder.write("jack abc read\n")
    assert folder.options() == ["read"]
    folder.meanwhile = lambda: folder.write_now(CUT)
    folder.meanwhile()
    assert folder.options() is None and folder.slept == 1


def test_a_start_and_a_reload_believe_the_file_as_it_is(folder):
    folder.write_now(CUT)
    folder.users.load()
    assert folder.options() == ["instances.startup", "read"] and not folder.slept
    folder.write_now("jill def")
    assert folder.users.reload() == 1
    assert folder.options("jill", "def") == [] and not folder.slept


def test_a_line_written_between_stat_and_read_is_not_believed(folder, monkeypatch):
    folder.write("jack abc read\n")
    assert folder.options() == ["read"]
    folder.write("jack abc read\njill def\n")
    content = authenticator.read_file

    def late(path):
        monkeypatch.setattr(authenticator, "read_file", content)
        folder.write_now(CUT)
        return content(path)

    monkeypatch.setattr(authenticator, "read_file", late)
    folder.meanwhile = lambda: folder.write(FULL)
    assert folder.options() == ["read"] and folder.slept == 1


def test_a_file_that_cannot_be_read_changes_nothing(folder, caplog):
    folder.write("jack abc write\n")
    assert folder.options() == ["write"]
    folder.path.unlink()
    folder.path.mkdir()
    assert folder.options() == ["write"]
    assert "Is a directory" in caplog.text


def test_a_time_stamp_in_the_future_is_read_twice_at_most(folder, monkeypatch):
    reads = []
    content = authenticator.read_file
    monkeypatch.setattr(
        authenticator, "read_file", lambda path: reads.append(path) or content(path)
    )
    folder.write("jack abc\n")
    folder.now = folder.stamp - 3600 * 10**9  # the clock was set back
    assert folder.options() == folder.options() == []
    folder.now += 10**9
    for _ in range(5):
        assert folder.options() == []
    assert len(reads) == 3


def test_complaints_about_a_file_from_the_future_are_logged(folder, caplog):
    folder.write("jack abc fly\n")
    folder.now = folder.stamp - 3600 * 10**9
    folder.options()
    folder.now += 10**9
    folder.options()
    folder.options()
    assert caplog.text.count("no right or role 'fly'") == 1


# -- the start, and reload --------------------------------------------------------------


def test_a_missing_file_at_the_start_is_a_complaint(folder, caplog):
    (complaint,) = folder.users.load()
    assert str(folder.path) in complaint and "rapi-passwd NAME" in complaint
    folder.users.find("jack")
    assert not caplog.records, "the daemon tells it, at its start"


@pytest.mark.parametrize(
    ("plant", "words"),
    [
        (lambda path: path.mkdir(), "Is a directory"),
        (os.mkfifo, "Not a regular file"),
        (lambda path: path.symlink_to(path), "symbolic links"),
        (
            lambda path: path.write_bytes("\ufeffjack abc\n".encode("utf-16-be")),
            "line 1 is not UTF-8",
        ),
        (lambda path: path.write_bytes(bytes(100)), "it consists mostly of NUL"),
    ],
)
def test_a_file_that_cannot_be_used_ends_the_start(folder, plant, words):
    plant(folder.path)
    with pytest.raises(BrokenFile) as caught:
        folder.users.load()
    text = str(caught.value)
    assert words in text and str(folder.path) in text and "[Errno" not in text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(("closed", "cure"), [("users", "chown nobody"), (".", "chgrp ")])
def test_a_file_without_permission_ends_the_start_with_the_cure(closed, cure):
    with tempfile.TemporaryDirectory() as directory:  # others may not enter tmp_path
        os.chmod(directory, 0o755)
        folder = UsersFolder(Path(directory))
        folder.write("jack abc\n")
        os.chmod(f"{directory}/{closed}", 0o700)
        os.seteuid(65534)
        try:
            with pytest.raises(BrokenFile, match=f"Permission denied; let user nobody .*: {cure}"):
                folder.users.load()
        finally:
            os.seteuid(0)


def test_a_reload_counts_the_users(folder, caplog):
    folder.write("jack abc\njill def\n")
    assert folder.users.reload() == 2
    folder.write("lonely\njack\njill def\n")
    assert folder.users.reload() == 1
    folder.write(bytes(9))
    assert folder.users.reload() is None
    assert "Users file not reloaded, keeping previous users: " in caplog.text
    caplog.clear()
    assert (
        folder.users.reload() is None and "mostly of NUL" in caplog.text
    )  # asked again, told again
    folder.path.unlink()
    assert folder.users.reload() == 0


# -- rights -----------------------------------------------------------------------------


def test_unknown_rights_are_logged_once_for_a_version(folder, caplog):
    folder.write("jack abc read,fly")
    assert folder.options() == folder.options() == ["read"]
    assert caplog.text.count("line 1: there is no right or role 'fly'") == 1
    folder.write("jack abc read,swim")
    assert folder.options() == ["read"] and "swim" in caplog.text


def test_a_user_is_refused_after_the_last_day(folder, caplog):
    folder.write("jack abc read,expires=2026-01-31")
    for day, expected in (("2026-01-31T23:59:59", ["read"]), ("2026-02-01T00:00:00", None)):
        stamp = datetime.datetime.fromisoformat(day + "+00:00").timestamp()
        folder.now = int(stamp * 10**9)
        folder.stamp = folder.now - 10**12
        os.utime(folder.path, ns=(folder.stamp, folder.stamp))
        assert folder.options() == expected
    assert "Refusing user jack, who has expired" in caplog.text


def test_exposed_passwords_are_logged_once(folder, caplog):
    folder.write("jack abc\njill {cleartext}def\njohn {ha1}ab\n")
    folder.path.chmod(0o644)
    for _ in range(3):
        folder.options()
    assert caplog.text.count("the passwords of jack, jill are in clear text;") == 1
    assert caplog.text.count("every user of this machine can read it") == 1
    assert "abc" not in caplog.text
