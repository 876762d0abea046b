"""Reinstalling instances."""

from typing import Any

from ganeti import errors, opcodes
from support.lu import MASTER, WEB, LUTestCase


class TestInstanceReinstall(LUTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.create(disk_template="file", disks=[{"size": 1024}])

    def reinstall(self, **values: Any) -> None:
        self.assertIsNone(self.run_op(opcodes.OpInstanceReinstall(instance_name="web", **values)))

    def test_the_script_runs_again_and_knows_it(self) -> None:
        before = self.instance().serial_no
        self.reinstall()
        self.assertEqual(self.os_runs(), [WEB, f"{WEB} 1"])
        self.assertEqual(self.instance().serial_no, before)

    def test_another_os_is_recorded(self) -> None:
        self.make_os("other", variants="small\nlarge\n", parameters="size words\n")
        self.reinstall(os_type="other+large", osparams={"size": "7"})
        self.assertEqual(
            (self.instance().os, self.instance().osparams), ("other+large", {"size": "7"})
        )
        self.reinstall(osparams={"size": "default"})
        self.assertEqual(self.instance().osparams, {})

    def test_a_script_that_fails_changes_nothing(self) -> None:
        self.make_os("other")
        self.os_does("exit 3")
        with self.assertRaisesRegex(errors.OpExecError, "exit code 3"):
            self.reinstall()
        before = self.instance()
        with self.assertRaises(errors.OpExecError):
            self.reinstall(os_type="nope")
        self.assertIs(self.instance(), before)

    def test_variants_and_parameters_are_checked(self) -> None:
        self.make_os("other", variants="small\n")
        for values in (
            {"os_type": "other"},
            {"os_type": "other+big"},
            {"os_type": "noop", "osparams": {"x": "y"}},
            {"osparams": {"x": "y"}},
        ):
            with self.assertRaises(errors.OpExecError):
                self.reinstall(**values)
        self.reinstall(os_type="other+big", force_variant=True)
        self.assertEqual(self.instance().os, "other+big")

    def test_parameters_that_another_os_lacks_are_dropped(self) -> None:
        self.make_os("other", parameters="size words\ntoken words\n")
        self.make_os("twin", parameters="size words\n")
        self.reinstall(os_type="other", osparams={"size": "7"}, osparams_private={"token": "x"})
        self.reinstall(os_type="twin")
        self.assertEqual(
            (self.instance().osparams, self.instance().osparams_private), ({"size": "7"}, {})
        )
        self.log_has("Dropping the stored parameters that the OS 'twin' does not have: token")
        self.reinstall(os_type="noop")
        self.assertEqual((self.instance().os, self.instance().osparams), ("noop", {}))

    def test_parameters_that_the_os_has_lost_are_dropped(self) -> None:
        folder = self.make_os("other", parameters="size words\nold words\n")
        self.reinstall(os_type="other", osparams={"size": "7", "old": "x"})
        with open(f"{folder}/parameters.list", "w", encoding="ascii") as file:
            file.write("size words\n")
        self.reinstall()
        self.assertEqual(self.instance().osparams, {"size": "7"})

    def test_an_older_os_is_given_all_parameters(self) -> None:
        self.make_os("other", parameters="size words\n")
        old = self.make_os("old", version=10)
        self.os_does('echo "$OSP_SIZE" >> runs', old)
        self.reinstall(os_type="other", osparams={"size": "7"})
        self.reinstall(os_type="old")
        self.assertEqual(
            (self.os_runs(old), self.instance().osparams), ([f"{WEB} 1", "7"], {"size": "7"})
        )

    def test_parameters_that_exclude_each_other_are_refused(self) -> None:
        self.make_os("other", parameters="size words\n")
        self.reinstall(os_type="other", osparams={"size": "7"})
        for values in ({"osparams_private": {"size": "8"}}, {"osparams_secret": {"size": "8"}}):
            with self.refused("wrong_input"):
                self.reinstall(**values)
        self.reinstall(osparams={"size": "default"}, osparams_private={"size": "8"})
        self.assertEqual(
            (self.instance().osparams, self.instance().osparams_private), ({}, {"size": "8"})
        )

    def test_values_are_checked_before_anything_is_done(self) -> None:
        picky = self.make_os(
            "picky",
            parameters="size words\n",
            verify='[ "$OSP_SIZE" = 7 ] || { echo "size must be 7"; exit 3; }',
        )
        before = self.instance()
        for values in (
            {"osparams": {"size": "8"}},
            {"osparams_secret": {"size": "8"}},
            {},
            {"dry_run": True},
        ):
            with self.assertRaisesRegex(errors.OpExecError, "(?s)exit code 3.*size must be 7"):
                self.reinstall(os_type="picky", **values)
        self.assertIs(self.instance(), before)
        self.reinstall(os_type="picky", osparams={"size": 7}, dry_run=True)
        self.assertEqual(self.os_runs(picky), [])
        self.reinstall(os_type="picky", osparams={"size": 7})
        self.assertEqual(self.instance().osparams, {"size": "7"})

    def test_the_script_is_told_the_debug_level(self) -> None:
        self.os_does("echo $DEBUG_LEVEL >> runs")
        self.reinstall(debug_level=3)
        self.assertEqual(self.os_runs()[-1], "3")

    def test_a_running_instance_is_refused(self) -> None:
        self.change(self.instance(), admin_state="up")
        with self.refused("wrong_state"):
            self.reinstall()
        self.change(self.instance(), admin_state="down")
        self.run_op(opcodes.OpInstanceStartup(instance_name=WEB, no_remember=True))
        with self.refused("wrong_state"):
            self.reinstall()

    def test_a_diskless_instance_is_refused(self) -> None:
        self.create("bare.example.com")
        with self.refused("wrong_input"):
            self.run_op(opcodes.OpInstanceReinstall(instance_name="bare"))

    def test_a_forbidden_os_and_an_offline_node_are_refused(self) -> None:
        self.change(self.config.cluster, blacklisted_os=["noop"])
        with self.refused("wrong_state"):
            self.reinstall(os_type="noop")
        self.change(self.config.node(MASTER), offline=True)
        with self.refused("wrong_state"):
            self.reinstall()

    def test_canceling_the_job_stops_the_script(self) -> None:
        self.os_does("exec sleep 60")
        with self.assertRaises(errors.JobCanceled):
            self.run_op(
                opcodes.OpInstanceReinstall(instance_name="web"),
                lambda run: run.cancel_at("create script"),
            )
        self.log_has("create script")
