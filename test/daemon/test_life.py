"""Daemons as processes: detaching, the pid lock, signals, reports of a failed start."""

import os
import signal
import socket
import subprocess
import sys
import threading
from unittest import mock

import pytest

from ganeti import daemon

SCRIPT = """
import os, sys, threading
from ganeti import daemon, errors

class Small(daemon.Daemon):
    name = "ganeti-small"
    user = group = "nosuchuser"

    def __init__(self, folder, fail):
        self.pid_file, self.log_file = folder + "/pid", folder + "/log"
        self.folder, self.fail = folder, fail
        self.ended = threading.Event()

    def note(self, word):
        with open(self.folder + "/story", "a") as file:
            file.write(word + "\\n")

    def bind(self):
        self.note("bind")
        if self.fail == "bind":
            raise errors.ConfigurationError("the key is missing")

    def start(self):
        self.note("start")
        if self.fail == "start":
            raise daemon.DaemonError("no cluster", 12)
        if self.fail == "mistake":
            raise RuntimeError("never thought of")

    def serve(self):
        self.note("serve")
        if self.fail == "serve":
            raise RuntimeError("broken")
        while not self.ended.wait(0.05):
            pass

    def stop(self):
        self.note("stop")
        self.ended.set()

    def reload(self):
        self.note("reload")

    def finish(self):
        self.note("finish")

folder, fail, foreground = sys.argv[1:]
sys.exit(daemon.run(Small(folder, fail), daemon.Options(foreground=foreground == "yes")))
"""

PATIENCE = 30


def command(folder, fail="", foreground="no"):
    return [sys.executable, "-c", SCRIPT, str(folder), fail, foreground]


def run(folder, fail="", foreground="no"):
    return subprocess.run(
        command(folder, fail, foreground),
        text=True,
        timeout=PATIENCE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def until(condition):
    tick = threading.Event()
    for _ in range(PATIENCE * 100):
        if condition():
            return
        tick.wait(0.01)
    raise AssertionError("it never came")


def story(folder):
    return (folder / "story").read_text().split() if (folder / "story").exists() else []


@pytest.fixture
def running(tmp_path):
    """Start a detached daemon and yield its pid; end it afterwards."""
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    pid = int((tmp_path / "pid").read_text())
    yield pid
    if (tmp_path / "pid").exists():
        os.kill(pid, signal.SIGTERM)
        until(lambda: not (tmp_path / "pid").exists())


def test_the_parent_returns_when_clients_are_answered(running, tmp_path):
    assert story(tmp_path)[:2] == ["bind", "start"]
    assert os.getsid(running) != os.getsid(0)
    assert os.readlink(f"/proc/{running}/fd/0") == "/dev/null"


def test_sigterm_ends_it_and_the_pid_file_goes(running, tmp_path):
    until(lambda: "serve" in story(tmp_path))
    os.kill(running, signal.SIGTERM)
    until(lambda: not (tmp_path / "pid").exists())
    assert story(tmp_path) == ["bind", "start", "serve", "stop", "finish"]
    assert "Received SIGTERM" in (tmp_path / "log").read_text()


def test_sighup_reloads(running, tmp_path):
    until(lambda: "serve" in story(tmp_path))
    os.kill(running, signal.SIGHUP)
    until(lambda: "reload" in story(tmp_path))


def test_a_second_one_is_told_who_runs(running, tmp_path):
    done = run(tmp_path)
    assert done.returncode == 1 and f"already running with pid {running}" in done.stderr


def test_a_pid_file_that_nobody_locks_means_nothing(tmp_path):
    (tmp_path / "pid").write_text("1\n")
    done = run(tmp_path, fail="serve", foreground="yes")
    assert "serve" in story(tmp_path) and done.returncode == 1


@pytest.mark.parametrize("foreground", ["yes", "no"])
@pytest.mark.parametrize(
    "fail, code, words", [("bind", 1, "the key is missing"), ("start", 12, "no cluster")]
)
def test_a_failed_start_is_told_on_the_terminal(tmp_path, fail, code, words, foreground):
    done = run(tmp_path, fail, foreground)
    assert done.returncode == code and words in done.stderr
    assert story(tmp_path)[-1] == "finish" and words in (tmp_path / "log").read_text()


@pytest.mark.parametrize("foreground", ["yes", "no"])
def test_a_start_that_fails_by_our_own_mistake_is_in_the_log(tmp_path, foreground):
    assert run(tmp_path, "mistake", foreground).returncode == 1
    assert story(tmp_path)[-1] == "finish"
    assert "never thought of" in (tmp_path / "log").read_text()


def test_a_missing_directory_is_named(tmp_path):
    done = run(tmp_path / "none")
    assert done.returncode == 1 and done.stderr == (
        f"ganeti-small: the directory of the pid file, {tmp_path}/none, does not exist\n"
    )


def test_a_reload_and_a_stop_are_told_to_the_service_manager(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        child = subprocess.Popen(
            command(tmp_path, foreground="yes"),
            env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")},
        )
        assert manager.recv(100) == b"READY=1"
        child.send_signal(signal.SIGHUP)
        assert manager.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert manager.recv(100) == b"READY=1"
        child.send_signal(signal.SIGTERM)
        assert manager.recv(100) == b"STOPPING=1"
        assert child.wait(PATIENCE) == 0


def test_signals_without_a_meaning_are_logged_and_ignored(tmp_path):
    assert run(tmp_path).returncode == 0
    pid = int((tmp_path / "pid").read_text())
    odd = [
        "SIGUSR1",
        "SIGUSR2",
        "SIGQUIT",
        "SIGALRM",
        "SIGVTALRM",
        "SIGPROF",
        "SIGIO",
        "SIGPWR",
        "SIGRTMIN",
        "SIGRTMAX",
        "SIGSTKFLT",
    ]
    try:
        for name in odd:
            os.kill(pid, getattr(signal, name))
        os.kill(pid, signal.SIGRTMIN + 1)
        until(lambda: all(name in (tmp_path / "log").read_text() for name in odd))
        until(
            lambda: (
                f"Ignoring signal {signal.SIGRTMIN + 1}, which has no meaning for ganeti-small"
                in (tmp_path / "log").read_text()
            )
        )
    finally:
        os.kill(pid, signal.SIGTERM)
        until(lambda: not (tmp_path / "pid").exists())
    assert story(tmp_path)[-2:] == ["stop", "finish"]


def test_warnings_about_the_start_are_shown_on_the_terminal(tmp_path):
    script = SCRIPT.replace('self.note("start")', 'self.warn("mind the gap")')
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), "", "no"],
        text=True,
        stderr=subprocess.PIPE,
        timeout=PATIENCE,
    )
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)
    assert (done.returncode, done.stderr) == (0, "ganeti-small: warning: mind the gap\n")
    assert "WARNING mind the gap" in (tmp_path / "log").read_text()
    until(lambda: not (tmp_path / "pid").exists())


class TestCheckRole:
    """Exit codes for systemd's ExecCondition=."""

    @pytest.mark.parametrize("code, expected", [(11, 11), (12, 12), (1, 255)])
    def test_reasons_not_to_start_have_their_exit_codes(self, code, expected, capsys):
        small = daemon.Daemon()
        small.name = "ganeti-small"
        small.check_role = mock.Mock(side_effect=daemon.DaemonError("not here", code))
        assert daemon.check_role(small) == expected
        assert capsys.readouterr().err == "ganeti-small: not here\n"

    def test_a_file_that_cannot_be_read_fails_the_unit(self, capsys):
        small = daemon.Daemon()
        small.name = "ganeti-small"
        small.check_role = mock.Mock(side_effect=PermissionError(13, "Permission denied", "/x"))
        assert daemon.check_role(small) == 255
        assert capsys.readouterr().err == "ganeti-small: /x: Permission denied\n"

    def test_a_daemon_that_may_run_here_exits_with_0(self):
        assert daemon.check_role(daemon.Daemon()) == 0


def test_a_failure_while_serving_is_logged_and_ends_with_1(tmp_path):
    assert run(tmp_path, "serve", "yes").returncode == 1
    assert "RuntimeError: broken" in (tmp_path / "log").read_text()


def test_a_pid_file_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "other").write_text("untouched")
    (tmp_path / "pid").symlink_to(tmp_path / "other")
    assert run(tmp_path, fail="serve", foreground="yes").returncode == 1
    assert story(tmp_path) == [] and (tmp_path / "other").read_text() == "untouched"


def test_a_pid_file_that_is_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pid")
    done = run(tmp_path)
    assert done.returncode == 1 and f"{tmp_path}/pid is not a regular file" in done.stderr


def test_descriptors_that_are_closed_stay_out_of_the_way(tmp_path):
    script = 'exec "$@" <&- >&- 2>&-'
    assert subprocess.run(["sh", "-c", script, "sh", *command(tmp_path)]).returncode == 0
    try:
        assert run(tmp_path).returncode == 1, "the pid lock was lost"
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)
        until(lambda: not (tmp_path / "pid").exists())
