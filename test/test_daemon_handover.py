"""Sockets for a successor, and what it says."""

import os
import socket
import subprocess
import sys
import textwrap
import unittest

from ganeti.daemon import handover

SUCCESSOR = """
    import os, sys
    sys.path[:0] = PATH
    from ganeti.daemon import handover
    place = handover.take_place(os.environ)
    sockets = handover.take_sockets(os.environ)
    left = [name for name in os.environ if name.startswith(("LISTEN", "GANETI_SUCC"))]
    os.pwrite(place.pid_fd, b"seen", 0)
    place.tell(f"{[sock.getsockname()[1] for sock in sockets]} {os.getcwd()} {left}", 3)
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


def start(script, listeners, folder="/"):
    """A successor that runs a script, and a file in the place of its pid file."""
    code = textwrap.dedent(script).replace("PATH", repr(sys.path))
    file = os.memfd_create("pid")
    try:
        return handover.start([sys.executable, "-c", code], folder, listeners, file,
                              os.environ), os.dup(file)
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
        self.assertEqual(found.hear(), f"{ports} {os.path.realpath('/tmp')} []")
        self.assertEqual(os.pread(self.pid_file, 10, 0), b"seen")
        found.end()

    def test_ready(self):
        found = self.start(SUCCESSOR.replace(", 3)", ", 0)"))
        self.assertEqual(found.hear(), "")
        found.end()

    def test_a_folder_that_only_root_can_enter(self):
        found = self.start(SUCCESSOR, folder="/nowhere")
        self.assertIn("] / []", found.hear())
        found.end()

    def test_one_that_dies(self):
        found = self.start("raise SystemExit(1)")
        self.assertEqual(found.hear(), "it said nothing")
        found.end()
        found.end()                     # gone long ago

    def test_one_that_hangs_is_ended(self):
        found = self.start("import time; time.sleep(600)")
        found.end()
        self.assertRaises(ProcessLookupError, os.kill, found.pid, 0)


class TestTaking(unittest.TestCase):
    def test_what_is_for_another_process_is_not_for_us(self):
        environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x", "A": "b"}
        self.assertEqual(handover.take_sockets(environment), [])
        self.assertEqual(environment, {"A": "b"})

    def test_nonsense(self):
        for count in ("", "x", "-1"):
            environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count}
            self.assertEqual(handover.take_sockets(environment), [])

    def test_descriptors_that_are_no_listening_sockets(self):
        for code, words in (("os.close(3)", "descriptor 3 is no socket"),
                            ("os.dup2(os.open('/dev/null', os.O_RDONLY), 3)", "is no socket"),
                            ("os.dup2(socket.socket().detach(), 3)", "does not listen")):
            done = subprocess.run([sys.executable, "-c", textwrap.dedent(GIVEN).replace(
                "PATH", repr(sys.path)).replace("CODE", code)], stdout=subprocess.PIPE, text=True)
            self.assertIn(words, done.stdout)

    def test_no_predecessor(self):
        self.assertIsNone(handover.take_place({}))
        self.assertIsNone(handover.take_place({"GANETI_SUCCESSION": "3"}))
