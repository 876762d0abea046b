"""NICs, read from the request."""

from typing import Any

from ganeti import errors
from ganeti.cmdlib import nics
from ganeti.cmdlib.nics import NicSpec
from support.lu import WEB, LUTestCase


class TestNics(LUTestCase):
    def read(self, nic: dict[str, Any], resolved: str | None = None) -> NicSpec:
        (spec,) = nics.read([nic], resolved)
        return spec

    def test_a_nic_without_values_is_read(self) -> None:
        self.assertEqual(
            self.read({"mac": "auto", "ip": "none", "name": None}), NicSpec(None, None, None, {})
        )

    def test_a_nic_with_all_values_is_read(self) -> None:
        self.assertEqual(
            self.read(
                {
                    "mac": "AA:00:00:12:34:56",
                    "ip": "2001:DB8::1",
                    "name": "lan",
                    "mode": "routed",
                    "link": "br1",
                    "vlan": "",
                }
            ),
            NicSpec(
                "aa:00:00:12:34:56",
                "2001:db8::1",
                "lan",
                {"mode": "routed", "link": "br1", "vlan": ""},
            ),
        )

    def test_bridge_is_an_older_word_for_link(self) -> None:
        self.assertEqual(self.read({"bridge": "br1"}).nicparams, {"link": "br1"})
        self.assertEqual(self.read({"bridge": "br1", "link": "br2"}).nicparams, {"link": "br2"})

    def test_vlans_are_stored_in_the_long_form(self) -> None:
        for given, kept in (("5", ".5"), (".5", ".5"), (".5:6:7", ".5:6:7"), (":6", ":6")):
            self.assertEqual(self.read({"vlan": given}).nicparams, {"vlan": kept})
        self.assertEqual(self.read({"vlan": None}).nicparams, {})

    def test_default_stores_nothing(self) -> None:
        self.assertEqual(self.read({"mode": "default", "link": "default"}).nicparams, {})

    def test_the_ip_auto_is_the_address_of_the_name(self) -> None:
        self.assertEqual(self.read({"ip": "auto"}, "192.0.2.7").ip, "192.0.2.7")

    def test_values_that_do_not_fit_are_wrong_input(self) -> None:
        for nic in (
            {"vlan": "x"},
            {"vlan": "."},
            {"vlan": ".5:"},
            {"vlan": "5:6"},
            {"mac": "xx"},
            {"mac": "01:00:00:00:00:00"},
            {"mac": "aa:00:00:00:00:00\n"},
            {"ip": "bogus"},
            {"ip": "auto"},
            {"ip": "pool"},
            {"name": "3"},
        ):
            with self.subTest(nic), self.refused("wrong_input"):
                nics.read([nic], None)
        with self.refused("wrong_input"):
            nics.read([{}] * 9, None)

    def test_errors_have_the_classes_of_ganeti(self) -> None:
        with self.assertRaises(errors.ConfigurationError):
            self.read({"mode": "bogus"})
        with self.assertRaises(errors.TypeEnforcementError):
            self.read({"link": 7})
        with self.refused("unknown_entity"):
            self.read({"network": "nope"})
        with self.refused("resource_not_unique"):
            nics.read([{"name": "a"}, {"name": "a"}], None)

    def test_routed_cards_need_an_address(self) -> None:
        self.change(self.config.cluster, nicparams={"default": {"mode": "routed"}})
        self.create(nics=[{"ip": "192.0.2.7"}])
        with self.refused("wrong_input"):
            self.create("other")

    def test_addresses_are_claimed_when_the_cards_are_made(self) -> None:
        specs = nics.read([{"mac": "aa:00:00:00:00:01"}, {}], None)
        first, second = nics.make(specs, self.config, 7, "owner")
        self.assertNotEqual(first.mac, second.mac)
        for mac in (first.mac, second.mac):
            with self.refused("resource_not_unique"):
                self.create(WEB, nics=[{"mac": mac}])
