"""Removing instances."""

import os
from typing import Any

from ganeti import errors, opcodes
from ganeti.mcpu import lu_for
from support.lu import NODE2, NODE3, WEB, LUTestCase


class TestInstanceRemove(LUTestCase):
    def remove(self, **values: Any) -> None:
        self.assertIsNone(self.run_op(opcodes.OpInstanceRemove(instance_name="web", **values)))

    def test_guest_disks_and_record_are_gone(self) -> None:
        self.create(disk_template="file", disks=[{"size": 1024}], start=True)
        self.assertEqual((len(self.files()), self.guests()), (1, [WEB]))
        self.remove()
        self.assertEqual((self.files(), self.guests()), ([], []))
        self.assertIsNone(self.config.find_instance(WEB))
        self.assertEqual(os.listdir(self.paths.file_storage_dir), [])

    def test_both_halves_of_mirrored_disks_are_gone(self) -> None:
        before = [self.disk_free(node) for node in (NODE2, NODE3)]
        self.create(disk_template="drbd", disks=[{"size": 1024}], pnode=NODE2, snode=NODE3)
        self.assertEqual(
            [self.disk_free(node) for node in (NODE2, NODE3)],
            [free - 1024 - 128 for free in before],
        )
        self.remove()
        self.assertEqual([self.disk_free(node) for node in (NODE2, NODE3)], before)

    def disk_free(self, node: str) -> int:
        return self.environment.nodes.agent(self.config.node(node)).resources().disk_free

    def test_the_name_and_address_are_free_again(self) -> None:
        mac = self.create().nics[0].mac
        self.remove()
        self.assertEqual(self.create(nics=[{"mac": mac}]).nics[0].mac, mac)

    def test_a_partly_removed_instance_can_be_removed(self) -> None:
        self.create(disk_template="file", disks=[{"size": 1024}] * 2)
        os.unlink(f"{self.paths.file_storage_dir}/{self.files()[0]}")
        self.remove()
        self.assertEqual(self.files(), [])
        self.assertTrue(lu_for("OP_INSTANCE_REMOVE").RERUN_SAFE)

    def test_an_offline_node_is_refused_unless_failures_are_ignored(self) -> None:
        self.create(pnode=NODE2)
        self.change(self.config.node(NODE2), offline=True)
        with self.refused("wrong_state"):
            self.remove()
        self.assertIsNotNone(self.config.find_instance(WEB))
        self.remove(ignore_failures=True)
        self.assertIsNone(self.config.find_instance(WEB))
        self.log_has("continuing")

    def test_a_failure_on_the_way_ends_the_job_unless_ignored(self) -> None:
        self.create(pnode=NODE2)
        os.makedirs(self.paths.simulated_node(NODE2), exist_ok=True)
        with open(self.paths.simulated_failure(NODE2), "w", encoding="ascii"):
            pass
        with self.assertRaises(errors.OpExecError):
            self.remove()
        self.assertIsNotNone(self.config.find_instance(WEB))

    def test_an_unknown_instance_is_refused_and_a_dry_run_removes_nothing(self) -> None:
        with self.refused("unknown_entity"):
            self.remove()
        self.create()
        self.remove(dry_run=True)
        self.assertIsNotNone(self.config.find_instance(WEB))

    def test_an_instance_with_another_uuid_is_spared(self) -> None:
        self.create()
        with self.refused("resource_not_unique"):
            self.remove(instance_uuid="another")
