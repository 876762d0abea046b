"""Names of instances, the resolver's answers, and addresses in use."""

import socket

from ganeti.cmdlib import names
from support.lu import LUTestCase


class TestNames(LUTestCase):
    def test_names_are_checked_and_put_in_lower_case(self) -> None:
        self.assertEqual(names.normalize("Web.Example"), "web.example")
        for bad in ("a b", "", "../x", "-x", "a\n"):
            with self.subTest(bad), self.refused("wrong_input"):
                names.normalize(bad)

    def test_a_resolved_name_has_its_full_form_and_address(self) -> None:
        full, address = names.resolve("localhost")
        self.assertTrue(full.startswith("localhost"))
        self.assertIn(address, ("127.0.0.1", "::1"))

    def test_an_unresolvable_name_is_refused(self) -> None:
        # RFC 6761, section 6.4: names below .invalid never resolve.
        with self.refused("resolver_error"):
            names.resolve("nobody.invalid")
        with self.refused("resolver_error"):
            self.create("nobody.invalid", name_check=True)

    def test_an_address_that_refuses_the_connection_is_taken(self) -> None:
        self.assertTrue(names.is_taken("127.0.0.1"))

    def test_an_address_that_cannot_be_reached_is_free(self) -> None:
        # The kernel refuses TCP connections to a multicast address (RFC 5771).
        self.assertFalse(names.is_taken("224.0.0.1"))

    def test_creation_asks_only_when_told(self) -> None:
        self.create("nobody.invalid")
        with self.refused("resource_not_unique"):
            self.create("localhost", name_check=True, ip_check=True)
        self.create("localhost", name_check=True, nics=[{"ip": "auto"}])
        found = self.config.instances()[0]
        self.assertIn(found.nics[0].ip, (socket.gethostbyname("localhost"), "::1"))
