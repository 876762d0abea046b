"""Changing nodes: what becomes of each verb."""

from ganeti.opcodes import (
    OpNodeEvacuate,
    OpNodeMigrate,
    OpNodeModifyStorage,
    OpNodePowercycle,
    OpNodeQueryStorage,
    OpNodeSetParams,
    OpRepairNodeStorage,
)
from support.rapi import RapiTestCase

NODE = "/2/nodes/node2"
NAME = {"node_name": "node2"}


class TestRole(RapiTestCase):
    def test_in_a_word(self):
        for letter, word in (
            ("M", "master"),
            ("C", "master-candidate"),
            ("R", "regular"),
            ("D", "drained"),
            ("O", "offline"),
        ):
            self.objects({"name": "node2", "role": letter})
            self.assertEqual(self.get(f"{NODE}/role"), word)

    def test_of_no_node(self):
        self.objects()
        self.assert_refused(404, "GET", f"{NODE}/role")

    def test_another_one(self):
        for word, fields in (
            ("regular", {"master_candidate": False, "offline": False, "drained": False}),
            ("master-candidate", {"master_candidate": True}),
            ("drained", {"drained": True}),
            ("offline", {"offline": True}),
        ):
            self.master.calls.clear()
            self.put(f"{NODE}/role", word)
            self.assert_submitted(OpNodeSetParams(**NAME, **fields))

    def test_with_force(self):
        self.put(f"{NODE}/role?force=1&auto-promote=1", "offline")
        self.assert_submitted(OpNodeSetParams(**NAME, offline=True, force=True, auto_promote=True))

    def test_what_is_no_role(self):
        for body in ("master", "x", {"role": "drained"}, ["drained"], 1, None):
            self.assert_refused(400, "PUT", f"{NODE}/role", body, text="must be one of")


class TestNode(RapiTestCase):
    def test_modify(self):
        self.post(f"{NODE}/modify", {"ndparams": {"spindle_count": 2}, "vm_capable": False})
        self.assert_submitted(
            OpNodeSetParams(**NAME, ndparams={"spindle_count": 2}, vm_capable=False)
        )

    def test_powercycle(self):
        self.post(f"{NODE}/powercycle?force=1")
        self.assert_submitted(OpNodePowercycle(**NAME, force=True))

    def test_evacuate(self):
        self.post(f"{NODE}/evacuate?dry-run=1", {"mode": "secondary-only", "remote_node": "n3"})
        self.assert_submitted(
            OpNodeEvacuate(**NAME, mode="secondary-only", remote_node="n3", dry_run=True)
        )

    def test_evacuate_as_until_2_4(self):
        self.post(f"{NODE}/evacuate?mode=all&iallocator=hail&early_release=1")
        self.assert_submitted(
            OpNodeEvacuate(**NAME, mode="all", iallocator="hail", early_release=True)
        )

    def test_migrate(self):
        self.post(f"{NODE}/migrate", {"mode": "live", "target_node": "n3"})
        self.assert_submitted(OpNodeMigrate(**NAME, mode="live", target_node="n3"))

    def test_migrate_by_the_query(self):
        for words, mode in (("mode=live", "live"), ("live=1", "live"), ("live=0", "non-live")):
            self.master.calls.clear()
            self.post(f"{NODE}/migrate?{words}")
            self.assert_submitted(OpNodeMigrate(**NAME, mode=mode))
        self.master.calls.clear()
        self.assert_refused(400, "POST", f"{NODE}/migrate?live=1&mode=live", text="'live' and")


class TestStorage(RapiTestCase):
    def test_query(self):
        self.assert_job(
            self.request("GET", f"{NODE}/storage?storage_type=lvm-vg&output_fields=name,free")
        )
        self.assert_submitted(
            OpNodeQueryStorage(
                nodes=["node2"], storage_type="lvm-vg", output_fields=["name", "free"]
            )
        )

    def test_query_of_the_type_that_the_cluster_uses(self):
        self.assert_job(self.request("GET", f"{NODE}/storage?output_fields=name"))
        self.assert_submitted(OpNodeQueryStorage(nodes=["node2"], output_fields=["name"]))

    def test_what_a_query_needs(self):
        for words, text in (
            ("storage_type=file", "'output_fields' is missing"),
            ("storage_type=x&output_fields=name", "'storage_type'"),
        ):
            self.assert_refused(400, "GET", f"{NODE}/storage?{words}", text=text)
        self.user = None
        self.assert_refused(401, "GET", f"{NODE}/storage?storage_type=file&output_fields=name")

    def test_modify(self):
        for words, changes in (("", {}), ("&allocatable=0", {"allocatable": False})):
            self.master.calls.clear()
            self.put(f"{NODE}/storage/modify?storage_type=lvm-pv&name=/dev/sda{words}")
            self.assert_submitted(
                OpNodeModifyStorage(**NAME, storage_type="lvm-pv", name="/dev/sda", changes=changes)
            )

    def test_repair(self):
        self.put(f"{NODE}/storage/repair?storage_type=lvm-vg&name=vg")
        self.assert_submitted(OpRepairNodeStorage(**NAME, storage_type="lvm-vg", name="vg"))
        self.master.calls.clear()
        self.assert_refused(
            400, "PUT", f"{NODE}/storage/repair?storage_type=lvm-vg", text="'name' is missing"
        )
