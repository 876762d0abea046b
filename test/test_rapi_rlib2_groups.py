"""Node groups over the API."""

from testutils_rapi import RapiTestCase

GROUP = {"name": "default", "alloc_policy": "preferred", "node_cnt": 3, "ipolicy": {}}


class TestGroups(RapiTestCase):
    def setUp(self):
        super().setUp()
        self.objects(GROUP)

    def test_list(self):
        self.assertEqual(self.get("/2/groups"), [
            {"id": "default", "name": "default", "uri": "/2/groups/default"}])

    def test_bulk_and_one_are_the_same(self):
        group, = self.get("/2/groups?bulk=1")
        self.assertEqual(group["alloc_policy"], "preferred")
        self.assertEqual(self.get("/2/groups/default"), group)

    def test_what_every_monitor_reads_is_there(self):
        self.assertLessEqual({"name", "uuid", "alloc_policy", "ipolicy", "tags", "node_list"},
                             self.get("/2/groups/default").keys())
