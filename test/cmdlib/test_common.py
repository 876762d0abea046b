"""Questions about nodes and instances that several logical units ask."""

import os

from ganeti.cmdlib import common
from support.lu import MASTER, WEB, LUTestCase


class TestCommon(LUTestCase):
    def test_missing_disks_are_listed(self) -> None:
        instance = self.create(disk_template="file", disks=[{"size": 1024}] * 2)
        node, nodes = self.config.node(MASTER), self.environment.nodes
        self.assertEqual(common.missing_disks(nodes, node, instance), [])
        path = instance.disks[1].logical_id[1]
        os.unlink(path)
        self.assertEqual(common.missing_disks(nodes, node, instance), [path])

    def test_named_instances_are_listed_once(self) -> None:
        self.create("a.example.com")
        self.create("b.example.com")

        def named(*names: str) -> list[str]:
            return [one.name for one in common.instances_named(self.config, names)]

        self.assertEqual(named("b", "b.example.com"), ["b.example.com"])
        self.assertEqual(named(), ["a.example.com", "b.example.com"])
        with self.refused("unknown_entity"):
            named("a", "nope")

    def test_a_policy_counts_what_is_planned(self) -> None:
        instance, group = self.create(), self.config.group("default")
        self.assertEqual(
            common.policy_violations(self.config, group, instance, nic_count=1, disk_sizes=[]), []
        )
        instance = self.create(f"file.{WEB}", disk_template="file", disks=[{"size": 1024}])
        words = common.policy_violations(
            self.config, group, instance, nic_count=0, disk_sizes=[1, 2]
        )
        self.assertEqual(len(words), 3, words)
