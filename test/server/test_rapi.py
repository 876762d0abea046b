"""ganeti-rapi as a daemon: where it may run, its command line, its life."""

import contextlib
import io
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

from ganeti import constants
from ganeti.daemon import DaemonError
from ganeti.daemon.handover import Successor
from ganeti.pathutils import Paths
from ganeti.rapi.client import ApiError, GanetiClient
from ganeti.server import rapi
from support.http import Authority, certificate


class RootTestCase(unittest.TestCase):
    """A temporary root with a cluster's files."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.paths = Paths.from_environment({"GANETI_ROOTDIR": folder.name})
        for path in (self.paths.rapi_dir, self.paths.run_dir, self.paths.log_dir):
            os.makedirs(path)
        self.enter(mock.patch.dict(os.environ, GANETI_HOSTNAME="node1.example.com"))

    def enter(self, context):
        self.addCleanup(context.__exit__, None, None, None)
        return context.__enter__()

    def write_master(self, name):
        Path(self.paths.ssconf("master_node")).write_text(name + "\n")

    def write_users(self, text):
        Path(self.paths.users_files[0]).write_text(text)


class TestCommandLine(unittest.TestCase):
    def test_the_options_have_their_defaults(self):
        found = rapi.parse_arguments([])
        self.assertEqual(
            (
                found.bind,
                found.no_ssl,
                found.require_authentication,
                found.compat,
                found.max_clients,
                found.luxi_socket,
                found.syslog,
            ),
            (None, False, False, None, 2000, None, "no"),
        )

    def test_short_options_are_read(self):
        found = rapi.parse_arguments(["-f", "-d", "-p", "0", "-b", "::1", "-K", "k", "-C", "c"])
        self.assertEqual(
            (found.foreground, found.debug, found.port, found.bind, found.ssl_key, found.ssl_cert),
            (True, ("",), 0, "::1", "k", "c"),
        )

    def test_what_makes_no_sense_is_a_failure(self):
        for words in (
            ["--port", "x"],
            ["-p", "65536"],
            ["--max-clients", "0"],
            ["--bogus"],
            ["--compat=1.2"],
            ["-b", "::1", "-i", "lo"],
            ["--syslog=maybe"],
        ):
            with (
                self.assertRaises(SystemExit) as caught,
                contextlib.redirect_stderr(io.StringIO()) as said,
            ):
                rapi.parse_arguments(words)
            self.assertEqual(caught.exception.code, constants.EXIT_FAILURE, words)
            self.assertIn("ganeti-rapi: ", said.getvalue())

    def refused(self, *words):
        """Return the last line of the output."""
        with (
            self.assertRaises(SystemExit) as caught,
            contextlib.redirect_stderr(io.StringIO()) as said,
        ):
            rapi.parse_arguments(words)
        self.assertEqual(caught.exception.code, constants.EXIT_FAILURE, words)
        return said.getvalue().splitlines()[-1]

    def test_options_that_would_have_no_effect_are_refused(self):
        for name in ("chain", "client-ca", "client-crl"):
            self.assertEqual(
                self.refused("--no-ssl", f"--ssl-{name}=x"),
                f"ganeti-rapi: --ssl-{name} has no effect with --no-ssl; leave one of them out",
            )
        self.assertIn("needs --ssl-client-ca", self.refused("--ssl-client-crl=x"))
        # Ganeti's own daemon passes these over.
        rapi.parse_arguments(["--no-ssl", "-K", "k", "-C", "c"])

    def test_empty_values_are_refused(self):
        for name in (
            "--bind",
            "--interface",
            "--pid-file",
            "--ssl-client-ca",
            "--ssl-cert",
            "--luxi-socket",
        ):
            self.assertIn(f"argument {name}: its value is empty", self.refused(f"{name}="))
        self.assertIn("--bind", self.refused("-b", ""))

    def test_the_version_is_printed(self):
        with self.assertRaises(SystemExit), contextlib.redirect_stdout(io.StringIO()) as said:
            rapi.parse_arguments(["--version"])
        self.assertIn(constants.RELEASE_VERSION, said.getvalue())


class LifeTestCase(RootTestCase):
    def start(self, *words):
        """Start the daemon on a free port of this machine's own address."""
        self.write_master("node1.example.com")
        arguments = rapi.parse_arguments(["--no-ssl", "-p", "0", "-b", "127.0.0.1", *words])
        self.daemon = rapi.RapiDaemon(self.paths, arguments)
        self.daemon.bind()
        self.addCleanup(self.daemon.finish)
        self.daemon.start()
        thread = threading.Thread(target=self.daemon.serve)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.daemon.stop)
        return f"http://127.0.0.1:{self.daemon.port}"


class TestDaemonLife(LifeTestCase):
    def test_what_is_wrong_with_the_users_is_said_at_the_start(self):
        os.makedirs(self.paths.rapi_dir, exist_ok=True)
        with open(self.paths.users_files[0], "w") as file:
            file.write("jack word write\n")
        os.utime(self.paths.users_files[0], (1, 1))  # nobody writes to it at this moment
        with self.assertLogs(level="WARNING") as logs:
            self.start()
        self.assertIn("the passwords of jack are in clear text", "\n".join(logs.output))

    def test_files_are_found_after_detaching(self):
        arguments = rapi.parse_arguments(["--ssl-cert", "c.pem", "--luxi-socket", "/x/y"])
        rapi.RapiDaemon(self.paths, arguments)
        self.assertEqual(
            (arguments.ssl_cert, arguments.luxi_socket, arguments.ssl_key),
            (os.path.abspath("c.pem"), "/x/y", None),
        )

    def test_it_answers_without_a_master(self):
        client = GanetiClient(self.start())
        self.assertEqual(client.get_version(), 2)
        with self.assertRaises(ApiError) as caught:
            client.get_info()
        self.assertEqual(caught.exception.code, 502)

    def test_reload_takes_up_new_users(self):
        url = self.start("--require-authentication")
        client = GanetiClient(url, "late", "secret")

        def code():
            with self.assertRaises(ApiError) as caught:
                client.get_info()
            return caught.exception.code

        self.assertEqual(code(), 401)
        self.write_users("late secret\n")
        self.daemon.reload()
        self.assertEqual(code(), 502)  # let in, and no master is there

    def test_what_a_signal_asks_for_is_done_by_the_thread_that_serves(self):
        self.start()
        done, threads = threading.Event(), []
        self.daemon.wake(lambda: threads.append(threading.current_thread()) or done.set())
        self.assertTrue(done.wait(60))
        self.assertIsNot(threads[0], threading.current_thread())

    def test_a_successor_that_takes_too_long_is_ended(self):
        self.start()
        ready_reader, ready_writer = socket.socketpair()
        self.addCleanup(ready_writer.close)
        child = subprocess.Popen(["sleep", "600"])
        said, done = [], threading.Event()
        self.enter(mock.patch.object(rapi, "HAND_OVER_TIMEOUT", 0.0))
        self.enter(
            mock.patch.object(
                rapi.handover, "start", return_value=Successor(child.pid, ready_reader)
            )
        )
        self.enter(
            mock.patch.object(rapi.logger, "error", lambda *words: said.append(words) or done.set())
        )
        self.daemon.pid = mock.Mock(fd=0)
        self.daemon.wake(self.daemon.hand_over)
        self.assertTrue(done.wait(60))
        self.assertEqual(said[0][1], "it is not ready after 0 s")
        self.assertIn(child.wait(60), (-9, 0))  # 0: the daemon has waited for it, not we

    def test_a_stop_before_it_serves_ends_it(self):
        self.write_master("node1.example.com")
        daemon = rapi.RapiDaemon(
            self.paths, rapi.parse_arguments(["--no-ssl", "-p", "0", "-b", "127.0.0.1"])
        )
        daemon.bind()
        daemon.stop()
        daemon.start()
        daemon.serve()
        daemon.finish()

    def test_open_to_everybody_is_a_warning(self):
        for words, expected in (
            (["-b", "0.0.0.0"], True),
            (["-b", "127.0.0.1"], False),
            (["-b", "0.0.0.0", "--require-authentication"], False),
        ):
            self.write_master("node1.example.com")
            daemon = rapi.RapiDaemon(
                self.paths, rapi.parse_arguments(["--no-ssl", "-p", "0", *words])
            )
            daemon.bind()
            daemon.finish()
            self.assertEqual(
                any("open to everybody" in line for line in daemon.warnings), expected, words
            )

    def test_passwords_in_clear_text_are_a_warning(self):
        self.write_master("node1.example.com")
        for words, expected in (
            (["--no-ssl", "--require-authentication"], True),
            (["--no-ssl"], True),
            (["--no-ssl", "-b", "127.0.0.1"], False),
            (["-C", certificate()], False),
        ):
            daemon = rapi.RapiDaemon(
                self.paths,
                rapi.parse_arguments(
                    ["-p", "0", "-b", "0.0.0.0", *words] if "-b" not in words else ["-p0", *words]
                ),
            )
            daemon.bind()
            daemon.finish()
            self.assertEqual(any("clear text" in line for line in daemon.warnings), expected, words)

    def test_redirection_behind_a_unix_socket_needs_a_port(self):
        self.write_master("node1.example.com")
        for port, expected in (("5081", None), ("0", "give the master's --port")):
            daemon = rapi.RapiDaemon(
                self.paths, rapi.parse_arguments(["--no-ssl", "--redirect", "-p", port])
            )
            sock = socket.socket(socket.AF_UNIX)
            sock.bind(os.path.join(self.paths.root, "sock" + port))
            sock.listen()
            daemon._listeners = [sock]
            daemon.bind()
            self.addCleanup(daemon.finish)
            if expected is None:
                daemon.start()
                self.assertEqual(daemon.port, 5081)
            else:
                with self.assertRaisesRegex(DaemonError, expected):
                    daemon.start()

    def test_a_missing_certificate_is_named(self):
        self.write_master("node1.example.com")
        daemon = rapi.RapiDaemon(self.paths, rapi.parse_arguments(["-p", "0"]))
        with self.assertRaisesRegex(DaemonError, "rapi.pem"):
            daemon.bind()

    def test_a_key_that_all_can_read_is_a_warning(self):
        self.write_master("node1.example.com")
        path = os.path.join(self.paths.root, "own.pem")
        shutil.copyfile(certificate(), path)
        for mode, expected in ((0o640, False), (0o644, True)):
            os.chmod(path, mode)
            daemon = rapi.RapiDaemon(
                self.paths, rapi.parse_arguments(["-p", "0", "-b", "127.0.0.1", "-C", path])
            )
            with mock.patch.object(rapi.logger, "warning") as warning:
                daemon.bind()
            daemon.finish()
            self.assertEqual(
                any("read the key" in call.args[0] for call in warning.call_args_list), expected
            )


class TestReload(LifeTestCase):
    """Lines that SIGHUP leaves in the log."""

    def setUp(self):
        super().setUp()
        self.own = os.path.join(self.paths.root, "own.pem")
        shutil.copyfile(certificate(), self.own)
        os.chmod(self.own, 0o600)
        self.write_users("jack {ha1}" + 32 * "0" + "\n")

    def reloaded(self):
        """Return the log lines of a reload."""
        with self.assertLogs(level="INFO") as logs:
            self.daemon.reload()
        return [f"{record.levelname} {record.getMessage()}" for record in logs.records]

    def start_tls(self, *words):
        self.write_master("node1.example.com")
        arguments = rapi.parse_arguments(["-p", "0", "-b", "127.0.0.1", "-C", self.own, *words])
        self.daemon = rapi.RapiDaemon(self.paths, arguments)
        with self.assertLogs(level="INFO") as logs:
            self.daemon.bind()
            self.addCleanup(self.daemon.finish)
            self.daemon.start()
        return "\n".join(logs.output)

    def test_the_start_and_a_reload_name_the_certificate_and_its_end(self):
        said = self.start_tls()
        self.assertRegex(
            said,
            r"INFO:ganeti.server.rapi:The certificate is for localhost, 127.0.0.1, valid "
            r"until 20..-..-.. \([12] days? left\)",
        )
        self.assertRegex(
            said, r"WARNING:ganeti.server.rapi:The certificate in .*/own.pem ends on 20..-..-.."
        )
        *_, line = self.reloaded()
        self.assertRegex(
            line,
            r"^INFO Reloaded: 1 user; certificate for localhost, 127.0.0.1, "
            r"valid until 20..-..-.. \([12] days? left\)$",
        )

    def test_an_expired_revocation_list_is_a_warning(self):
        authority = Authority(Path(self.paths.root))
        crl = Path(authority.crl())
        self.assertNotIn(
            "CRL",
            self.start_tls("--ssl-client-ca", str(authority.cert), "--ssl-client-crl", str(crl)),
        )
        os.rename(authority.crl(ends="20250102000000Z"), crl)
        self.assertTrue(
            any(
                line.startswith("WARNING The CRL of 'authority' expired on 2025-01-02")
                for line in self.reloaded()
            )
        )
        crl.write_text("")
        self.assertTrue(
            any(
                "Keeping the old certificate: " in line and "contains no CRL" in line
                for line in self.reloaded()
            )
        )

    def test_a_certificate_for_others_is_a_warning(self):
        self.start_tls()  # for 127.0.0.1, where it listens
        with mock.patch.object(self.daemon._arguments, "bind", None):
            self.assertIn("is for localhost, 127.0.0.1, not for ", self.reloaded()[-2])

    def test_what_is_kept_is_not_called_reloaded(self):
        self.start_tls()
        self.write_users("\0\0\n")
        Path(self.own).write_text("no certificate")
        lines = self.reloaded()
        self.assertEqual([line.split()[0] for line in lines], ["ERROR", "ERROR"])
        self.assertIn("Users file not reloaded, keeping previous users: ", lines[0])
        self.assertIn("Keeping the old certificate: ", lines[1])

    def test_without_tls_the_users_are_counted(self):
        self.start()
        self.write_users("jack a\njill b\n")
        self.assertEqual(self.reloaded()[-1], "INFO Reloaded: 2 users")

    def test_a_users_file_that_cannot_be_used_ends_the_start(self):
        for text, words in (("\0\0\n", "it consists mostly of NUL"), (None, "Is a directory")):
            if text is None:
                os.unlink(self.paths.users_files[0])
                os.mkdir(self.paths.users_files[0])
            else:
                self.write_users(text)
            daemon = rapi.RapiDaemon(self.paths, rapi.parse_arguments(["--no-ssl", "-p", "0"]))
            with self.assertRaisesRegex(DaemonError, words):
                daemon.start()
            daemon.finish()


class TestMain(RootTestCase):
    def test_descriptors_that_are_no_sockets_are_named(self):
        with (
            mock.patch.object(rapi.handover, "take_sockets", side_effect=OSError(9, "no")),
            contextlib.redirect_stderr(io.StringIO()) as said,
        ):
            self.assertEqual(rapi.main(["-f"]), 1)
        self.assertEqual(said.getvalue(), "ganeti-rapi: no\n")

    def test_the_exit_code_of_the_run_is_returned(self):
        self.enter(mock.patch.dict(os.environ, GANETI_ROOTDIR=self.paths.root))
        run = self.enter(mock.patch("ganeti.daemon.run", return_value=12))
        self.assertEqual(rapi.main(["-f"]), 12)
        self.assertTrue(run.call_args[0][1].foreground)
