"""One line per record, whatever a client put into it."""

import json
import logging
import os
import sys

import pytest

from ganeti.utils import log


@pytest.fixture(autouse=True)
def put_back():
    root = logging.getLogger()
    handlers, level, raising = list(root.handlers), root.level, logging.raiseExceptions
    factory = logging.getLogRecordFactory()
    yield
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
    for debug, lines in ((False, 0), (True, 1)):
        path = tmp_path / f"log{debug}"
        log.setup("ganeti-test", str(path), debug=debug)
        logging.debug("detail")
        assert len(path.read_text().splitlines()) == lines


def test_a_rotated_log_goes_on_in_a_new_file(tmp_path):
    path = tmp_path / "log"
    log.setup("ganeti-test", str(path))
    logging.info("one")
    path.rename(tmp_path / "log.1")
    log.reopen()
    logging.info("two")
    assert path.read_text().endswith("two\n")


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "log").symlink_to(tmp_path / "other")
    with pytest.raises(OSError):
        log.setup("ganeti-test", str(tmp_path / "log"))
    assert not (tmp_path / "other").exists()


def test_a_pipe_is_no_log(tmp_path):
    os.mkfifo(tmp_path / "log")
    with pytest.raises(OSError):            # and nobody waits for a reader
        log.setup("ganeti-test", str(tmp_path / "log"))
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(OSError, match="no regular file"):
        log.setup("ganeti-test", str(tmp_path / "log"))
    os.close(reader)


@pytest.mark.parametrize("plant", [
    lambda path: path.mkdir(), lambda path: path.symlink_to("/dev/null"), os.mkfifo])
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
    path.symlink_to("/nonexistent")         # what chown() of the path would follow
    owned = []
    monkeypatch.setattr(os, "fchown", lambda fd, *ids: owned.append((os.fstat(fd).st_ino, ids)))
    log.own_files(1, 2)
    assert owned == [(inode, (1, 2))]


def test_syslog_only_writes_no_file(tmp_path, monkeypatch):
    class Fake(logging.Handler):
        def __init__(self, address, facility):
            super().__init__()
            lines.append(address)

        def emit(self, record):
            lines.append(self.format(record))
        LOG_DAEMON = 3
    lines = []
    monkeypatch.setattr(logging.handlers, "SysLogHandler", Fake)
    log.setup("ganeti-test", str(tmp_path / "log"), syslog="only")
    logging.warning("words")
    assert lines == ["/dev/log", f"ganeti-test[{os.getpid()}]: WARNING words"]
    log.setup("ganeti-test", str(tmp_path / "log"), syslog="only", json_lines=True)
    logging.warning("words\n")
    tag, found = lines[-1].split(": ", 1)
    assert tag == f"ganeti-test[{os.getpid()}]" and json.loads(found)["message"] == "words\n"
    assert not (tmp_path / "log").exists()


def test_json_lines():
    record = logging.LogRecord("x", logging.WARNING, "", 0, "a\nb %s", ("c",), None)
    record.created, record.msecs = 1700000000.5, 500.0
    found = json.loads(log.JsonFormatter("ganeti-x").format(record))
    assert found.pop("pid") == os.getpid()
    assert found == {"time": "2023-11-14T22:13:20.500Z", "level": "WARNING",
                     "program": "ganeti-x", "message": "a\nb c"}


def test_a_traceback_in_json():
    try:
        1 // 0
    except ZeroDivisionError:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "failed", (), sys.exc_info())
    line = log.JsonFormatter("ganeti-x").format(record)
    assert "\n" not in line and "ZeroDivisionError" in json.loads(line)["traceback"]
