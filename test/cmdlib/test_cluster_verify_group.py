"""Verification of nodes and guests against the configuration."""

import os
from typing import Any

from ganeti import objects, opcodes
from support.lu import MASTER, NODE2, NODE3, WEB, LUTestCase


class TestClusterVerifyGroup(LUTestCase):
    def verify(self, **values: Any) -> bool:
        found = self.run_op(opcodes.OpClusterVerifyGroup(group_name="default", **values))
        self.assertIsInstance(found, bool)
        return bool(found)

    def finds(self, code: str, name: str) -> None:
        self.assertFalse(self.verify(error_codes=True))
        self.log_has(f"ERROR:{code}:")
        self.log_has(f":{name}:")

    def test_a_sound_group_has_no_errors(self) -> None:
        self.create(start=True, disk_template="file", disks=[{"size": 1024}])
        self.create(
            "mirrored",
            disk_template="drbd",
            disks=[{"size": 1024}],
            pnode=NODE2,
            snode=NODE3,
            start=True,
        )
        self.create("stopped")
        self.assertTrue(self.verify())
        self.assertFalse([line for line in self.run_.lines if "ERROR" in line or "WARNING" in line])

    def test_an_unknown_group_is_refused(self) -> None:
        with self.refused("unknown_entity"):
            self.run_op(opcodes.OpClusterVerifyGroup(group_name="nope"))

    def test_a_dead_guest_is_reported(self) -> None:
        self.create(start=True)
        self.kill_guest()
        self.finds("EINSTANCEDOWN", WEB)

    def test_a_guest_that_should_not_run_is_worth_a_warning(self) -> None:
        self.create(start=True)
        self.change(self.instance(), admin_state="down")
        self.assertTrue(self.verify())
        self.log_has("WARNING")

    def test_a_missing_disk_is_reported(self) -> None:
        self.create(disk_template="file", disks=[{"size": 1024}])
        os.unlink(self.instance().disks[0].logical_id[1])
        self.finds("EINSTANCEMISSINGDISK", WEB)

    def test_a_guest_of_no_instance_is_reported(self) -> None:
        with open(self.paths.fake_guest("stranger"), "w", encoding="ascii") as file:
            file.write("0\n128\n1\n")
        self.finds("ENODEORPHANINSTANCE", MASTER)

    def test_a_guest_on_the_wrong_node_is_reported(self) -> None:
        self.create(start=True)
        self.change(self.instance(), primary_node=self.config.node(NODE2).uuid)
        self.finds("EINSTANCEWRONGNODE", WEB)

    def test_a_node_that_does_not_answer_is_reported(self) -> None:
        with open(self.paths.simulated_failure(NODE2), "w", encoding="ascii"):
            pass
        self.finds("ENODERPC", NODE2)

    def test_an_offline_node_is_a_fault_only_if_something_should_run_there(self) -> None:
        self.create(pnode=NODE2)
        self.change(self.config.node(NODE2), offline=True)
        self.assertTrue(self.verify())
        self.change(self.instance(), admin_state="up")
        self.finds("EINSTANCEDOWN", WEB)

    def test_missing_memory_for_a_failover_is_reported(self) -> None:
        self.create(
            disk_template="drbd",
            disks=[{"size": 1024}],
            pnode=NODE2,
            snode=NODE3,
            start=True,
            beparams={"memory": 3000},
        )
        self.assertTrue(self.verify())
        self.create("fat", pnode=NODE3, start=True, beparams={"memory": 2000})
        self.finds("ENODEN1", NODE3)
        self.assertTrue(self.verify(skip_checks=["nplusone_mem"]))
        self.change(self.instance(), beparams={**self.instance().beparams, "auto_balance": False})
        self.assertTrue(self.verify())

    def test_sizes_outside_the_policy_are_worth_a_warning(self) -> None:
        self.create(nics=[], ignore_ipolicy=True)
        self.assertTrue(self.verify())
        self.log_has("nic-count")

    def test_other_groups_are_not_verified(self) -> None:
        self.create(pnode=NODE2, start=True)
        self.change(objects.Group(uuid="other", name="other"))
        self.change(self.config.node(NODE2), group="other", offline=True)
        self.assertTrue(self.verify())

    def test_a_simulated_error_is_reported(self) -> None:
        self.assertFalse(self.verify(debug_simulate_errors=True))
        self.assertTrue(self.verify(debug_simulate_errors=True, ignore_errors=["ENODEHV"]))
