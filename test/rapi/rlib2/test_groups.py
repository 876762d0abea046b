"""Node groups over the API."""

from ganeti.opcodes import (
    OpGroupAdd,
    OpGroupAssignNodes,
    OpGroupRemove,
    OpGroupRename,
    OpGroupSetParams,
    OpTagsDel,
)
from support.rapi import RapiTestCase

GROUP = {"name": "default", "alloc_policy": "preferred", "node_cnt": 3, "ipolicy": {}}


class TestGroups(RapiTestCase):
    def setUp(self):
        super().setUp()
        self.objects(GROUP)

    def test_groups_are_listed(self):
        self.assertEqual(
            self.get("/2/groups"),
            [{"id": "default", "name": "default", "uri": "/2/groups/default"}],
        )

    def test_bulk_and_single_reading_are_the_same(self):
        (group,) = self.get("/2/groups?bulk=1")
        self.assertEqual(group["alloc_policy"], "preferred")
        self.assertEqual(self.get("/2/groups/default"), group)

    def test_what_every_monitor_reads_is_there(self):
        self.assertLessEqual(
            {"name", "uuid", "alloc_policy", "ipolicy", "tags", "node_list"},
            self.get("/2/groups/default").keys(),
        )


class TestGroupChange(RapiTestCase):
    GROUP = "/2/groups/default"
    NAME = {"group_name": "default"}

    def test_a_group_is_added(self):
        self.post("/2/groups?dry-run=1", {"name": "default", "alloc_policy": "last_resort"})
        self.assert_submitted(OpGroupAdd(**self.NAME, alloc_policy="last_resort", dry_run=True))

    def test_a_group_is_removed(self):
        self.delete(self.GROUP)
        self.assert_submitted(OpGroupRemove(**self.NAME))

    def test_modify_takes_the_names_that_reading_has(self):
        self.put(
            f"{self.GROUP}/modify",
            {
                "custom_ndparams": {"spindle_count": 2},
                "custom_ipolicy": {"spindle-ratio": 2.0},
                "diskparams": {"drbd": {}},
            },
        )
        self.assert_submitted(
            OpGroupSetParams(
                **self.NAME,
                ndparams={"spindle_count": 2},
                ipolicy={"spindle-ratio": 2.0},
                diskparams={"drbd": {}},
            )
        )

    def test_rename_submits_the_new_name(self):
        self.put(f"{self.GROUP}/rename", {"new_name": "g"})
        self.assert_submitted(OpGroupRename(**self.NAME, new_name="g"))

    def test_assign_nodes_submits_a_list_of_nodes(self):
        self.put(f"{self.GROUP}/assign-nodes?force=1", {"nodes": ["node2"]})
        self.assert_submitted(OpGroupAssignNodes(**self.NAME, nodes=["node2"], force=True))
        self.master.calls.clear()
        self.assert_refused(
            400, "PUT", f"{self.GROUP}/assign-nodes", {"nodes": "node2"}, text="'nodes'"
        )

    def test_tags_of_a_group_are_submitted(self):
        self.delete(f"{self.GROUP}/tags?tag=a")
        self.assert_submitted(OpTagsDel(kind="nodegroup", name="default", tags=["a"]))
