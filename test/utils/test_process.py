"""Programs that we run: their environment, their output, their end."""

import contextlib
import os
import signal
import threading
from pathlib import Path

import pytest

from ganeti import errors
from ganeti.utils import process

PATH = {"PATH": process.SAFE_PATH}


@pytest.fixture
def shell(tmp_path):
    """Return a function that runs a line of shell and returns how it ended; see ``log``."""

    def run(line, environment=PATH, mark="", **limits):
        return process.run_logged(program(line, environment, mark, **limits), str(tmp_path / "log"))

    return run


def program(line, environment=PATH, mark="", **limits):
    return process.Program(
        ["/bin/sh", "-c", line], environment, mark=mark, limits=process.Limits(**limits)
    )


def test_output_and_errors_are_appended_to_the_log(shell, tmp_path):
    shell("echo one; echo two >&2")
    shell("echo three")
    assert (tmp_path / "log").read_text() == "one\ntwo\nthree\n"
    assert os.stat(tmp_path / "log").st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "line, status, words",
    [
        ("exit 0", 0, "exit code 0"),
        ("exit 3", 3, "exit code 3"),
        ("kill -9 $$", -9, "killed by signal 9"),
    ],
)
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

    def watch(handle):  # holds the read end until all writers are gone
        with open(fifo, "rb") as file:
            file.read(1)
            started.set()
            file.read()
            handle.append("everybody has gone")

    gone = []
    thread = threading.Thread(target=watch, args=(gone,))
    thread.start()
    ended = shell(
        f"exec 3>{fifo}; echo x >&3; sleep 1000 & sleep 1000",
        cancelled=started.is_set,
        poll_seconds=0.01,
    )
    thread.join(30)
    assert ended.cancelled and ended.status == -15 and gone


def test_what_does_not_listen_is_killed(shell, tmp_path):
    ready = tmp_path / "ready"
    ended = shell(
        f"trap '' TERM; : > {ready}; while :; do sleep 1000; done",
        cancelled=ready.exists,
        poll_seconds=0.01,
        grace_seconds=0.05,
    )
    assert (ended.status, ended.cancelled) == (-9, True)


def test_what_cannot_be_started_is_told(tmp_path):
    missing = process.Program(["/nonexistent"], PATH)
    with pytest.raises(errors.CommandError, match="cannot run /nonexistent: No such file"):
        process.run_logged(missing, str(tmp_path / "log"))
    with pytest.raises(errors.CommandError, match="cannot run /nonexistent: No such file"):
        process.run_captured(missing)
    with pytest.raises(errors.CommandError, match="cannot write"):
        process.run_logged(program("true"), str(tmp_path / "no/log"))


# -- what a program leaves behind ------------------------------------------------------------


@pytest.mark.parametrize(
    "child",
    [
        "sleep 1000",
        "setsid sleep 1000",
        "setsid sleep 1000 >/dev/null 2>&1",
        "setsid env -i sleep 1000",
        "env -i sleep 1000 >/dev/null 2>&1",
    ],
)
def test_what_a_failed_program_started_ends_with_it(shell, alive, child):
    ended = shell(
        f"{alive.begin}; {child} & {alive.wait}; exit 3", {**PATH, "MARK": "a-run"}, mark="MARK"
    )
    assert ended.status == 3 and alive.over()


@pytest.mark.parametrize(
    "child",
    [
        "setsid sh -c 'sleep 1000 & wait' >/dev/null 2>&1",
        "setsid env -i sleep 1000 >/dev/null 2>&1",
    ],
)
def test_what_a_canceled_program_started_ends_with_it(shell, alive, child):
    ended = shell(
        f"{alive.begin}; {child} & {alive.wait}; sleep 1000",
        cancelled=alive.begun,
        poll_seconds=0.01,
    )
    assert ended.cancelled and alive.over()


def test_what_a_program_that_succeeded_started_goes_on(shell, alive, tmp_path):
    assert shell(f"{alive.begin}; setsid sleep 1000 & {alive.wait}; echo $!").status == 0
    goes_on = not alive.over()
    os.kill(int((tmp_path / "log").read_text()), signal.SIGKILL)
    assert goes_on


@pytest.fixture
def alive(tmp_path):
    """Yield a fifo that a program and its children hold open for writing until they end."""
    found = _Alive(tmp_path / "fifo")
    yield found
    found.close()


class _Alive:
    def __init__(self, path):
        os.mkfifo(path)
        self.begin = f"exec 9>{path}"
        self.wait = "echo >&9"
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def begun(self):
        with contextlib.suppress(BlockingIOError):
            return bool(os.read(self._fd, 1))
        return False

    def over(self):
        """Return whether all writers have closed it; called when the program has ended."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._fd, 1):
                pass
            return True
        return False

    def close(self):
        os.close(self._fd)


# -- output ----------------------------------------------------------------------------------


def test_captured_output_comes_with_the_end():
    ended, output = process.run_captured(program("echo one; echo two >&2; exit 3"))
    assert (str(ended), output) == ("exit code 3", "one\ntwo\n")


def test_of_much_output_the_end_is_kept():
    ended, output = process.run_captured(program("yes | head -c 3000000; echo; echo last"))
    assert ended.status == 0 and output.endswith("\nlast\n") and len(output) <= 16384


def test_a_program_has_its_time():
    ended, output = process.run_captured(
        program(
            "trap '' TERM; echo begun; while :; do sleep 1000; done",
            seconds=0.1,
            poll_seconds=0.01,
            grace_seconds=0.01,
        )
    )
    assert (str(ended), ended.status, output) == ("not done after 0.1 seconds", -9, "begun\n")


def test_a_child_that_goes_on_holds_nobody_up():
    ended, output = process.run_captured(program("setsid yes & exit 0"))
    assert ended.status == 0 and len(output) <= 16384


def test_the_end_of_a_log_begins_with_a_whole_line(tmp_path):
    log = Path(tmp_path / "log")
    log.write_bytes(b"x" * 100_000 + b"\nlast but one\nla\xffst\n")
    assert process.tail(str(log)) == "last but one\nla\N{REPLACEMENT CHARACTER}st\n"
    assert process.tail(str(tmp_path / "none")) == ""


def test_output_is_returned_and_failure_told_with_its_last_words():
    assert process.output_of(["echo", "words"]) == b"words\n"
    assert process.output_of(["cat"]) == b"" and process.output_of(["cat"], data=b"x") == b"x"
    with pytest.raises(errors.CommandError, match=r"sh failed \(exit code 2\): last"):
        process.output_of(["sh", "-c", "echo first >&2; echo last >&2; exit 2"])
    with pytest.raises(errors.CommandError, match="nonexistent is missing"):
        process.output_of(["nonexistent"])
    with pytest.raises(errors.CommandError, match="cannot run /etc"):
        process.output_of(["/etc"])
