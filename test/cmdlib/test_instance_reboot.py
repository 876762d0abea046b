"""Rebooting instances."""

from typing import Any

from ganeti import opcodes
from support.lu import MASTER, WEB, LUTestCase


class TestInstanceReboot(LUTestCase):
    def reboot(self, how: str, **values: Any) -> None:
        self.assertIsNone(
            self.run_op(opcodes.OpInstanceReboot(instance_name="web", reboot_type=how, **values))
        )

    def test_a_rebooted_instance_runs(self) -> None:
        self.create(start=True)
        for how in ("soft", "hard", "full"):
            self.reboot(how)
            self.assertEqual((self.guests(), self.instance().admin_state), ([WEB], "up"))

    def test_a_stopped_instance_is_started(self) -> None:
        for how in ("soft", "hard", "full"):
            self.create(f"{how}.example.com")
            self.run_op(opcodes.OpInstanceReboot(instance_name=how, reboot_type=how))
            self.assertEqual(self.instance(how).admin_state, "up")
            self.log_has("not running")
        self.assertEqual(len(self.guests()), 3)

    def test_a_full_reboot_is_a_new_start(self) -> None:
        self.create(start=True)
        self.change(self.instance(), beparams={"minmem": 256, "maxmem": 256})
        agent = self.environment.nodes.agent(self.config.node(MASTER))
        for how, memory in (("hard", 128), ("full", 256)):
            self.reboot(how)
            self.assertEqual(agent.guests()[WEB].memory, memory)

    def test_a_stopped_instance_needs_free_memory(self) -> None:
        self.create(beparams={"memory": 9999})
        with self.refused("insufficient_resources"):
            self.reboot("hard")

    def test_an_instance_in_a_wrong_state_is_refused(self) -> None:
        self.create(start=True)
        self.change(self.instance(), admin_state="offline")
        with self.refused("wrong_state"):
            self.reboot("hard")
        self.change(self.instance(), admin_state="up")
        self.change(self.config.node(MASTER), offline=True)
        with self.refused("wrong_state"):
            self.reboot("hard")
