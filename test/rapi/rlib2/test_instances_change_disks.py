"""The disks of instances: the opcode that each verb submits."""

from ganeti.opcodes import (
    OpInstanceActivateDisks,
    OpInstanceDeactivateDisks,
    OpInstanceGrowDisk,
    OpInstanceRecreateDisks,
    OpInstanceReplaceDisks,
)
from support.rapi import RapiTestCase

WEB = "/2/instances/web"
NAME = {"instance_name": "web"}


class TestDisks(RapiTestCase):
    def test_activate_submits_ignore_size(self):
        self.put(f"{WEB}/activate-disks?ignore_size=1")
        self.assert_submitted(OpInstanceActivateDisks(**NAME, ignore_size=True))

    def test_deactivate_submits_the_opcode(self):
        self.put(f"{WEB}/deactivate-disks")
        self.assert_submitted(OpInstanceDeactivateDisks(**NAME))

    def test_recreate_submits_disks_and_nodes(self):
        self.post(f"{WEB}/recreate-disks", {"disks": [0, 1], "nodes": ["node2"]})
        self.assert_submitted(OpInstanceRecreateDisks(**NAME, disks=[0, 1], nodes=["node2"]))

    def test_recreate_sends_sizes_in_mib(self):
        for size in ("1g", "1 GB", "1024", 1024.0):
            self.master.calls.clear()
            self.post(f"{WEB}/recreate-disks", {"disks": [[0, {"size": size}]]})
            self.assert_submitted(OpInstanceRecreateDisks(**NAME, disks=[[0, {"size": 1024}]]))
        self.master.calls.clear()
        for size in ("x", None, -1):
            self.assert_refused(
                400,
                "POST",
                f"{WEB}/recreate-disks",
                {"disks": [[0, {"size": size}]]},
                text="'disks[0].size'",
            )

    def test_grow_submits_disk_and_amount(self):
        self.post(f"{WEB}/disk/1/grow", {"amount": 512})
        self.assert_submitted(OpInstanceGrowDisk(**NAME, disk=1, amount=512))

    def test_a_disk_that_cannot_be_is_refused(self):
        for disk, status, text in (("16", 400, "'disk'"), ("x", 404, ""), ("-1", 404, "")):
            self.assert_refused(status, "POST", f"{WEB}/disk/{disk}/grow", {"amount": 1}, text=text)
        self.assert_refused(
            400,
            "POST",
            f"{WEB}/disk/0/grow",
            {"disk": 1, "amount": 1},
            text="disk cannot be given in the body",
        )


class TestReplace(RapiTestCase):
    def test_replace_takes_its_body(self):
        self.post(
            f"{WEB}/replace-disks",
            {"mode": "replace_new_secondary", "disks": [0], "remote_node": "node2"},
        )
        self.assert_submitted(
            OpInstanceReplaceDisks(
                **NAME, mode="replace_new_secondary", disks=[0], remote_node="node2"
            )
        )

    def test_replace_takes_the_query_of_2_5(self):
        self.post(f"{WEB}/replace-disks?mode=replace_auto&disks=0,%201&iallocator=hail")
        self.assert_submitted(
            OpInstanceReplaceDisks(**NAME, mode="replace_auto", disks=[0, 1], iallocator="hail")
        )

    def test_disks_may_be_text_with_commas(self):
        self.post(f"{WEB}/replace-disks", {"mode": "replace_auto", "disks": "0, 1"})
        self.assert_submitted(OpInstanceReplaceDisks(**NAME, mode="replace_auto", disks=[0, 1]))

    def test_invalid_disks_are_refused(self):
        for disks in ("0;1", "a", "", "16"):
            self.assert_refused(
                400,
                "POST",
                f"{WEB}/replace-disks",
                {"mode": "replace_auto", "disks": disks},
                text="'disks'",
            )
        self.assert_refused(
            400, "POST", f"{WEB}/replace-disks?mode=replace_auto&disks=a", text="'disks'"
        )
