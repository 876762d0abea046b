"""Stopping instances."""

from typing import Any

from ganeti import opcodes
from support.lu import MASTER, WEB, LUTestCase


class TestInstanceShutdown(LUTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.create(start=True)

    def stop(self, **values: Any) -> None:
        self.assertIsNone(self.run_op(opcodes.OpInstanceShutdown(instance_name="web", **values)))

    def test_a_shut_down_instance_is_stopped_and_marked_down(self) -> None:
        self.assertEqual(self.guests(), [WEB])
        self.stop()
        self.assertEqual(self.guests(), [])
        self.assertEqual(
            (self.instance().admin_state, self.instance().disks_active), ("down", False)
        )

    def test_shutting_down_a_stopped_instance_succeeds(self) -> None:
        self.kill_guest()
        self.stop()
        self.stop()
        self.assertEqual(self.instance().admin_state, "down")

    def test_no_remember_leaves_the_mark(self) -> None:
        self.stop(no_remember=True)
        self.assertEqual((self.guests(), self.instance().admin_state), ([], "up"))

    def test_an_instance_that_is_marked_offline_stays_so(self) -> None:
        self.change(self.instance(), admin_state="offline")
        with self.refused("wrong_state"):
            self.stop()
        self.stop(force=True)
        self.assertEqual((self.guests(), self.instance().admin_state), ([], "offline"))

    def test_an_offline_node_is_refused_unless_ignored(self) -> None:
        self.change(self.config.node(MASTER), offline=True)
        with self.refused("wrong_state"):
            self.stop()
        self.stop(ignore_offline_nodes=True)
        self.assertEqual(self.instance().admin_state, "down")

    def test_a_shutdown_by_the_user_is_refused(self) -> None:
        with self.refused("wrong_state"):
            self.stop(admin_state_source="user")
        self.kill_guest()  # indistinguishable from a crash
        with self.refused("wrong_state"):
            self.stop(admin_state_source="user")
        self.stop()
        with self.refused("wrong_state"):
            self.stop(admin_state_source="user")
        self.assertEqual(self.instance().admin_state_source, "admin")
