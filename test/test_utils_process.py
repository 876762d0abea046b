"""Programs that we run: what they get, what is kept, how they end."""

import os
import threading
from pathlib import Path

import pytest

from ganeti import errors
from ganeti.utils import process

PATH = {"PATH": process.SAFE_PATH}


@pytest.fixture
def shell(tmp_path):
    """Runs a line of shell; answers how it ended, and keeps its log in ``log``."""
    def run(line, environment=PATH, **values):
        return process.run_logged(["/bin/sh", "-c", line], environment=environment,
                                  log=str(tmp_path / "log"), **values)
    return run


def test_output_and_errors_are_appended_to_the_log(shell, tmp_path):
    shell("echo one; echo two >&2")
    shell("echo three")
    assert (tmp_path / "log").read_text() == "one\ntwo\nthree\n"
    assert os.stat(tmp_path / "log").st_mode & 0o777 == 0o600


@pytest.mark.parametrize("line, status, words", [
    ("exit 0", 0, "exit code 0"), ("exit 3", 3, "exit code 3"),
    ("kill -9 $$", -9, "killed by signal 9"),
])
def test_how_it_ended_is_told(shell, line, status, words):
    ended = shell(line)
    assert (ended.status, ended.cancelled, str(ended)) == (status, False, words)


def test_it_inherits_nothing(shell, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_DAEMON", "x")
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    shell("env; cat; ls /proc/$$/fd; pwd", {**PATH, "ONLY": "this"})
    os.close(reader)
    os.close(writer)
    log = (tmp_path / "log").read_text()
    assert "SECRET_OF_THE_DAEMON" not in log and "ONLY=this\n" in log
    assert f"\n{writer}\n" not in log and log.endswith("\n/\n")


def test_it_is_the_head_of_a_session_of_its_own(shell, tmp_path):
    shell("cut -d' ' -f1,5,6 /proc/$$/stat")
    pid, group, session = (tmp_path / "log").read_text().split()
    assert pid == group == session != str(os.getsid(0))


def test_once_canceled_it_and_its_children_end(shell, tmp_path):
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    started = threading.Event()

    def watch(handle):                      # holds the read end until all writers are gone
        with open(fifo, "rb") as file:
            file.read(1)
            started.set()
            file.read()
            handle.append("everybody has gone")
    gone = []
    thread = threading.Thread(target=watch, args=(gone,))
    thread.start()
    ended = shell(f"exec 3>{fifo}; echo x >&3; sleep 1000 & sleep 1000",
                  cancelled=started.is_set, poll_seconds=0.01)
    thread.join(30)
    assert ended.cancelled and ended.status == -15 and gone


def test_what_does_not_listen_is_killed(shell, tmp_path):
    ready = tmp_path / "ready"
    ended = shell(f"trap '' TERM; : > {ready}; while :; do sleep 1000; done",
                  cancelled=ready.exists, poll_seconds=0.01, grace_seconds=0.05)
    assert (ended.status, ended.cancelled) == (-9, True)


def test_what_cannot_be_started_is_told(tmp_path):
    with pytest.raises(errors.CommandError, match="cannot run /nonexistent: No such file"):
        process.run_logged(["/nonexistent"], environment=PATH, log=str(tmp_path / "log"))
    with pytest.raises(errors.CommandError, match="cannot write"):
        process.run_logged(["/bin/true"], environment=PATH, log=str(tmp_path / "no/log"))


def test_the_last_lines_of_a_log_are_read_from_its_end(tmp_path):
    log = Path(tmp_path / "log")
    log.write_bytes(b"x" * 100_000 + b"\nlast but one\nla\xffst\n")
    assert process.last_lines(str(log), 2) == ["last but one", "la\N{REPLACEMENT CHARACTER}st"]
    assert process.last_lines(str(tmp_path / "none"), 2) == []


def test_output_is_returned_and_failure_told_with_its_last_words():
    assert process.output_of(["echo", "words"]) == b"words\n"
    assert process.output_of(["cat"]) == b"" and process.output_of(["cat"], data=b"x") == b"x"
    with pytest.raises(errors.CommandError, match=r"sh failed \(exit code 2\): last"):
        process.output_of(["sh", "-c", "echo first >&2; echo last >&2; exit 2"])
    with pytest.raises(errors.CommandError, match="nonexistent is missing"):
        process.output_of(["nonexistent"])
    with pytest.raises(errors.CommandError, match="cannot run /etc"):
        process.output_of(["/etc"])
