"""Listening sockets of the front."""

import socket
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from ganeti import constants
from ganeti.daemon import DaemonError
from ganeti.pathutils import Paths
from ganeti.server import listening


class TestAddresses(unittest.TestCase):
    def test_the_port_is_that_of_the_service_or_ganetis(self):
        with mock.patch("socket.getservbyname", return_value=1234):
            self.assertEqual(listening.default_port(), 1234)
        with mock.patch("socket.getservbyname", side_effect=OSError):
            self.assertEqual(listening.default_port(), constants.DEFAULT_RAPI_PORT)

    def test_all_addresses_are_those_of_the_clusters_family(self):
        with tempfile.TemporaryDirectory() as root:
            paths = Paths.from_environment({"GANETI_ROOTDIR": root})
            self.assertEqual(listening.any_address(paths), "0.0.0.0")
            file = Path(paths.ssconf("primary_ip_family"))
            file.parent.mkdir(parents=True)
            for number, expected in ((2, "0.0.0.0"), (10, "::")):
                file.write_text(f"{number}\n")
                self.assertEqual(listening.any_address(paths), expected)

    def test_an_interface_has_its_address_or_is_refused(self):
        self.assertEqual(listening.interface_address("lo"), "127.0.0.1")
        for name in ("none0", "lo" + 14 * "0"):
            with self.assertRaisesRegex(DaemonError, f"no interface {name}"):
                listening.interface_address(name)


class TestListen(unittest.TestCase):
    def test_port_0_is_a_free_port(self):
        with listening.listen("127.0.0.1", 0) as sock:
            self.assertTrue(socket.create_connection(sock.getsockname(), 60).close() is None)
            self.assertFalse(listening.is_public(sock))

    def test_all_addresses_are_public(self):
        with listening.listen("0.0.0.0", 0) as sock:
            self.assertTrue(listening.is_public(sock))

    @unittest.skipUnless(socket.has_ipv6, "no IPv6 here")
    def test_ipv6_takes_ipv4_as_well(self):
        try:
            sock = listening.listen("::", 0)
        except DaemonError as err:
            self.skipTest(str(err))
        with sock, socket.create_connection(("127.0.0.1", sock.getsockname()[1]), 60):
            self.assertTrue(listening.is_public(sock))

    def test_unix_sockets_are_described_and_not_public(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, shown in (
                (f"{folder}/sock", f"{folder}/sock"),
                ("\0hidden", "@hidden"),
                ("", "@[0-9a-f]+"),
            ):
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.bind(name)
                    self.assertRegex(listening.describe(sock), f"^{shown}$")
                    self.assertFalse(listening.is_public(sock))
                    self.assertEqual(listening.tcp_port([sock], 5080), 5080)
                    with listening.listen("127.0.0.1", 0) as other:
                        self.assertEqual(
                            listening.tcp_port([sock, other], 5080), other.getsockname()[1]
                        )

    def test_what_fails_is_named(self):
        with listening.listen("127.0.0.1", 0) as sock:
            port = sock.getsockname()[1]
            with self.assertRaisesRegex(DaemonError, f"127.0.0.1 port {port}"):
                listening.listen("127.0.0.1", port)
        with self.assertRaisesRegex(DaemonError, "no address at all"):
            listening.listen("no address at all", 1)


class TestDescriptors(unittest.TestCase):
    def limit(self, soft, hard, clients, root=False):
        """Return how many clients fit, and the new soft limit; only root can raise the hard one."""
        done = []

        def change(_, limits):
            if limits[1] > hard and not root:
                raise ValueError("not allowed to raise maximum limit")
            done.append(limits[0])

        with (
            mock.patch("resource.getrlimit", return_value=(soft, hard)),
            mock.patch("resource.setrlimit", change),
        ):
            return listening.raise_descriptor_limit(clients), done[-1] if done else None

    def test_a_sufficient_limit_is_left_alone(self):
        self.assertEqual(self.limit(4096, 4096, 2000), (2000, None))

    def test_the_soft_limit_is_raised_as_far_as_needed(self):
        self.assertEqual(self.limit(1024, 8192, 2000), (2000, 3000 + listening.SPARE_DESCRIPTORS))

    def test_the_soft_limit_is_raised_as_far_as_possible(self):
        self.assertEqual(self.limit(256, 1628, 2000), (1000, 1628))

    def test_root_raises_the_hard_limit_too(self):
        self.assertEqual(
            self.limit(256, 1628, 2000, root=True), (2000, 3000 + listening.SPARE_DESCRIPTORS)
        )
