"""Listing OS definitions."""

import os
from pathlib import Path
from typing import Any

from ganeti import opcodes
from support.lu import MASTER, NODE2, NODE3, LUTestCase


class TestOsDiagnose(LUTestCase):
    def rows(self, *fields: str, **values: Any) -> Any:
        return self.run_op(opcodes.OpOsDiagnose(output_fields=list(fields), **values))

    def test_names_and_variants_are_listed(self) -> None:
        self.make_os("linux", variants="small\nlarge\n")
        self.assertEqual(
            self.rows("name", "variants"), [["linux", ["large", "small"]], ["noop", []]]
        )

    def test_every_column_has_its_value(self) -> None:
        self.make_os("linux", variants="small\n", parameters="dhcp Use DHCP\n")
        self.change(
            self.config.cluster, osparams={"linux": {"dhcp": "yes"}}, os_hvp={"linux": {"fake": {}}}
        )
        (row,) = self.rows(
            "valid",
            "parameters",
            "api_versions",
            "hidden",
            "blacklisted",
            "os_hvp",
            "osparams",
            "trusted",
            names=["linux"],
        )
        self.assertEqual(
            row,
            [True, [["dhcp", "Use DHCP"]], [20], False, False, {"fake": {}}, {"dhcp": "yes"}, True],
        )

    def test_the_node_status_says_what_each_node_has(self) -> None:
        ((status,),) = self.rows("node_status")
        self.assertEqual(sorted(status), sorted(node.uuid for node in self.config.nodes()))
        self.assertEqual(
            status[self.config.master.uuid], [[self.os_dir, True, "", [], [], [20], True]]
        )

    def test_a_broken_os_is_listed_only_on_request(self) -> None:
        os.unlink(f"{self.os_dir}/create")
        self.assertEqual(self.rows("name"), [])
        self.assertEqual(self.rows("name", "valid", "variants"), [["noop", False, []]])

    def test_a_hidden_or_forbidden_os_is_listed_only_on_request(self) -> None:
        for word in ("hidden", "blacklisted"):
            self.change(self.config.cluster, hidden_os=[], blacklisted_os=[])
            self.change(self.config.cluster, **{f"{word}_os": ["noop"]})
            self.assertEqual(self.rows("name"), [])
            self.assertEqual(self.rows("name", word), [["noop", True]])

    def test_only_named_oses_are_listed(self) -> None:
        self.make_os("linux")
        self.assertEqual(self.rows("name", names=["linux", "nope"]), [["linux"]])

    def test_offline_nodes_are_not_asked(self) -> None:
        for name in (NODE2, NODE3):
            self.change(self.config.node(name), offline=True)
        ((status,),) = self.rows("node_status")
        self.assertEqual(list(status), [self.config.node(MASTER).uuid])

    def test_a_node_that_does_not_answer_is_left_out(self) -> None:
        Path(self.paths.simulated_failure(NODE3)).touch()
        self.assertEqual(self.rows("name", "valid"), [["noop", True]])
        self.log_has(f"Leaving out node '{NODE3}'")
        ((status,),) = self.rows("node_status")
        self.assertEqual(
            sorted(status), sorted(self.config.node(name).uuid for name in (MASTER, NODE2))
        )

    def test_an_untrusted_os_is_reported_and_not_offered(self) -> None:
        os.rename(f"{self.os_dir}/create", f"{self.os_dir}/create_untrusted")
        self.assertEqual(self.rows("name"), [])
        self.assertEqual(self.rows("name", "valid", "trusted"), [["noop", False, False]])
        ((status,),) = (self.rows("node_status", "valid", names=["noop"])[0][:1],)
        ((_, _, problem, *_, trusted),) = status[self.config.master.uuid]
        self.assertIn("create_untrusted", problem)
        self.assertFalse(trusted)

    def test_an_unknown_column_is_refused(self) -> None:
        with self.refused("wrong_input"):
            self.rows("name", "bogus")
