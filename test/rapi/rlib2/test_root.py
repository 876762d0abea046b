"""The resources that answer without a master."""

from support.rapi import RapiTestCase


class TestRoot(RapiTestCase):
    user = None
    options = {"require_authentication": True}

    def test_root_lists_version_and_2(self):
        self.assertEqual(
            self.get("/"), [{"name": "2", "uri": "/2"}, {"name": "version", "uri": "/version"}]
        )

    def test_version_answers_2(self):
        self.assertEqual(self.get("/version"), 2)

    def test_version_2_lists_its_resources(self):
        self.assertEqual(
            [entry["name"] for entry in self.get("/2")],
            [
                "features",
                "filters",
                "groups",
                "info",
                "instances",
                "jobs",
                "networks",
                "nodes",
                "os",
                "tags",
            ],
        )

    def test_features_are_those_of_ganeti(self):
        self.assertEqual(
            set(self.get("/2/features")),
            {
                "instance-create-reqv1",
                "instance-reinstall-reqv1",
                "node-migrate-reqv1",
                "node-evac-res1",
            },
        )

    def tearDown(self):
        self.assertEqual(self.master.calls, [])
