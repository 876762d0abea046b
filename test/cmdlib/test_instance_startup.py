"""Starting instances."""

from typing import Any

from ganeti import errors, opcodes
from support.lu import MASTER, WEB, LUTestCase


class TestInstanceStartup(LUTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.create()

    def start(self, **values: Any) -> None:
        self.assertIsNone(self.run_op(opcodes.OpInstanceStartup(instance_name="web", **values)))

    def memory(self) -> int:
        guest = self.environment.nodes.agent(self.config.node(MASTER)).guest(WEB)
        assert guest is not None
        return guest.memory

    def test_a_started_instance_runs_and_is_marked_up(self) -> None:
        self.start()
        self.assertEqual(self.guests(), [WEB])
        self.assertEqual((self.instance().admin_state, self.instance().disks_active), ("up", True))

    def test_a_running_instance_is_left_alone(self) -> None:
        self.start()
        before = self.instance().serial_no
        self.start()
        self.assertEqual((self.guests(), self.instance().serial_no), ([WEB], before))

    def test_a_dead_instance_is_started_again(self) -> None:
        self.start()
        self.kill_guest()
        self.start()
        self.assertEqual(self.guests(), [WEB])

    def test_no_remember_leaves_the_mark(self) -> None:
        self.start(no_remember=True)
        self.assertEqual((self.guests(), self.instance().admin_state), ([WEB], "down"))

    def test_parameters_hold_for_this_run_only(self) -> None:
        self.start(beparams={"memory": "256M"}, hvparams={"migration_mode": "non-live"})
        self.assertEqual(self.memory(), 256)
        self.assertEqual((self.instance().beparams, self.instance().hvparams), ({}, {}))

    def test_bad_parameters_are_refused(self) -> None:
        for values in ({"beparams": {"bogus": 1}}, {"hvparams": {"bogus": 1}}):
            with self.assertRaises(errors.TypeEnforcementError):
                self.start(**values)
        self.assertEqual(self.guests(), [])

    def test_memory_must_be_free_on_its_node(self) -> None:
        with self.refused("insufficient_resources"):
            self.start(beparams={"memory": "9G"}, force=True)
        self.assertEqual((self.guests(), self.instance().admin_state), ([], "down"))

    def test_memory_that_others_are_about_to_take_is_not_free(self) -> None:
        node = self.config.node(MASTER)
        self.config.reserve_resources(99, node.uuid, 4000, 0)
        with self.refused("insufficient_resources"):
            self.start()
        self.config.release_reservations(99)
        self.start()

    def test_an_instance_that_is_marked_offline_is_refused(self) -> None:
        self.change(self.instance(), admin_state="offline")
        with self.refused("wrong_state"):
            self.start(force=True)

    def test_an_offline_node_is_refused_unless_ignored(self) -> None:
        self.change(self.config.node(MASTER), offline=True)
        with self.refused("wrong_state"):
            self.start()
        self.start(ignore_offline_nodes=True)
        self.assertEqual(self.instance().admin_state, "up")
        self.log_has("offline")

    def test_a_failed_start_changes_nothing(self) -> None:
        self.change(self.instance(), hypervisor="kvm")
        with self.assertRaises(errors.HypervisorError):
            self.start()
        self.assertEqual((self.guests(), self.instance().admin_state), ([], "down"))

    def test_a_dry_run_starts_nothing(self) -> None:
        self.start(dry_run=True)
        self.assertEqual((self.guests(), self.instance().admin_state), ([], "down"))

    def test_the_job_shows_the_full_name(self) -> None:
        self.start()
        self.assertEqual(
            (self.effective.instance_name, self.effective.instance_uuid),
            (WEB, self.instance().uuid),
        )
