"""Complaints about a users file in the log."""

import pytest

from ganeti.rapi.auth import users
from ganeti.rapi.auth.authenticator import UsersFile
from support.users import UsersFolder


@pytest.fixture
def folder(tmp_path):
    return UsersFolder(tmp_path)


BCRYPT = "$2y$05$" + "a" * 53


def complaints(folder, caplog, text):
    """Return what is logged when the file is read, without warnings of clear text."""
    folder.write(text)
    folder.path.chmod(0o600)
    caplog.clear()
    for _ in range(3):
        folder.users.find("jack")
    return [
        record.getMessage().removeprefix(f"{folder.path}: ")
        for record in caplog.records
        if "clear text" not in record.getMessage()
    ]


@pytest.mark.parametrize(
    "stored",
    [
        BCRYPT,
        BCRYPT.replace("2y", "2b"),
        "$6$salt$" + "a" * 86,
        "$5$rounds=1000$salt$" + "a" * 43,
        "$1$$" + "a" * 22,
        "$apr1$abcdefgh$" + "a" * 22,
        "$y$j9T$abcdefgh$" + "a" * 43,
        "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$" + "a" * 43,
        "$P$B" + "a" * 30,
        "$pbkdf2-sha256$29000$c2FsdA$" + "a" * 43,
    ],
)
def test_a_hash_of_htpasswd_lets_nobody_in(folder, caplog, stored):
    (found,) = complaints(folder, caplog, f"jack {stored} write\n")
    assert found.startswith("line 1: nobody can log in as jack: the password is a hash")
    assert found.endswith("rapi-passwd jack") and "aaaa" not in found
    assert folder.options(password=stored) is None


@pytest.mark.parametrize(
    "stored",
    [
        "$ecret",
        "$2y$short",
        "pa$$word",
        "$1$abc",
        "5" * 40,
        "$unknown$" + "a" * 40,
        "{cleartext}" + BCRYPT,
    ],
)
def test_words_that_only_look_a_little_like_a_hash_are_passwords(folder, stored):
    folder.write(f"jack {stored} write\n")
    assert folder.options(password=stored.removeprefix("{cleartext}")) == ["write"]


@pytest.mark.parametrize(
    "stored",
    [
        "{bcrypt}abc",
        "{SSHA}YWJj",
        "{sha256}" + "a" * 64,
        "{}abc",
        "{SHA}YWJj",
        "{crypt hash}".replace(" ", ""),
    ],
)
def test_an_unknown_scheme_is_logged_once(folder, caplog, stored):
    (found,) = complaints(folder, caplog, f"# users\njack {stored} write\n")
    assert found.startswith("line 2: nobody can log in as jack: the password has the unknown")
    assert "YWJj" not in found and "abc" not in found


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("jack {ha1}abc write", "line 1: nobody can log in as jack: a {ha1} password must be 32"),
        ("jack {HA1}" + "g" * 32, "32 hexadecimal digits"),
        ("jack {ha1}", "32 hexadecimal digits"),
        ("ja:ck abc write", "line 1: nobody can log in as ja:ck: a name with a colon"),
        ("jack " + "x" * 1025, "the password has more than 1024 characters"),
        ("ja\u200bck abc", "'ja\\u200bck' contains invisible characters"),
    ],
)
def test_a_line_that_lets_nobody_in_is_logged(folder, caplog, line, words):
    assert any(words in text for text in complaints(folder, caplog, line + "\n"))


@pytest.mark.parametrize(
    "line",
    [
        "jack {ha1}" + "aB" * 16,
        "jack !",
        "jack abc",
        "jack {cleartext}abc write",
        "j\xf6rg p\xe4\u20ac",
    ],
)
def test_a_correct_line_is_not_logged(folder, caplog, line):
    assert complaints(folder, caplog, line + "\n") == []


def test_a_name_on_two_lines_is_logged_with_both(folder, caplog):
    found = complaints(folder, caplog, "jack one\n# x\njack two\njill x\njack abc\n")
    assert found == [
        f"line {line}: user jack is on line {other} too; this line counts, and that one is ignored"
        for line, other in ((3, 1), (5, 3))
    ]


def test_a_byte_order_mark_is_skipped_and_logged(folder, caplog):
    (found,) = complaints(folder, caplog, b"\xef\xbb\xbfjack abc write\n")
    assert "byte order mark" in found and folder.options() == ["write"]


def test_a_byte_order_mark_elsewhere_is_part_of_the_name_and_logged(folder, caplog):
    (found,) = complaints(folder, caplog, b"jack abc\n\xef\xbb\xbfjill abc\n")
    assert found.startswith("line 2: the user name '\\ufeffjill'")


def test_dos_line_ends_are_logged(folder, caplog):
    (found,) = complaints(folder, caplog, "jack abc\r\njill abc\r\n")
    assert "CR LF" in found


@pytest.mark.parametrize("coding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_named_in_the_log(folder, caplog, coding):
    (found,) = complaints(folder, caplog, "\ufeffjack abc\n".encode(coding))
    assert "save it as UTF-8" in found


@pytest.mark.parametrize("text", ["", "\n\n", "# jack abc\n"])
def test_a_file_without_users_is_logged(folder, caplog, text):
    (found,) = complaints(folder, caplog, text)
    assert "add one with: rapi-passwd NAME" in found


def test_a_file_of_another_program_does_not_fill_the_log(folder, caplog):
    found = complaints(folder, caplog, "".join(f"u{n} {BCRYPT}\n" for n in range(100)))
    assert len(found) == users.MAX_COMPLAINTS + 1 and found[-1] == "and 80 more"


def test_each_version_is_logged_anew(folder, caplog):
    for _ in range(2):
        assert len(complaints(folder, caplog, "jack {bcrypt}abc\n")) == 1


def test_a_forgotten_file_does_not_take_over_from_one_that_goes_away(folder, caplog):
    folder.write("jack old\n", folder.old)
    folder.write("jack abc\n")
    folder.options()
    folder.path.unlink()
    assert folder.options("jack", "old") is None and folder.options() is None
    assert (
        f"create one with: rapi-passwd --file {folder.path} NAME; after a reload (SIGHUP) or "
        f"restart, the users of {folder.old} would count"
    ) in caplog.text
    folder.write("jack new\n")
    assert folder.options("jack", "new") == []


@pytest.mark.parametrize("again", [UsersFile.reload, UsersFile.load])
def test_a_reload_or_start_uses_the_other_file_and_logs_it(folder, caplog, again):
    folder.write("jack old\n", folder.old)
    folder.write("jack abc\n")
    folder.options()
    folder.path.unlink()
    caplog.clear()
    told = again(folder.users)
    assert folder.options("jack", "old") == []
    text = f"{folder.path} does not exist; the users are those of {folder.old}"
    assert text in (told if again is UsersFile.load else caplog.messages)


def test_a_removed_file_is_logged(folder, caplog):
    folder.write("jack abc\n")
    folder.options()
    folder.path.unlink()
    folder.options()
    assert caplog.text.count(f"There is no users file ({folder.path}), so nobody can log in") == 1
