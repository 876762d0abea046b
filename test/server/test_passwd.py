"""rapi-passwd: lines of the users file."""

import base64
import io
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from concurrent.futures import Future
from pathlib import Path

import pytest

from ganeti.http.errors import Unauthorized
from ganeti.rapi.auth.authenticator import Authenticator, UsersFile
from ganeti.rapi.auth.passwords import ha1
from ganeti.rapi.permissions import ALL, READONLY, VOCABULARY
from ganeti.server import passwd
from support.cluster import make_paths
from support.daemon import SOURCE


class Terminal(io.StringIO):
    """Standard input from a terminal or a pipe."""

    def __init__(self, text, tty):
        super().__init__(text)
        self.tty = tty

    def isatty(self):
        return self.tty


@pytest.fixture
def command(tmp_path, monkeypatch, capfd):
    """Return a function that runs a command with a password on standard input.

    It returns exit code, output and errors.
    """
    monkeypatch.setenv("GANETI_ROOTDIR", str(tmp_path))
    Path(make_paths(tmp_path).rapi_dir).mkdir(parents=True)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())

    def run(*arguments, password="word\n"):
        monkeypatch.setattr("sys.stdin", Terminal(password, tty=False))
        code = passwd.main(arguments)
        return code, *capfd.readouterr()

    yield run
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.fixture
def users(tmp_path):
    """Return the daemon's users file."""
    return Path(make_paths(tmp_path).users_files[0])


def login(users, name, password):
    token = base64.b64encode(f"{name}:{password}".encode()).decode()
    found = Authenticator(UsersFile([str(users)], VOCABULARY)).authenticate(f"Basic {token}")
    return found.result(60) if isinstance(found, Future) else found


def test_a_new_user_can_log_in_and_write(command, users):
    assert command("admin")[0] == 0
    assert login(users, "admin", "word").rights.whole == ALL
    assert "word" not in users.read_text()
    assert stat.S_IMODE(users.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    "options, expected",
    [
        ("@readonly,+jobs.cancel", {*READONLY, "jobs.cancel"}),
        ("", set()),
        ("instances.startup, jobs.list", {"instances.startup", "jobs.list"}),
    ],
)
def test_rights_are_chosen(command, users, options, expected):
    command("admin", "--options", options)
    assert login(users, "admin", "word").rights.whole == expected


def test_a_user_has_a_last_day(command, users):
    command("admin", "--expires", "2999-01-31")
    assert users.read_text().endswith(" write,expires=2999-01-31\n")


def test_a_user_may_have_no_password(command, users, monkeypatch):
    monkeypatch.setattr(passwd, "read_password", lambda: pytest.fail("it was asked for"))
    assert command("backup", "--scheme", "none", "--options", "read")[0] == 0
    assert users.read_text() == "backup ! read\n"
    with pytest.raises(Unauthorized):
        login(users, "backup", "!")
    assert Authenticator(UsersFile([str(users)], VOCABULARY)).certified("backup").name == "backup"


def test_a_changed_password_leaves_the_rest_alone(command, users):
    users.write_text("# ours\nother x read\nadmin old write\n\n# end\n")
    users.chmod(0o600)
    command("admin", password="new\n")
    lines = users.read_text().splitlines()
    assert [lines[0], lines[1], *lines[3:]] == ["# ours", "other x read", "", "# end"]
    assert login(users, "admin", "new").name == "admin"
    assert stat.S_IMODE(users.stat().st_mode) == 0o600


def test_of_two_lines_for_a_user_one_stays(command, users):
    users.write_text("admin one write\nother x\nadmin two write")
    command("admin", password="new\n")
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


@pytest.mark.parametrize(
    "arguments, password, words",
    [
        (["a b"], "word", "user's name"),
        (["a\nb"], "word", "user's name"),
        (["#a"], "w", "name"),
        (["admin", "--options", "write all"], "word", "no right or role"),
        (["admin", "--expires", "soon"], "word", "not a valid date"),
        (["admin", "--expires", ""], "word", "not a valid date"),
        (["admin", "--expires", "2999-01-31,write"], "word", "not a valid date"),
        (["admin"], "", "empty"),
        (["admin"], "\n", "empty"),
        (["admin"], "\r\n", "empty"),
        (["admin"], 1025 * "x", "more than 1024 characters"),
        (["admin"], 10**6 * "x", "more than 1024 characters"),
        (["admin"], "se\tcret\n", "control characters"),
        (["admin"], "word\r", "control characters"),
        (["admin"], "word\r\r\n", "control characters"),
        (["admin"], "\0\n", "control characters"),
        (["admin"], "\x7f", "control characters"),
        (["admin"], "w\udcffrd\n", "not UTF-8"),
        (["admin", "--file", ""], "word", "--file is empty"),
        (["nobody", "--delete"], "", "no user nobody"),
        (
            ["admin", "--file", "/nonexistent/users"],
            "word",
            "create it with: mkdir -p /nonexistent",
        ),
        (["admin", "--file", "/dev/null/users"], "word", "Not a directory"),
    ],
)
def test_a_refusal_is_one_clear_line(command, users, arguments, password, words):
    code, out, err = command(*arguments, password=password)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("rapi-passwd: ") and words in err and "[Errno" not in err
    assert not users.exists()


@pytest.mark.parametrize("text", ["admin x\n".encode("utf-16"), bytes(100)])
def test_a_file_that_the_daemon_could_not_read_is_not_made_worse(command, users, text):
    users.write_bytes(text)
    code, _, err = command("admin")
    assert (code, users.read_bytes(), err.count("\n")) == (1, text, 1)
    assert "would not be read by the daemon" in err


def test_every_line_that_is_not_the_users_stays_as_it_is(command, users):
    other = b"# M\xfcller\r\njill\n\x00\x01\n#admin\njack \xff write\n"
    users.write_bytes(other)
    assert command("admin")[0] == 0 and users.read_bytes().startswith(other)
    assert login(users, "admin", "word").name == "admin"
    assert command("admin", "--delete")[0] == 0 and users.read_bytes() == other


@pytest.mark.parametrize(
    "line",
    [
        b"admin",
        b"admin \xff write",
        b"admin\0 x",
        b"\0admin x",
        b"admin {cleartext}",
        b"\xef\xbb\xbfadmin x",
    ],
)
def test_a_broken_line_of_the_user_is_replaced(command, users, line):
    users.write_bytes(b"jill x\n" + line + b"\njack x\n" + line)
    assert command("admin")[0] == 0
    assert login(users, "admin", "word").name == "admin"
    assert len(users.read_bytes().splitlines()) == 3


def test_comments_are_nobodys_lines(command, users):
    users.write_text("# x\n#admin y\n")
    for name in ("#", "#admin", ""):
        assert command("--delete", name)[0] == 1
    assert users.read_text() == "# x\n#admin y\n"


@pytest.mark.parametrize("given", ["word", "word\n", "word\r\n", "word\r\nnext\n"])
def test_the_end_of_a_line_is_not_part_of_the_password(command, users, given):
    assert command("admin", password=given)[0] == 0
    assert login(users, "admin", "word").name == "admin"


@pytest.mark.parametrize(
    "words", [["--expires", "2020-01-31"], ["--options", "read,expires=2020-01-31"]]
)
def test_a_last_day_that_is_over_is_warned_of(command, users, words):
    code, _, err = command("admin", *words)
    assert code == 0 and "the last day of admin is over already" in err
    assert "expires=2020-01-31" in users.read_text()


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
    assert (code, err) == (
        1,
        f"rapi-passwd: there is no directory {users.parent}; create the "
        "cluster first, with: ganeti-cluster init NAME\n",
    )


@pytest.mark.parametrize(
    ("program", "cure"),
    [
        ("usr/lib/ganeti/ensure-dirs", "create it with: {root}/usr/lib/ganeti/ensure-dirs"),
        ("usr/sbin/gnt-cluster", "create it with: mkdir -m 0750 {folder}"),
    ],
)
def test_beside_a_ganeti_nobody_is_sent_to_init(command, users, tmp_path, program, cure):
    shutil.rmtree(users.parent)
    for path in {program, "usr/sbin/gnt-cluster"}:
        plant(tmp_path / path)
    _, _, err = command("admin")
    assert err.endswith("; " + cure.format(root=tmp_path, folder=users.parent) + "\n")
    assert "init" not in err


@pytest.mark.parametrize("plant_it", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to(path)])
def test_a_users_file_that_is_none_is_called_so(command, users, monkeypatch, plant_it):
    plant_it(users)
    monkeypatch.setattr(passwd, "read_password", lambda: pytest.fail("it was asked for"))
    code, out, err = command("admin")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert str(users) in err and "[Errno" not in err and "codec" not in err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_wrong_user_is_told_who_may(command):
    with tempfile.TemporaryDirectory() as folder:  # others may not enter tmp_path
        os.chmod(folder, 0o755)
        os.chown(folder, 1, -1)
        os.seteuid(65534)
        try:
            code, _, err = command("admin", "--file", f"{folder}/users")
        finally:
            os.seteuid(0)
    owner = pwd.getpwuid(1).pw_name
    assert (code, err) == (
        1,
        f"rapi-passwd: cannot change {folder}/users: Permission denied; run "
        f"this as root or as user {owner}\n",
    )


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [(KeyboardInterrupt, 130, "\n"), (EOFError, 1, "\nrapi-passwd: no password was given\n")],
)
def test_whoever_breaks_off_gets_no_traceback(
    command, users, monkeypatch, capfd, raised, code, words
):
    def ask(prompt):
        raise raised

    monkeypatch.setattr("getpass.getpass", ask)
    monkeypatch.setattr("sys.stdin", Terminal("", tty=True))
    assert passwd.main(["admin"]) == code
    assert capfd.readouterr() == ("", words) and not users.exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [(b"", "the password is empty"), (b"\xff\xfe\n", "the password is not UTF-8 text")],
)
def test_what_comes_through_a_pipe_may_be_no_password(
    command, users, monkeypatch, capfd, given, words
):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given), encoding="utf-8"))
    assert passwd.main(["admin"]) == 1
    assert capfd.readouterr() == ("", f"rapi-passwd: {words}\n")


def test_an_output_that_takes_nothing_is_one_line(tmp_path):
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "ganeti.server.passwd", "--print", "admin"],
            input="x\n",
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=SOURCE,
            env={**os.environ, "GANETI_ROOTDIR": str(tmp_path)},
        )
    assert (done.returncode, done.stderr) == (
        1,
        "rapi-passwd: cannot write to standard output: No space left on device\n",
    )


def test_a_byte_order_mark_is_not_kept_before_a_name(command, users):
    users.write_text("\ufeffadmin old write\nother x\n")
    assert command("admin")[0] == 0
    assert login(users, "admin", "word").name == "admin"
    assert len(users.read_text().splitlines()) == 2


# -- beside a Ganeti ----------------------------------------------------------------------


def plant(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


SIGNS = [
    "var/lib/ganeti/config.data",
    "var/lib/ganeti/server.pem",
    "usr/lib/ganeti/daemon-util",
    "usr/local/lib/ganeti/daemon-util",
    "usr/share/ganeti/default",
    "usr/sbin/gnt-cluster",
    "usr/local/sbin/gnt-cluster",
]


@pytest.mark.parametrize("sign", SIGNS)
def test_beside_a_ganeti_the_hash_is_one_that_ganeti_reads(command, users, tmp_path, sign):
    plant(tmp_path / sign)
    code, _, err = command("admin")
    assert code == 0 and users.read_text() == f"admin {{ha1}}{ha1('admin', 'word')} write\n"
    assert err.startswith("rapi-passwd: writing {ha1}, since Ganeti's own ganeti-rapi")
    assert err.count("\n") == 1 and "--scheme scrypt" in err


def test_what_belongs_to_ours_is_no_ganeti(command, users, tmp_path):
    for path in (
        "var/lib/ganeti/master.db",
        "var/lib/ganeti/ssconf_master_node",
        "var/lib/ganeti/rapi.pem",
        "usr/share/ganeti-rapi/ganeti/__init__.py",
        "usr/sbin/ganeti-rapi",
        "usr/lib/ganeti/os/noop",
        "usr/share/ganeti/os/noop",
    ):
        plant(tmp_path / path)
    code, _, err = command("admin")
    assert (code, err) == (0, "") and "{scrypt}" in users.read_text()


@pytest.mark.parametrize(
    ("scheme", "written", "words"),
    [
        ("scrypt", "{scrypt}", "cannot read {scrypt}"),
        ("ha1", "{ha1}", ""),
        ("pbkdf2-sha256", "{pbkdf2-sha256}", "cannot read {pbkdf2-sha256}"),
        ("none", " ! ", "would take the ! in this line for a password"),
    ],
)
def test_beside_a_ganeti_a_wish_is_obeyed_with_a_warning(
    command, users, tmp_path, scheme, written, words
):
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


# -- links, names and other writers -------------------------------------------------------


def test_a_link_stays_and_what_it_leads_to_is_changed(command, users, tmp_path):
    real = tmp_path / "etc/rapi_users"
    real.parent.mkdir()
    real.write_text("other x\n")
    real.chmod(0o600)
    (tmp_path / "etc/link").symlink_to("rapi_users")
    users.symlink_to("../../../../etc/link")
    code, out, _ = command("admin")
    assert code == 0 and str(users) in out and users.is_symlink()
    assert login(real, "admin", "word").name == "admin"
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    assert command("admin", "--delete")[0] == 0 and real.read_text() == "other x\n"


def test_a_link_to_nothing_yet_is_written_through(command, users, tmp_path):
    users.symlink_to(tmp_path / "real")
    assert command("admin", "--file", str(users))[0] == 0
    assert users.is_symlink() and login(tmp_path / "real", "admin", "word").name == "admin"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give links away")
@pytest.mark.parametrize("words", [[], ["--delete"]])
def test_root_does_not_write_through_another_users_link(command, users, tmp_path, words):
    target = tmp_path / "shadow"
    target.write_text("admin x\n")
    users.symlink_to(target)
    os.lchown(users, 65534, 65534)
    code, _, err = command("admin", *words)
    assert (code, err.count("\n"), target.read_text()) == (1, 1, "admin x\n")
    assert f"{users} is a symbolic link of user nobody" in err and f"rm {users}" in err


def test_a_bare_file_name_is_in_the_current_folder(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("users", "./more", "../" + tmp_path.name + "/third"):
        assert command("admin", "--file", path)[::2] == (0, "")
    assert command("admin", "--file", "users", "--delete")[::2] == (0, "")
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {
        "users",
        "more",
        "third",
    }


def start(tmp_path, *arguments, **streams):
    """Start rapi-passwd in another process."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "ganeti.server.passwd", *arguments],
        text=True,
        cwd=SOURCE,
        stderr=subprocess.PIPE,
        env={**os.environ, "GANETI_ROOTDIR": str(tmp_path)},
        **streams,
    )


def test_of_many_at_once_nobody_is_lost(command, users, tmp_path):
    users.write_text("".join(f"old{n} x\n" for n in range(4)))
    running = [
        start(tmp_path, f"new{n}", "--scheme", "none", stdout=subprocess.DEVNULL) for n in range(8)
    ]
    running += [start(tmp_path, f"old{n}", "--delete", stdout=subprocess.DEVNULL) for n in range(4)]
    assert [(process.communicate()[1], process.returncode) for process in running] == 12 * [("", 0)]
    assert sorted(users.read_text().split()[::3]) == [f"new{n}" for n in range(8)]
    assert os.listdir(users.parent) == ["users"]


def test_a_change_that_cannot_be_told_is_made_all_the_same(command, users, tmp_path):
    with open("/dev/full", "w", encoding="utf-8") as full:
        process = start(tmp_path, "admin", "--scheme", "none", stdout=full)
    assert "cannot write to standard output" in process.communicate()[1]
    assert process.returncode == 0 and users.read_text() == "admin ! write\n"


def test_no_standard_input_at_all_is_no_password(command, users, monkeypatch, capfd):
    monkeypatch.setattr("sys.stdin", None)
    assert passwd.main(["admin"]) == 1
    assert capfd.readouterr().err == "rapi-passwd: no password was given\n"


def test_an_interrupt_before_the_change_leaves_the_file_as_it_was(command, users, monkeypatch):
    users.write_text("admin x\n")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(passwd, "_hold_signals", interrupt)
    assert command("admin")[0] == 130
    assert users.read_text() == "admin x\n" and os.listdir(users.parent) == ["users"]


def test_an_interrupt_during_the_change_comes_too_late(command, users, monkeypatch):
    write_file = passwd.io.write_file

    def late(*arguments, **words):
        signal.raise_signal(signal.SIGINT)  # to this thread, which is all of the program
        write_file(*arguments, **words)

    monkeypatch.setattr(passwd.io, "write_file", late)
    assert command("admin")[0] == 0
    assert signal.SIGINT in signal.sigpending() and signal.sigwait({signal.SIGINT})
    assert login(users, "admin", "word").name == "admin"


def fail_to(monkeypatch, what):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*what, refuse)


def test_a_failure_before_the_change_is_one(command, users, monkeypatch):
    users.write_text("admin x\n")
    fail_to(monkeypatch, (os, "rename"))
    code, _, err = command("admin")
    assert (code, users.read_text()) == (1, "admin x\n") and "No space left" in err
    assert os.listdir(users.parent) == ["users"]


def test_a_failure_after_the_change_is_a_warning(command, users, monkeypatch):
    fail_to(monkeypatch, (passwd.io, "fsync_directory"))
    code, _, err = command("admin")
    assert code == 0 and "is changed, but a power cut may undo that" in err
    assert login(users, "admin", "word").name == "admin"
