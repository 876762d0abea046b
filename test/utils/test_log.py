"""A record is one line, whatever a client sent."""

import io
import json
import logging
import os
import socket
import stat
import sys

import pytest

from ganeti.utils import log


@pytest.fixture(autouse=True)
def put_back():
    root = logging.getLogger()
    handlers, level, raising = list(root.handlers), root.level, logging.raiseExceptions
    factory = logging.getLogRecordFactory()
    yield
    for name in ("ganeti", "ganeti.jqueue", "ganeti.http.server"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.setLogRecordFactory(factory)
    for handler in list(root.handlers):
        if handler not in handlers:
            root.removeHandler(handler)
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.raiseExceptions = raising


def test_every_byte_stays_on_its_line(tmp_path):
    path = tmp_path / "log"
    log.setup("ganeti-test", str(path))
    logging.info("%s", "".join(map(chr, range(256))) + "\u2028\ud800")
    logging.info("second")
    first, second = path.read_text().splitlines()
    assert "ganeti-test pid=" in first and "\\x0a" in first and "\\x1b" in first
    assert second.endswith("INFO second")


def test_an_os_error_is_logged_without_its_number(tmp_path):
    path = tmp_path / "log"
    log.setup("ganeti-test", str(path))
    for err in (FileNotFoundError(2, "No such file or directory", "/gone"), OSError(28, "Full")):
        logging.warning("Cannot go on: %s", err)
    first, second = path.read_text().splitlines()
    assert first.endswith("Cannot go on: /gone: No such file or directory")
    assert second.endswith("Cannot go on: Full")


def test_a_traceback_cannot_be_taken_for_a_record(tmp_path):
    path = tmp_path / "log"
    log.setup("ganeti-test", str(path))
    try:
        raise ValueError("x\n2026-01-01 forged")
    except ValueError:
        logging.exception("failed")
    first, *rest = path.read_text().splitlines()
    assert first.endswith("ERROR failed") and all(line.startswith("  ") for line in rest)


def test_debug_lines_only_when_asked(tmp_path):
    for debug, lines in (((), 0), (("",), 1)):
        path = tmp_path / f"log{lines}"
        log.setup("ganeti-test", str(path), debug=debug)
        logging.debug("detail")
        assert len(path.read_text().splitlines()) == lines


def test_debug_lines_of_some_packages_only(tmp_path):
    path = tmp_path / "log"
    log.setup("ganeti-test", str(path), debug=("jqueue", "http.server"))
    for name in ("ganeti.jqueue.run", "ganeti.http.server", "ganeti.http.tls", "other"):
        logging.getLogger(name).debug("detail of %s", name)
        logging.getLogger(name).info("information of %s", name)
    told = path.read_text().split(" DEBUG ")[1:]
    assert [line.split()[2] for line in told] == ["ganeti.jqueue.run", "ganeti.http.server"]
    assert path.read_text().count(" INFO information of ") == 4


def test_a_rotated_log_goes_on_in_a_new_file(tmp_path):
    path = tmp_path / "log"
    log.setup("ganeti-test", str(path))
    logging.info("one")
    path.rename(tmp_path / "log.1")
    log.reopen()
    logging.info("two")
    assert path.read_text().endswith("two\n")


def refusal(path):
    """Return the message of the refusal to log to a path."""
    with pytest.raises(log.LogError) as caught:
        log.setup("ganeti-test", str(path))
    words = str(caught.value)
    assert str(path) in words and "[Errno" not in words and "\n" not in words
    return words


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "log").symlink_to(tmp_path / "other")
    assert "is a symbolic link, and is not followed" in refusal(tmp_path / "log")
    assert not (tmp_path / "other").exists()


def test_a_link_to_itself_is_called_a_link(tmp_path):
    (tmp_path / "log").symlink_to(tmp_path / "log")
    assert f"remove it: rm {tmp_path / 'log'}" in refusal(tmp_path / "log")


def test_a_pipe_is_no_log(tmp_path):
    os.mkfifo(tmp_path / "log")
    assert "not a regular file" in refusal(tmp_path / "log")  # and did not wait
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    assert "not a regular file" in refusal(tmp_path / "log")
    os.close(reader)


def test_a_directory_and_a_socket_are_no_logs(tmp_path):
    (tmp_path / "log").mkdir()
    assert "not a regular file" in refusal(tmp_path / "log")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "sock"))
        assert "not a regular file" in refusal(tmp_path / "sock")


def test_a_missing_folder_is_named_with_its_cure(tmp_path):
    words = refusal(tmp_path / "gone" / "log")
    assert f"mkdir -p -m 0770 {tmp_path / 'gone'}" in words


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").touch()
    assert refusal(tmp_path / "file" / "log").endswith("Not a directory")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_names_the_user(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    assert f"by user {os.geteuid()}" in refusal(tmp_path / "closed" / "log")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o277, 0o777])
def test_a_log_is_closed_to_others_whatever_the_umask(tmp_path, umask):
    old = os.umask(umask)
    try:
        log.setup("ganeti-test", str(tmp_path / "log"))
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600


@pytest.mark.parametrize(("links", "expected"), [(1, 0o600), (2, 0o644)])
def test_an_open_log_of_ours_is_closed_to_others_unless_it_has_two_names(tmp_path, links, expected):
    path = tmp_path / "log"
    path.touch()
    path.chmod(0o644)
    if links == 2:
        os.link(path, tmp_path / "other")
    log.setup("ganeti-test", str(path))
    assert stat.S_IMODE(path.stat().st_mode) == expected


def test_the_log_after_a_rotation_is_closed_to_others_too(tmp_path):
    path = tmp_path / "log"
    log.setup("ganeti-test", str(path))
    path.rename(tmp_path / "log.1")
    path.touch()
    path.chmod(0o666)
    log.reopen()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("character", "expected"),
    [
        ("\u202e", "\\u202e"),
        ("\u2066", "\\u2066"),
        ("\u200f", "\\u200f"),
        ("\u061c", "\\u061c"),
        ("\ufeff", "\\ufeff"),
        ("\u2028", "\\u2028"),
        ("\U000e0041", "\\U000e0041"),
        ("\x9b", "\\x9b"),
        ("\xad", "\\xad"),
        ("\n", "\\x0a"),
        ("\xe4", "\xe4"),
        ("\u20ac", "\u20ac"),
        ("\u05d0", "\u05d0"),
        ("\U0001f600", "\U0001f600"),
    ],
)
def test_what_would_change_the_rest_of_a_line_is_escaped(character, expected):
    assert log.escape(f"a{character}b") == f"a{expected}b"


@pytest.mark.parametrize(
    "plant", [lambda path: path.mkdir(), lambda path: path.symlink_to("/dev/null"), os.mkfifo]
)
def test_where_no_new_log_can_be_opened_the_old_one_goes_on(tmp_path, plant):
    path, old, now = tmp_path / "log", tmp_path / "log.1", [0.0]
    log.setup("ganeti-test", str(path))
    logging.getLogger().handlers[0].clock = lambda: now[0]
    path.rename(old)
    plant(path)
    for second in range(3):
        now[0] = 10.0 + second
        logging.info("line %d", second)
    log.reopen()
    lines = old.read_text().splitlines()
    assert "Going on in the old log" in lines[0] and len(lines) == 4
    path.rmdir() if path.is_dir() else path.unlink()
    log.reopen()
    logging.info("anew")
    assert path.read_text().endswith("anew\n") and len(old.read_text().splitlines()) == 4


def test_its_owner_is_changed_through_the_open_file(tmp_path, monkeypatch):
    path = tmp_path / "log"
    log.setup("ganeti-test", str(path))
    inode = path.stat().st_ino
    path.unlink()
    path.symlink_to("/nonexistent")  # chown() of the path would follow it
    owned = []
    monkeypatch.setattr(os, "fchown", lambda fd, *ids: owned.append((os.fstat(fd).st_ino, ids)))
    log.own_files(1, 2)
    assert owned == [(inode, (1, 2))]


@pytest.fixture
def syslog_socket(tmp_path, monkeypatch):
    """Return the path on which a syslog daemon would listen."""
    path = str(tmp_path / "dev-log")
    monkeypatch.setattr(log, "SYSLOG_SOCKET", path)
    return path


@pytest.fixture
def syslog_daemon(syslog_socket):
    """Yield a socket that receives the lines."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(syslog_socket)
        sock.settimeout(20)
        yield sock


def test_syslog_only_writes_no_file(tmp_path, syslog_daemon):
    log.setup("ganeti-test", str(tmp_path / "log"), syslog="only")
    logging.warning("words")
    tag = f"ganeti-test[{os.getpid()}]: "
    assert syslog_daemon.recv(1000).rstrip(b"\0").endswith(f">{tag}WARNING words".encode())
    log.setup("ganeti-test", str(tmp_path / "log"), syslog="only", json_lines=True)
    logging.warning("words\n")
    _, found = syslog_daemon.recv(1000).rstrip(b"\0").decode().split(tag)
    assert json.loads(found)["message"] == "words\n"
    assert not (tmp_path / "log").exists()


def test_syslog_alone_without_its_daemon_is_refused(tmp_path, syslog_socket):
    with pytest.raises(log.LogError, match=f"no syslog daemon listens on {syslog_socket}"):
        log.setup("ganeti-test", str(tmp_path / "log"), syslog="only")


def test_syslog_beside_the_file_without_its_daemon_is_a_warning(tmp_path, syslog_socket):
    log.setup("ganeti-test", str(tmp_path / "log"), syslog="yes")
    assert "WARNING Syslog gets no lines for now" in (tmp_path / "log").read_text()


def test_a_syslog_daemon_with_a_stream_socket_will_do(tmp_path, syslog_socket):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(syslog_socket)
        sock.listen()
        log.setup("ganeti-test", str(tmp_path / "log"), syslog="only")


@pytest.mark.parametrize(
    ("stream", "with_file", "expected"),
    [("ours", True, 1), ("", True, 2), ("1:2", True, 2), ("nonsense", True, 2), ("ours", False, 2)],
)
def test_the_journal_gets_warnings_only_where_a_file_has_the_rest(
    tmp_path, monkeypatch, stream, with_file, expected
):
    with open(tmp_path / "stderr", "w", encoding="utf-8") as file:
        found = os.fstat(file.fileno())
        ours = f"{found.st_dev}:{found.st_ino}"  # the other values are inherited from elsewhere
        monkeypatch.setenv("JOURNAL_STREAM", ours if stream == "ours" else stream)
        monkeypatch.setattr(sys, "stderr", file)
        log.setup("ganeti-test", str(tmp_path / "log") if with_file else None, stderr=True)
        logging.info("one")
        logging.warning("two")
    assert len((tmp_path / "stderr").read_text().splitlines()) == expected


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_a_stderr_without_a_descriptor_is_not_the_journal(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    assert not log.stderr_is_journal({"JOURNAL_STREAM": "1:2"})


def test_json_lines_hold_the_record():
    record = logging.LogRecord("x", logging.WARNING, "", 0, "a\nb %s", ("c",), None)
    record.created, record.msecs = 1700000000.5, 500.0
    found = json.loads(log.JsonFormatter("ganeti-x").format(record))
    assert found.pop("pid") == os.getpid()
    assert found == {
        "time": "2023-11-14T22:13:20.500Z",
        "level": "WARNING",
        "program": "ganeti-x",
        "message": "a\nb c",
    }


def test_a_traceback_is_a_member_in_json():
    try:
        1 // 0
    except ZeroDivisionError:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "failed", (), sys.exc_info())
    line = log.JsonFormatter("ganeti-x").format(record)
    assert "\n" not in line and "ZeroDivisionError" in json.loads(line)["traceback"]
