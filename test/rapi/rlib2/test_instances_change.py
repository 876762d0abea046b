"""Changing instances: names in the body, and the opcode that each verb submits."""

from ganeti.opcodes import (
    OpBackupExport,
    OpBackupPrepare,
    OpBackupRemove,
    OpInstanceFailover,
    OpInstanceMigrate,
    OpInstanceRename,
    OpInstanceSetParams,
)
from support.rapi import RapiTestCase

WEB = "/2/instances/web"
NAME = {"instance_name": "web"}


class TestModify(RapiTestCase):
    def test_modify_takes_the_names_that_reading_has(self):
        self.put(
            f"{WEB}/modify",
            {"custom_beparams": {"vcpus": 2}, "custom_hvparams": {"acpi": 1}, "force": True},
        )
        self.assert_submitted(
            OpInstanceSetParams(**NAME, beparams={"vcpus": 2}, hvparams={"acpi": 1}, force=True)
        )

    def test_both_names_of_one_field_are_refused(self):
        self.assert_refused(
            400,
            "PUT",
            f"{WEB}/modify",
            {"custom_beparams": {}, "beparams": {}},
            text="give one of them",
        )

    def test_usb_devices_may_have_blanks_between(self):
        self.put(f"{WEB}/modify", {"hvparams": {"usb_devices": "tablet mouse", "acpi": True}})
        self.assert_submitted(
            OpInstanceSetParams(**NAME, hvparams={"usb_devices": "tablet,mouse", "acpi": True})
        )

    def test_modify_submits_disks_and_nics_and_refuses_unknown_changes(self):
        body = {"disks": [["add", -1, {"size": 512}]], "nics": [[0, {"link": "br1"}]]}
        self.put(f"{WEB}/modify", body)
        self.assert_submitted(OpInstanceSetParams(**NAME, **body))
        self.assert_refused_twice()

    def assert_refused_twice(self):
        self.master.calls.clear()
        self.assert_refused(
            400, "PUT", f"{WEB}/modify", {"disks": [["grow", 0, {}]]}, text="'disks'"
        )
        self.assert_refused(400, "PUT", f"{WEB}/modify", {"hostname": "x"}, text="'hostname'")

    def test_sizes_of_disks_are_sent_in_mib(self):
        for size in ("1G", "1024", "1024m", "1 GB", 1024.0):
            for change in (["add"], ["add", -1], ["modify", 0]):
                self.master.calls.clear()
                self.put(f"{WEB}/modify", {"disks": [[*change, {"size": size}]]})
                self.assert_submitted(
                    OpInstanceSetParams(**NAME, disks=[[*change, {"size": 1024}]])
                )
        self.master.calls.clear()
        for size in ("1 yard", "", None, -1, "-1", True, [1]):
            self.assert_refused(
                400,
                "PUT",
                f"{WEB}/modify",
                {"disks": [["add", {"size": size}]]},
                text="'disks[0].size'",
            )

    def test_what_can_be_reset_is_no_wrong_type(self):
        body = {"beparams": {"memory": None, "vcpus": "default"}, "hvparams": {"acpi": "default"}}
        self.put(f"{WEB}/modify", body)
        self.assert_submitted(OpInstanceSetParams(**NAME, **body))
        self.master.calls.clear()
        for wrong in ({"beparams": {"vcpus": "x"}}, {"hvparams": {"kernel_path": None}}):
            self.assert_refused(400, "PUT", f"{WEB}/modify", wrong, text="is not a valid")


class TestInstancePlacement(RapiTestCase):
    def test_rename_submits_the_new_name_and_requires_it(self):
        self.put(f"{WEB}/rename", {"new_name": "db", "name_check": False})
        self.assert_submitted(OpInstanceRename(**NAME, new_name="db", name_check=False))
        self.master.calls.clear()
        self.assert_refused(400, "PUT", f"{WEB}/rename", {}, text="'new_name' is missing")

    def test_migrate_submits_the_opcode(self):
        self.put(f"{WEB}/migrate")
        self.assert_submitted(OpInstanceMigrate(**NAME))

    def test_migrate_takes_mode_and_target_node(self):
        self.put(f"{WEB}/migrate?dry-run=1", {"mode": "live", "target_node": "node2"})
        self.assert_submitted(
            OpInstanceMigrate(**NAME, mode="live", target_node="node2", dry_run=True)
        )

    def test_failover_submits_the_opcode(self):
        self.put(f"{WEB}/failover", {"ignore_consistency": True})
        self.assert_submitted(OpInstanceFailover(**NAME, ignore_consistency=True))


class TestExports(RapiTestCase):
    def test_prepare_export_submits_the_mode(self):
        self.put(f"{WEB}/prepare-export?mode=remote")
        self.assert_submitted(OpBackupPrepare(**NAME, mode="remote"))

    def test_prepare_export_without_a_valid_mode_is_refused(self):
        self.assert_refused(400, "PUT", f"{WEB}/prepare-export", text="'mode' is missing")
        self.assert_refused(400, "PUT", f"{WEB}/prepare-export?mode=x", text="'mode'")

    def test_export_renames_destination_to_target_node(self):
        self.put(f"{WEB}/export", {"destination": "node2", "shutdown": False})
        self.assert_submitted(OpBackupExport(**NAME, target_node="node2", shutdown=False))

    def test_an_export_is_removed_by_delete(self):
        self.delete(f"{WEB}/export")
        self.assert_submitted(OpBackupRemove(**NAME))
