"""OS definitions, checked against a node."""

import os
from pathlib import Path
from typing import Any

from ganeti import errors
from ganeti.cmdlib import installation
from ganeti.cmdlib.installation import OsChoice
from ganeti.node import osdef
from support.lu import MASTER, NODE2, LUTestCase


class TestInstallation(LUTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.make_os("linux", variants="small\nlarge\n", parameters="dhcp words\npw words\n")

    def check(self, os_name: str, force: bool = False, **values: Any) -> None:
        installation.check(
            self.config,
            self.environment.nodes,
            [self.config.node(MASTER)],
            OsChoice(os_name, **values),
            force_variant=force,
        )

    def refused_os(self, os_name: str, words: str, **values: Any) -> None:
        with self.assertRaisesRegex(errors.OpExecError, words):
            self.check(os_name, **values)

    def test_a_known_os_with_its_variant_is_accepted(self) -> None:
        self.check("noop")
        self.check("linux+small", osparams={"dhcp": "yes"}, private={"pw": "x"})
        self.check("linux+huge", force=True)
        self.check("linux", force=True)

    def test_an_unknown_or_broken_os_is_refused(self) -> None:
        self.refused_os("nope", "nope")
        self.refused_os("../noop", "noop")
        os.unlink(f"{self.os_dir}/create")
        self.refused_os("noop", "create")

    def test_a_missing_or_unknown_variant_is_refused(self) -> None:
        self.refused_os("linux", "variant")
        self.refused_os("linux+huge", "huge")
        self.refused_os("noop+x", "variant")

    def test_an_unknown_parameter_of_any_kind_is_refused(self) -> None:
        for kind in ("osparams", "private", "secret"):
            self.refused_os("linux+small", "bogus", **{kind: {"bogus": "1"}})
        self.change(self.config.cluster, osparams={"noop": {"bogus": "1"}})
        self.refused_os("noop", "bogus")
        self.change(self.config.cluster, osparams={"linux+small": {"bogus": "1"}})
        self.refused_os("linux+small", "bogus")
        self.check("linux+large")

    def test_older_definitions_accept_any_parameter(self) -> None:
        self.make_os("old", version=15)
        self.check("old", osparams={"any": "1"}, secret={"pw": "x"})

    def test_parameters_that_exclude_each_other_are_refused(self) -> None:
        for values in (
            {"osparams": {"pw": "1"}, "private": {"pw": "2"}},
            {"private": {"dhcp": "1"}, "secret": {"dhcp": "1"}},
            {"osparams": {"dhcp": "1", "DHCP": "2"}},
        ):
            with self.subTest(values), self.refused("wrong_input"):
                self.check("linux+small", **values)

    def test_a_stored_value_of_a_wrong_type_is_refused(self) -> None:
        self.refused_os("linux+small", "'dhcp' must be a string", osparams={"dhcp": {"a": 1}})

    def test_each_node_must_have_the_os(self) -> None:
        nodes = [self.config.node(name) for name in (MASTER, NODE2)]
        choice = OsChoice("linux+small")
        installation.check(self.config, self.environment.nodes, nodes, choice, force_variant=False)
        Path(self.paths.simulated_failure(NODE2)).touch()
        with self.assertRaisesRegex(errors.HypervisorError, NODE2):
            installation.check(
                self.config, self.environment.nodes, nodes, choice, force_variant=False
            )

    def test_values_are_checked_on_each_node(self) -> None:
        self.make_os(
            "picky",
            parameters="pw words\n",
            verify='echo $OSP_PW >> seen; [ "$OSP_PW" != bad ] || { echo "not $OSP_PW"; exit 3; }',
        )
        nodes = [self.config.node(name) for name in (MASTER, NODE2)]
        for kind in ("osparams", "private", "secret"):
            with self.assertRaisesRegex(errors.OpExecError, f"(?s){MASTER}.*exit code 3.*not "):
                installation.verify(
                    self.environment.nodes, nodes, OsChoice("picky", **{kind: {"pw": "bad"}}), None
                )
        installation.verify(
            self.environment.nodes, nodes, OsChoice("picky", secret={"pw": "good"}), None
        )
        seen = Path(f"{self.paths.os_search_path[0]}/picky/seen").read_text().split()
        self.assertEqual(seen, ["bad"] * 3 + ["good"] * 2)

    def test_a_reinstallation_keeps_the_parameters_that_the_os_has(self) -> None:
        old = {"dhcp": "yes", "a-b": "1", "other": "x"}
        new = osdef.find(self.paths.os_search_path, "linux")
        older = osdef.find([self.make_older()], "old")
        assert new is not None and older is not None
        for definition, given, same_os, kept in (
            (new, [], True, ["dhcp"]),
            (new, [], False, ["dhcp"]),
            (older, [], False, ["a-b", "dhcp", "other"]),
            (older, ["A_B"], False, ["dhcp", "other"]),
            (older, ["A_B"], True, ["a-b", "dhcp", "other"]),
        ):
            self.assertEqual(
                sorted(installation.kept_parameters(definition, old, given, same_os=same_os)), kept
            )

    def make_older(self) -> str:
        return os.path.dirname(self.make_os("old", version=10))

    def test_numbers_become_their_digits(self) -> None:
        self.assertEqual(installation.as_text({"a": 8, "b": "8"}), {"a": "8", "b": "8"})

    def test_secrets_do_not_show(self) -> None:
        self.assertNotIn(
            "hush", repr(OsChoice("linux", secret={"pw": "hush"}, private={"pw": "hush"}))
        )

    def test_a_forbidden_os_is_refused(self) -> None:
        self.change(self.config.cluster, blacklisted_os=["linux"])
        with self.refused("wrong_state"):
            installation.check_allowed(self.config, "linux+small")
        installation.check_allowed(self.config, "noop")

    def test_default_takes_a_parameter_away(self) -> None:
        self.assertEqual(
            installation.updated({"a": "1", "b": "2"}, {"a": "default", "c": "3"}),
            {"b": "2", "c": "3"},
        )
        self.assertEqual(installation.updated({"a": "1"}, None), {"a": "1"})
