"""Handing sockets to a successor, and its report."""

import os
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import unittest

from ganeti.daemon import handover
from ganeti.daemon.pid_file import PidFile
from ganeti.utils import procfs

SUCCESSOR = """
    import os, sys
    sys.path[:0] = PATH
    from ganeti.daemon import handover
    inherited = handover.inherit(os.environ)
    sockets = handover.take_sockets(os.environ)
    left = [name for name in os.environ if name.startswith(("LISTEN", "GANETI_SUCC"))]
    os.pwrite(inherited.pid_fd, b"seen", 0)
    inherited.report(f"{[sock.getsockname()[1] for sock in sockets]} {os.getcwd()} {left}", 3)
"""

GIVEN = """
    import contextlib, os, socket, sys
    sys.path[:0] = PATH
    from ganeti.daemon import handover
    with contextlib.suppress(OSError):
        CODE
    try:
        handover.take_sockets({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})
    except OSError as err:
        print(err.strerror)
"""


def start(script, listeners, folder="/", **options):
    """Return a successor that runs a script, with a plain file as its pid file."""
    code = textwrap.dedent(script).replace("PATH", repr(sys.path))
    file = os.memfd_create("pid")
    try:
        return handover.start(
            [sys.executable, "-c", code], folder, listeners, file, os.environ, **options
        ), os.dup(file)
    finally:
        os.close(file)


class TestSuccession(unittest.TestCase):
    def setUp(self):
        self.listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        for listener in self.listeners:
            self.addCleanup(listener.close)

    def start(self, script, **options):
        found, self.pid_file = start(script, self.listeners, **options)
        self.addCleanup(os.close, self.pid_file)
        return found

    def test_it_has_the_sockets_the_file_and_the_folder(self):
        found = self.start(SUCCESSOR, folder="/tmp")
        ports = [sock.getsockname()[1] for sock in self.listeners]
        self.assertEqual(found.problem(), f"{ports} {os.path.realpath('/tmp')} []")
        self.assertEqual(os.pread(self.pid_file, 10, 0), b"seen")
        found.end()

    def test_a_successor_that_is_ready_has_no_problem(self):
        found = self.start(SUCCESSOR.replace(", 3)", ", 0)"))
        self.assertEqual(found.problem(), "")
        found.end()

    def test_a_successor_starts_in_the_root_where_its_folder_is_closed(self):
        found = self.start(SUCCESSOR, folder="/nowhere")
        self.assertIn("] / []", found.problem())
        found.end()

    def test_a_successor_that_dies_is_reported(self):
        found = self.start("raise SystemExit(1)")
        self.assertEqual(found.problem(), "it ended without a message")
        found.end()
        found.end()  # it has ended before

    def test_the_error_output_of_one_that_dies_is_reported(self):
        found = self.start("import nosuchmodule", keep_stderr=False)
        self.assertIn("ModuleNotFoundError: No module named 'nosuchmodule'", found.problem())
        found.end()

    def test_a_program_that_is_gone_is_reported(self):
        file = os.memfd_create("pid")
        self.addCleanup(os.close, file)
        found = handover.start(
            ["/nowhere/ganeti-rapi"], "/", self.listeners, file, os.environ, keep_stderr=False
        )
        self.assertIn("/nowhere/ganeti-rapi", found.problem())
        found.end()

    def test_one_that_hangs_is_ended(self):
        found = self.start("import time; time.sleep(600)")
        found.end()
        self.assertIsNone(procfs.name_of(found.pid))  # init may not have reaped it yet

    def test_it_is_no_child_of_the_one_that_started_it(self):
        found = self.start("import time; time.sleep(600)")
        self.assertRaises(ChildProcessError, os.waitpid, found.pid, os.WNOHANG)
        found.end()


class TestTaking(unittest.TestCase):
    def test_what_is_for_another_process_is_not_for_us(self):
        environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x", "A": "b"}
        self.assertEqual(handover.take_sockets(environment), [])
        self.assertEqual(environment, {"A": "b"})

    def test_counts_that_are_no_numbers_are_ignored(self):
        for count in ("", "x", "-1"):
            environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count}
            self.assertEqual(handover.take_sockets(environment), [])

    def test_descriptors_that_do_not_listen_are_named(self):
        for code, words in (
            ("os.close(3)", "descriptor 3 is not a socket"),
            ("os.dup2(os.open('/dev/null', os.O_RDONLY), 3)", "is not a socket"),
            ("os.dup2(socket.socket().detach(), 3)", "does not listen"),
        ):
            done = subprocess.run(
                [
                    sys.executable,
                    "-c",
                    textwrap.dedent(GIVEN).replace("PATH", repr(sys.path)).replace("CODE", code),
                ],
                stdout=subprocess.PIPE,
                text=True,
            )
            self.assertIn(words, done.stdout)

    def test_without_a_predecessor_nothing_is_inherited(self):
        self.assertIsNone(handover.inherit({}))
        self.assertIsNone(handover.inherit({"GANETI_SUCCESSION": "3"}))


class TestFollowing(unittest.TestCase):
    """The first process stays until the last successor has ended."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.pid_file = PidFile.create(folder.name + "/pid", "ganeti-test")
        self.addCleanup(self.pid_file.close)

    def child(self, script):
        """Start a child that runs a line of shell once ``follow`` has written its pid."""
        child = subprocess.Popen(
            ["sh", "-c", "read go; " + script, self.pid_file.path], stdin=subprocess.PIPE, text=True
        )
        self.addCleanup(child.wait)
        return child

    def follow(self, child):
        with open(self.pid_file.path, "w") as file:
            file.write(f"{child.pid}\n")
        child.stdin.write("go\n")
        child.stdin.close()
        return handover.follow(self.pid_file, child.pid)

    def test_one_that_removes_its_pid_file_has_ended_well(self):
        self.assertIsNone(self.follow(self.child('rm "$0"')))

    def test_one_that_leaves_its_pid_file_has_crashed(self):
        child = self.child("kill -9 $$")
        self.assertEqual(self.follow(child), child.pid)

    def test_a_successor_of_the_successor_is_followed(self):
        next_one = self.child('rm "$0"')
        first = self.child(f'echo {next_one.pid} > "$0"')
        timer = threading.Timer(0.1, next_one.stdin.close)  # its "read" ends then
        timer.start()
        self.addCleanup(timer.join)
        self.assertIsNone(self.follow(first))
        next_one.wait()

    def test_one_that_is_gone_already_has_crashed(self):
        child = self.child("exit 0")
        child.communicate("go\n")
        with open(self.pid_file.path, "w") as file:
            file.write(f"{child.pid}\n")
        self.assertEqual(handover.follow(self.pid_file, child.pid), child.pid)
