"""Processes that outlived the daemon that started them are found and ended."""

import contextlib
import os
import signal
import subprocess
import time

import pytest

from ganeti.utils import orphans, process

MARK = f"MARK_OF_THIS_TEST=a{os.getpid()}"


@pytest.fixture
def script():
    """Yield a function that starts a line of shell, marked, in a new session; it runs on return."""
    children = []

    def start(line, mark=MARK):
        name, _, value = mark.partition("=")
        child = subprocess.Popen(
            ["/bin/sh", "-c", line],
            env={"PATH": process.SAFE_PATH, name: value},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        children.append(child)
        return child, child.stdout.readline().split()

    yield start
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # the shell's children do not end with it
        child.wait()
        child.stdout.close()


def ended(pid):
    return orphans._read_living(int(pid)) is None


def test_a_marked_program_and_its_children_end(script):
    child, (other,) = script("env -i sleep 1000 & echo $!; wait")
    assert orphans.end({MARK}) == 2
    assert child.wait(10) == -15 and ended(other)


def test_children_with_a_session_of_their_own_end_too(script):
    _, (other,) = script("setsid sh -c 'echo $$; exec sleep 1000' & wait")
    orphans.end({"NOBODY_HAS=this", MARK})
    assert ended(other)


def test_one_that_does_not_listen_is_killed(script):
    child, _ = script("trap '' TERM; echo; while :; do sleep 0.01; done")
    assert orphans.end({MARK}, grace_seconds=0.2) >= 1
    assert child.wait(10) == -9


def test_others_are_spared(script):
    child, _ = script("echo; sleep 1000", mark=f"{MARK}b")
    assert orphans.end({MARK}) == 0 and orphans.end(set()) == 0
    assert child.poll() is None


def test_a_name_may_hold_anything(script, tmp_path):
    odd = tmp_path / "a) R 1"
    odd.symlink_to("/bin/sleep")
    child, _ = script(f"echo; exec '{odd}' 1000")
    assert orphans.end({MARK}) == 1 and child.wait(10) == -15


def test_what_cannot_be_ended_is_told(script, monkeypatch, caplog):
    child, _ = script("echo; sleep 1000")
    monkeypatch.setattr(orphans.signal, "pidfd_send_signal", _refuse)
    orphans.end({MARK}, grace_seconds=0)
    assert f"Cannot end process {child.pid}" in caplog.text and "cannot be ended" in caplog.text


def _refuse(handle, number):
    raise PermissionError("not yours")


# -- the family of a program ------------------------------------------------------------------


def family(root, **values):
    return orphans.end_family(root, **{"output": "", "grace_seconds": 0.2, **values})


def test_where_a_descriptor_leads_is_told_in_the_kernels_words(tmp_path):
    with open(tmp_path / "log", "w") as file:
        assert orphans.descriptor_target(file.fileno()) == str(tmp_path / "log")
    assert orphans.descriptor_target(0, pid=0) == ""


def test_a_family_is_what_descends_from_its_head(script):
    child, (other,) = script("setsid env -i sh -c 'echo $$; exec sleep 1000' & wait")
    assert family(child.pid) == 2 and ended(other) and child.wait(10) == -15


def test_others_are_no_family(script):
    older, _ = script("echo; sleep 1000")
    child, _ = script("echo; exec sleep 1000", mark=f"{MARK}b")
    assert family(child.pid) == 1
    assert older.poll() is None


def test_what_was_there_before_is_spared_whatever_it_has(script):
    older, _ = script("echo; exec sleep 1000")
    _wait_a_tick()
    child, _ = script("echo; exec sleep 1000")
    assert family(child.pid, variable=MARK) == 1
    assert older.poll() is None


def _wait_a_tick():
    """Wait until a new process has a later start time than all before it."""
    begun = time.clock_gettime(time.CLOCK_BOOTTIME)
    while time.clock_gettime(time.CLOCK_BOOTTIME) < begun + 2 / os.sysconf("SC_CLK_TCK"):
        pass


def test_a_process_that_leaves_its_session_is_still_the_same():
    to_child, from_child = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.read(to_child[0], 1)
        os.setsid()
        os.write(from_child[1], b"x")
        os.read(to_child[0], 1)
        os._exit(0)
    try:
        before = orphans._read_living(child)
        os.write(to_child[1], b"x")
        os.read(from_child[0], 1)
        after = orphans._read_living(child)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        for fd in (*to_child, *from_child):
            os.close(fd)
    assert before.session != after.session and before == after


def test_a_process_in_the_middle_of_execve_is_looked_at_again(monkeypatch):
    # The kernel shows neither environment nor arguments until the new program is set up.
    looks = {"environ": iter([b"", b"", b"A=1\0MARK=x\0"]), "cmdline": iter([b""])}
    monkeypatch.setattr(orphans, "_read_proc", lambda _, name: next(looks[name]))
    assert b"MARK=x" in orphans._environment(os.getpid())


def test_a_program_without_an_environment_is_not_waited_for(monkeypatch):
    looks = {"environ": iter([b"", b""]), "cmdline": iter([b"sleep\0"])}
    monkeypatch.setattr(orphans, "_read_proc", lambda _, name: next(looks[name]))
    assert orphans._environment(os.getpid()) == {b""}
