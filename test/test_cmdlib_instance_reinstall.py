"""Installing an OS again."""

from typing import Any

from testutils_lu import MASTER, WEB, LUTestCase

from ganeti import errors, opcodes


class TestInstanceReinstall(LUTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.create(disk_template="file", disks=[{"size": 1024}])

    def reinstall(self, **values: Any) -> None:
        self.assertIsNone(self.run_op(opcodes.OpInstanceReinstall(
            instance_name="web", **values)))

    def test_the_script_runs_again_and_knows_it(self) -> None:
        before = self.instance().serial_no
        self.reinstall()
        self.assertEqual(self.os_runs(), [WEB, f"{WEB} 1"])
        self.assertEqual(self.instance().serial_no, before)

    def test_another_os_is_recorded(self) -> None:
        self.make_os("other", variants="small\nlarge\n", parameters="size words\n")
        self.reinstall(os_type="other+large", osparams={"size": "7"})
        self.assertEqual((self.instance().os, self.instance().osparams),
                         ("other+large", {"size": "7"}))
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
        for values in ({"os_type": "other"}, {"os_type": "other+big"},
                       {"os_type": "noop", "osparams": {"x": "y"}}):
            with self.assertRaises(errors.OpExecError):
                self.reinstall(**values)
        self.reinstall(os_type="other+big", force_variant=True)
        self.assertEqual(self.instance().os, "other+big")

    def test_it_must_be_down(self) -> None:
        self.change(self.instance(), admin_state="up")
        with self.refused("wrong_state"):
            self.reinstall()
        self.change(self.instance(), admin_state="down")
        self.run_op(opcodes.OpInstanceStartup(instance_name=WEB, no_remember=True))
        with self.refused("wrong_state"):
            self.reinstall()

    def test_without_disks_there_is_nothing_to_install_on(self) -> None:
        self.create("bare.example.com")
        with self.refused("wrong_input"):
            self.run_op(opcodes.OpInstanceReinstall(instance_name="bare"))

    def test_forbidden_os_and_offline_node(self) -> None:
        self.change(self.config.cluster, blacklisted_os=["noop"])
        with self.refused("wrong_state"):
            self.reinstall(os_type="noop")
        self.change(self.config.node(MASTER), offline=True)
        with self.refused("wrong_state"):
            self.reinstall()

    def test_cancelling_stops_the_script(self) -> None:
        self.os_does("exec sleep 60")
        with self.assertRaises(errors.JobCanceled):
            self.run_op(opcodes.OpInstanceReinstall(instance_name="web"),
                        lambda run: run.cancel_at("create script"))
        self.log_has("create script")
