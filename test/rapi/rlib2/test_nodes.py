"""Nodes over the API."""

from ganeti import luxi
from support.rapi import RapiTestCase

NODE = {"name": "node1.example.com", "sip": "192.0.2.1", "mtotal": 1024}


class TestNodes(RapiTestCase):
    def setUp(self):
        super().setUp()
        self.objects(NODE)

    def test_nodes_are_listed_with_and_without_version(self):
        expected = [{"id": NODE["name"], "name": NODE["name"], "uri": "/2/nodes/node1.example.com"}]
        self.assertEqual(self.get("/2/nodes"), expected)
        self.assertEqual(self.get("/nodes"), expected)

    def test_bulk_has_old_and_new_names_and_nulls(self):
        (node,) = self.get("/2/nodes?bulk=1")
        self.assertEqual(
            (node["mtotal"], node["secondary_ip"], node["mfree"]), (1024, "192.0.2.1", None)
        )

    def test_one_node_is_read_by_name(self):
        for path in ("/2/nodes/node1", "/nodes/node1"):
            self.assertEqual(self.get(path)["secondary_ip"], "192.0.2.1")
            self.assertEqual(self.master.calls[-1].qfilter, ["==", "name", "node1"])

    def test_fields_are_those_of_3_x(self):
        self.get("/2/nodes?bulk=1")
        _, call = self.master.calls  # first their names: there may be very many
        self.assertIsInstance(call, luxi.Query)
        self.assertEqual(len(call.fields), 31)
