"""Daemons as processes: detaching, the pid lock, signals, how a failed start is told."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from ganeti import constants

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
    return subprocess.run(command(folder, fail, foreground), text=True, timeout=PATIENCE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


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
    """A detached one; its pid. It is ended afterwards."""
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
@pytest.mark.parametrize("fail, code, words", [
    ("bind", 1, "the key is missing"), ("start", 12, "no cluster")])
def test_a_failed_start_is_told_on_the_terminal(tmp_path, fail, code, words, foreground):
    done = run(tmp_path, fail, foreground)
    assert done.returncode == code and words in done.stderr
    assert story(tmp_path)[-1] == "finish" and words in (tmp_path / "log").read_text()


@pytest.mark.parametrize("foreground", ["yes", "no"])
def test_a_start_that_fails_by_our_own_mistake_is_in_the_log(tmp_path, foreground):
    assert run(tmp_path, "mistake", foreground).returncode == 1
    assert story(tmp_path)[-1] == "finish"
    assert "never thought of" in (tmp_path / "log").read_text()


def test_a_missing_directory_means_no_cluster(tmp_path):
    done = run(tmp_path / "none")
    assert done.returncode == constants.EXIT_NODESETUP_ERROR and "ganeti-cluster" in done.stderr


def test_a_failure_while_serving_is_logged_and_ends_with_1(tmp_path):
    assert run(tmp_path, "serve", "yes").returncode == 1
    assert "RuntimeError: broken" in (tmp_path / "log").read_text()


def test_a_pid_file_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "other").write_text("untouched")
    (tmp_path / "pid").symlink_to(tmp_path / "other")
    assert run(tmp_path, fail="serve", foreground="yes").returncode == 1
    assert story(tmp_path) == [] and (tmp_path / "other").read_text() == "untouched"


def test_a_pid_file_that_is_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pid")
    done = run(tmp_path)
    assert done.returncode == 1 and f"{tmp_path}/pid is no regular file" in done.stderr


def test_descriptors_that_are_closed_stay_out_of_the_way(tmp_path):
    script = 'exec "$@" <&- >&- 2>&-'
    assert subprocess.run(["sh", "-c", script, "sh", *command(tmp_path)]).returncode == 0
    try:
        assert run(tmp_path).returncode == 1, "the pid lock was lost"
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)
        until(lambda: not (tmp_path / "pid").exists())
