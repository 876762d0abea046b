"""Missing disks of a group's instances."""

import os
from typing import Any

from ganeti import opcodes
from support.lu import MASTER, NODE2, WEB, LUTestCase


class TestGroupVerifyDisks(LUTestCase):
    def verify(self) -> Any:
        return self.run_op(opcodes.OpGroupVerifyDisks(group_name="default"))

    def test_no_disk_is_missing_from_a_sound_group(self) -> None:
        self.create(disk_template="file", disks=[{"size": 1024}])
        self.create("diskless")
        self.assertEqual(self.verify(), [{}, [], {}])

    def test_a_lost_disk_is_listed_with_its_instance(self) -> None:
        instance = self.create(disk_template="file", disks=[{"size": 1024}, {"size": 2048}])
        agent = self.environment.nodes.agent(self.config.master)
        path = agent.disk_path(instance.disks[1])
        os.remove(path)
        self.assertEqual(self.verify(), [{}, [], {WEB: [[MASTER, path]]}])

    def test_an_offline_node_is_not_asked(self) -> None:
        node = self.config.node(NODE2)
        self.create(disk_template="plain", disks=[{"size": 1024}], pnode=NODE2)
        self.change(node, offline=True)
        self.assertEqual(self.verify(), [{}, [], {}])

    def test_an_unknown_group_is_refused(self) -> None:
        with self.refused("unknown_entity"):
            self.run_op(opcodes.OpGroupVerifyDisks(group_name="nope"))
