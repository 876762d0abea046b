"""rapi-passwd: lines of the users file."""

import base64
import io
import os
import stat
from concurrent.futures import Future
from pathlib import Path

import pytest
from testutils import make_paths

from ganeti.http.auth import UsersFile
from ganeti.http.errors import Unauthorized
from ganeti.http.guard import Guard
from ganeti.http.passwords import ha1
from ganeti.rapi.permissions import ALL, READONLY, VOCABULARY
from ganeti.server import passwd


class Terminal(io.StringIO):
    """Standard input, from a person or from a pipe."""

    def __init__(self, text, tty):
        super().__init__(text)
        self.tty = tty

    def isatty(self):
        return self.tty


@pytest.fixture
def command(tmp_path, monkeypatch, capfd):
    """Runs a command with a password on its standard input; answers code, output, errors."""
    monkeypatch.setenv("GANETI_ROOTDIR", str(tmp_path))
    Path(make_paths(tmp_path).rapi_dir).mkdir(parents=True)

    def run(*arguments, password="word"):
        monkeypatch.setattr("sys.stdin", Terminal(password + "\n", tty=False))
        code = passwd.main(arguments)
        return code, *capfd.readouterr()
    return run


@pytest.fixture
def users(tmp_path):
    """The users file of the daemon."""
    return Path(make_paths(tmp_path).users_files[0])


def login(users, name, password):
    token = base64.b64encode(f"{name}:{password}".encode()).decode()
    found = Guard(UsersFile([str(users)], VOCABULARY)).authenticate(f"Basic {token}")
    return found.result(60) if isinstance(found, Future) else found


def test_a_new_user_can_log_in_and_write(command, users):
    assert command("admin")[0] == 0
    assert login(users, "admin", "word").rights.whole == ALL
    assert "word" not in users.read_text()
    assert stat.S_IMODE(users.stat().st_mode) == 0o640


@pytest.mark.parametrize("options, expected", [
    ("@readonly,+jobs.cancel", {*READONLY, "jobs.cancel"}), ("", set()),
    ("instances.startup, jobs.list", {"instances.startup", "jobs.list"})])
def test_rights_are_chosen(command, users, options, expected):
    command("admin", "--options", options)
    assert login(users, "admin", "word").rights.whole == expected


def test_a_user_for_some_time(command, users):
    command("admin", "--expires", "2999-01-31")
    assert users.read_text().endswith(" write,expires=2999-01-31\n")


def test_a_user_without_a_password(command, users, monkeypatch):
    monkeypatch.setattr(passwd, "read_password", lambda: pytest.fail("it was asked for"))
    assert command("backup", "--scheme", "none", "--options", "read")[0] == 0
    assert users.read_text() == "backup ! read\n"
    with pytest.raises(Unauthorized):
        login(users, "backup", "!")
    assert Guard(UsersFile([str(users)], VOCABULARY)).certified("backup").name == "backup"


def test_a_changed_password_leaves_the_rest_alone(command, users):
    users.write_text("# ours\nother x read\nadmin old write\n\n# end\n")
    users.chmod(0o600)
    command("admin", password="new")
    lines = users.read_text().splitlines()
    assert [lines[0], lines[1], *lines[3:]] == ["# ours", "other x read", "", "# end"]
    assert login(users, "admin", "new").name == "admin"
    assert stat.S_IMODE(users.stat().st_mode) == 0o600


def test_of_two_lines_for_a_user_one_stays(command, users):
    users.write_text("admin one write\nother x\nadmin two write")
    command("admin", password="new")
    assert len(users.read_text().splitlines()) == 2
    assert login(users, "admin", "new").name == "admin"


def test_a_user_is_removed(command, users):
    users.write_text("other x\nadmin old write\n")
    code, out, _ = command("admin", "--delete")
    assert (code, users.read_text()) == (0, "other x\n") and "removed" in out


def test_a_line_is_printed_and_nothing_changed(command, users):
    code, out, _ = command("admin", "--print", "--scheme", "ha1")
    assert (code, out) == (0, "admin {ha1}" + ha1("admin", "word") + " write\n")
    assert not users.exists()


def test_another_file_can_be_named(command, tmp_path):
    command("admin", "--file", str(tmp_path / "mine"))
    assert login(tmp_path / "mine", "admin", "word").name == "admin"


def test_the_file_of_ganeti_2_0_is_edited_where_it_is_the_one_in_use(command, tmp_path):
    old = Path(make_paths(tmp_path).users_files[1])
    old.write_text("other x\n")
    command("admin")
    assert login(old, "admin", "word").name == "admin"


@pytest.mark.parametrize("arguments, password, words", [
    (["a b"], "word", "user's name"), (["a\nb"], "word", "user's name"), (["#a"], "w", "name"),
    (["admin", "--options", "write all"], "word", "no right or role"),
    (["admin"], "", "empty"), (["admin"], 1025 * "x", "more than 1024 characters"),
    (["nobody", "--delete"], "", "no user nobody"),
    (["admin", "--file", "/nonexistent/users"], "word", "No such file"),
])
def test_a_refusal_is_one_clear_line(command, users, arguments, password, words):
    code, out, err = command(*arguments, password=password)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("rapi-passwd: ") and words in err
    assert not users.exists()


def test_a_file_that_the_daemon_could_not_read_is_not_made_worse(command, users):
    users.write_text("broken\n")
    code, _, err = command("admin")
    assert (code, users.read_text()) == (1, "broken\n")
    assert "line 1" in err


@pytest.mark.parametrize("answers, code", [(["word", "word"], 0), (["word", "other"], 1)])
def test_a_person_is_asked_twice(command, users, monkeypatch, answers, code):
    monkeypatch.setattr("getpass.getpass", lambda prompt: answers.pop(0))
    monkeypatch.setattr("sys.stdin", Terminal("", tty=True))
    assert passwd.main(["admin"]) == code
    assert users.exists() == (code == 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_new_file_belongs_to_the_owner_of_its_directory(command, users):
    os.chown(users.parent, 1001, 1002)
    command("admin")
    assert (users.stat().st_uid, users.stat().st_gid) == (1001, 1002)
