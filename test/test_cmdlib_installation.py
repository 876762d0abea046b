"""OS definitions, checked against a node."""

import os
from typing import Any

from testutils_lu import MASTER, LUTestCase

from ganeti import errors
from ganeti.cmdlib import installation
from ganeti.cmdlib.installation import OsChoice


class TestInstallation(LUTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.make_os("linux", variants="small\nlarge\n", parameters="dhcp words\npw words\n")

    def check(self, os_name: str, force: bool = False, **values: Any) -> None:
        installation.check(self.config, self.environment.nodes, self.config.node(MASTER),
                           OsChoice(os_name, **values), force_variant=force)

    def refused_os(self, os_name: str, words: str, **values: Any) -> None:
        with self.assertRaisesRegex(errors.OpExecError, words):
            self.check(os_name, **values)

    def test_what_will_do(self) -> None:
        self.check("noop")
        self.check("linux+small", osparams={"dhcp": "yes"}, private={"pw": "x"})
        self.check("linux+huge", force=True)

    def test_unknown_and_broken(self) -> None:
        self.refused_os("nope", "nope")
        self.refused_os("../noop", "noop")
        os.unlink(f"{self.os_dir}/create")
        self.refused_os("noop", "create")

    def test_variants(self) -> None:
        self.refused_os("linux", "variant")
        self.refused_os("linux+huge", "huge")
        self.refused_os("noop+x", "variant")

    def test_parameters_of_every_kind(self) -> None:
        for kind in ("osparams", "private", "secret"):
            self.refused_os("linux+small", "bogus", **{kind: {"bogus": "1"}})
        self.change(self.config.cluster, osparams={"noop": {"bogus": "1"}})
        self.refused_os("noop", "bogus")

    def test_secrets_do_not_show(self) -> None:
        self.assertNotIn("hush", repr(OsChoice("linux", secret={"pw": "hush"},
                                               private={"pw": "hush"})))

    def test_forbidden(self) -> None:
        self.change(self.config.cluster, blacklisted_os=["linux"])
        with self.refused("wrong_state"):
            installation.check_allowed(self.config, "linux+small")
        installation.check_allowed(self.config, "noop")

    def test_default_takes_a_parameter_away(self) -> None:
        self.assertEqual(installation.updated({"a": "1", "b": "2"}, {"a": "default", "c": "3"}),
                         {"b": "2", "c": "3"})
        self.assertEqual(installation.updated({"a": "1"}, None), {"a": "1"})
