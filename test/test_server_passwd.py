"""rapi-passwd: lines of the users file."""

import base64
import io
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from concurrent.futures import Future
from pathlib import Path

import pytest
from testutils import make_paths
from testutils_daemon import SOURCE

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
    (["admin", "--file", "/nonexistent/users"], "word", "create it with: mkdir -p /nonexistent"),
    (["admin", "--file", "/dev/null/users"], "word", "Not a directory"),
])
def test_a_refusal_is_one_clear_line(command, users, arguments, password, words):
    code, out, err = command(*arguments, password=password)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("rapi-passwd: ") and words in err and "[Errno" not in err
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


# -- errors, and people who change their mind --------------------------------------------

def test_before_there_is_a_cluster_the_cure_is_named(command, users, monkeypatch):
    shutil.rmtree(users.parent)
    monkeypatch.setattr(passwd, "read_password", lambda: pytest.fail("it was asked for"))
    code, _, err = command("admin")
    assert (code, err) == (1, f"rapi-passwd: there is no directory {users.parent}; create the "
                              "cluster first, with: ganeti-cluster init NAME\n")


@pytest.mark.parametrize(("program", "cure"), [
    ("usr/lib/ganeti/ensure-dirs", "create it with: {root}/usr/lib/ganeti/ensure-dirs"),
    ("usr/sbin/gnt-cluster", "create it with: mkdir -m 0750 {folder}")])
def test_beside_a_ganeti_nobody_is_sent_to_init(command, users, tmp_path, program, cure):
    shutil.rmtree(users.parent)
    for path in {program, "usr/sbin/gnt-cluster"}:
        plant(tmp_path / path)
    _, _, err = command("admin")
    assert err.endswith("; " + cure.format(root=tmp_path, folder=users.parent) + "\n")
    assert "init" not in err


@pytest.mark.parametrize("plant_it", [
    lambda path: path.mkdir(), lambda path: path.write_bytes(b"admin \xff write\n")])
def test_a_users_file_that_is_none_is_called_so(command, users, plant_it):
    plant_it(users)
    code, out, err = command("admin")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert str(users) in err and "[Errno" not in err and "codec" not in err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_wrong_user_is_told_who_may(command):
    with tempfile.TemporaryDirectory() as folder:       # others may not enter tmp_path
        os.chmod(folder, 0o755)
        os.chown(folder, 1, -1)
        os.seteuid(65534)
        try:
            code, _, err = command("admin", "--file", f"{folder}/users")
        finally:
            os.seteuid(0)
    owner = pwd.getpwuid(1).pw_name
    assert (code, err) == (1, f"rapi-passwd: cannot change {folder}/users: Permission denied; run "
                              f"this as root or as user {owner}\n")


@pytest.mark.parametrize(("raised", "code", "words"), [
    (KeyboardInterrupt, 130, "\n"), (EOFError, 1, "\nrapi-passwd: no password was given\n")])
def test_whoever_breaks_off_gets_no_traceback(command, users, monkeypatch, capfd, raised, code,
                                              words):
    def ask(prompt):
        raise raised
    monkeypatch.setattr("getpass.getpass", ask)
    monkeypatch.setattr("sys.stdin", Terminal("", tty=True))
    assert passwd.main(["admin"]) == code
    assert capfd.readouterr() == ("", words) and not users.exists()


@pytest.mark.parametrize(("given", "words"), [(b"", "the password is empty"),
                                              (b"\xff\xfe\n", "the password is not UTF-8 text")])
def test_what_comes_through_a_pipe_may_be_no_password(command, users, monkeypatch, capfd, given,
                                                      words):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given), encoding="utf-8"))
    assert passwd.main(["admin"]) == 1
    assert capfd.readouterr() == ("", f"rapi-passwd: {words}\n")


def test_an_output_that_takes_nothing_is_one_line(tmp_path):
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "ganeti.server.passwd", "--print", "admin"], input="x\n",
            stdout=full, stderr=subprocess.PIPE, text=True, cwd=SOURCE,
            env={**os.environ, "GANETI_ROOTDIR": str(tmp_path)})
    assert (done.returncode, done.stderr) == (
        1, "rapi-passwd: cannot write to standard output: No space left on device\n")


def test_a_byte_order_mark_is_not_kept_before_a_name(command, users):
    users.write_text("\ufeffadmin old write\nother x\n")
    assert command("admin")[0] == 0
    assert login(users, "admin", "word").name == "admin"
    assert len(users.read_text().splitlines()) == 2


# -- beside a Ganeti ----------------------------------------------------------------------

def plant(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


SIGNS = ["var/lib/ganeti/config.data", "var/lib/ganeti/server.pem", "usr/lib/ganeti/daemon-util",
         "usr/local/lib/ganeti/daemon-util", "usr/share/ganeti/default", "usr/sbin/gnt-cluster",
         "usr/local/sbin/gnt-cluster"]


@pytest.mark.parametrize("sign", SIGNS)
def test_beside_a_ganeti_the_hash_is_one_that_ganeti_reads(command, users, tmp_path, sign):
    plant(tmp_path / sign)
    code, _, err = command("admin")
    assert code == 0 and users.read_text() == f"admin {{ha1}}{ha1('admin', 'word')} write\n"
    assert err.startswith("rapi-passwd: writing {ha1}, since Ganeti's own ganeti-rapi")
    assert err.count("\n") == 1 and "--scheme scrypt" in err


def test_what_belongs_to_ours_is_no_ganeti(command, users, tmp_path):
    for path in ("var/lib/ganeti/master.db", "var/lib/ganeti/ssconf_master_node",
                 "var/lib/ganeti/rapi.pem", "usr/share/ganeti-rapi/ganeti/__init__.py",
                 "usr/sbin/ganeti-rapi", "usr/lib/ganeti/os/noop", "usr/share/ganeti/os/noop"):
        plant(tmp_path / path)
    code, _, err = command("admin")
    assert (code, err) == (0, "") and "{scrypt}" in users.read_text()


@pytest.mark.parametrize(("scheme", "written", "words"), [
    ("scrypt", "{scrypt}", "cannot read {scrypt}"), ("ha1", "{ha1}", ""),
    ("pbkdf2-sha256", "{pbkdf2-sha256}", "cannot read {pbkdf2-sha256}"),
    ("none", " ! ", "would take the ! of this line for the password itself")])
def test_beside_a_ganeti_a_wish_is_obeyed_with_a_warning(command, users, tmp_path, scheme, written,
                                                         words):
    plant(tmp_path / SIGNS[0])
    code, _, err = command("admin", "--scheme", scheme)
    assert code == 0 and written in users.read_text()
    assert words in err and bool(err) == bool(words)


def test_beside_a_ganeti_a_last_day_is_warned_of(command, tmp_path):
    plant(tmp_path / SIGNS[0])
    _, _, err = command("admin", "--scheme", "ha1", "--expires", "2999-01-31")
    assert "would never expire" in err


def test_beside_a_ganeti_removing_a_user_is_silent(command, users, tmp_path):
    plant(tmp_path / SIGNS[0])
    users.write_text("admin x\n")
    assert command("admin", "--delete")[::2] == (0, "")
