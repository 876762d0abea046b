"""Changing nodes: the opcode that each verb submits."""

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
    def test_a_role_is_read_as_a_word(self):
        for letter, word in (
            ("M", "master"),
            ("C", "master-candidate"),
            ("R", "regular"),
            ("D", "drained"),
            ("O", "offline"),
        ):
            self.objects({"name": "node2", "role": letter})
            self.assertEqual(self.get(f"{NODE}/role"), word)

    def test_the_role_of_an_unknown_node_is_not_found(self):
        self.objects()
        self.assert_refused(404, "GET", f"{NODE}/role")

    def test_a_new_role_is_submitted_as_flags(self):
        for word, fields in (
            ("regular", {"master_candidate": False, "offline": False, "drained": False}),
            ("master-candidate", {"master_candidate": True}),
            ("drained", {"drained": True}),
            ("offline", {"offline": True}),
        ):
            self.master.calls.clear()
            self.put(f"{NODE}/role", word)
            self.assert_submitted(OpNodeSetParams(**NAME, **fields))

    def test_a_new_role_takes_force_and_auto_promote(self):
        self.put(f"{NODE}/role?force=1&auto-promote=1", "offline")
        self.assert_submitted(OpNodeSetParams(**NAME, offline=True, force=True, auto_promote=True))

    def test_an_unknown_role_is_refused(self):
        for body in ("master", "x", {"role": "drained"}, ["drained"], 1, None):
            self.assert_refused(400, "PUT", f"{NODE}/role", body, text="must be one of")


class TestNode(RapiTestCase):
    def test_modify_submits_the_fields(self):
        self.post(f"{NODE}/modify", {"ndparams": {"spindle_count": 2}, "vm_capable": False})
        self.assert_submitted(
            OpNodeSetParams(**NAME, ndparams={"spindle_count": 2}, vm_capable=False)
        )

    def test_powercycle_submits_force(self):
        self.post(f"{NODE}/powercycle?force=1")
        self.assert_submitted(OpNodePowercycle(**NAME, force=True))

    def test_evacuate_takes_its_body(self):
        self.post(f"{NODE}/evacuate?dry-run=1", {"mode": "secondary-only", "remote_node": "n3"})
        self.assert_submitted(
            OpNodeEvacuate(**NAME, mode="secondary-only", remote_node="n3", dry_run=True)
        )

    def test_evacuate_takes_the_query_of_2_4(self):
        self.post(f"{NODE}/evacuate?mode=all&iallocator=hail&early_release=1")
        self.assert_submitted(
            OpNodeEvacuate(**NAME, mode="all", iallocator="hail", early_release=True)
        )

    def test_migrate_takes_its_body(self):
        self.post(f"{NODE}/migrate", {"mode": "live", "target_node": "n3"})
        self.assert_submitted(OpNodeMigrate(**NAME, mode="live", target_node="n3"))

    def test_migrate_takes_mode_or_live_of_the_query(self):
        for words, mode in (("mode=live", "live"), ("live=1", "live"), ("live=0", "non-live")):
            self.master.calls.clear()
            self.post(f"{NODE}/migrate?{words}")
            self.assert_submitted(OpNodeMigrate(**NAME, mode=mode))
        self.master.calls.clear()
        self.assert_refused(400, "POST", f"{NODE}/migrate?live=1&mode=live", text="'live' and")


class TestStorage(RapiTestCase):
    def test_storage_is_queried_by_a_job(self):
        self.assert_job(
            self.request("GET", f"{NODE}/storage?storage_type=lvm-vg&output_fields=name,free")
        )
        self.assert_submitted(
            OpNodeQueryStorage(
                nodes=["node2"], storage_type="lvm-vg", output_fields=["name", "free"]
            )
        )

    def test_storage_type_may_be_left_out(self):
        self.assert_job(self.request("GET", f"{NODE}/storage?output_fields=name"))
        self.assert_submitted(OpNodeQueryStorage(nodes=["node2"], output_fields=["name"]))

    def test_a_storage_query_without_its_words_or_user_is_refused(self):
        for words, text in (
            ("storage_type=file", "'output_fields' is missing"),
            ("storage_type=x&output_fields=name", "'storage_type'"),
        ):
            self.assert_refused(400, "GET", f"{NODE}/storage?{words}", text=text)
        self.user = None
        self.assert_refused(401, "GET", f"{NODE}/storage?storage_type=file&output_fields=name")

    def test_modify_submits_what_is_to_change(self):
        for words, changes in (("", {}), ("&allocatable=0", {"allocatable": False})):
            self.master.calls.clear()
            self.put(f"{NODE}/storage/modify?storage_type=lvm-pv&name=/dev/sda{words}")
            self.assert_submitted(
                OpNodeModifyStorage(**NAME, storage_type="lvm-pv", name="/dev/sda", changes=changes)
            )

    def test_repair_submits_type_and_name_and_requires_them(self):
        self.put(f"{NODE}/storage/repair?storage_type=lvm-vg&name=vg")
        self.assert_submitted(OpRepairNodeStorage(**NAME, storage_type="lvm-vg", name="vg"))
        self.master.calls.clear()
        self.assert_refused(
            400, "PUT", f"{NODE}/storage/repair?storage_type=lvm-vg", text="'name' is missing"
        )
