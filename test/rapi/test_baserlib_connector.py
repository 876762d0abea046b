"""Routes."""

import unittest

from ganeti.rapi import rlib2
from ganeti.rapi.baserlib import Connector, pattern
from ganeti.rapi.rlib2 import RESOURCES
from support.sources import classes, inside


class TestRoutes(unittest.TestCase):
    def setUp(self):
        self.connector = Connector(rlib2.RESOURCES)

    def find(self, path):
        match = self.connector.find(path)
        return match.resource.URI, match.slots

    def test_slots_are_filled_from_the_path(self):
        self.assertEqual(
            self.find("/2/instances/web.example.com/startup"),
            ("/2/instances/{instance_name}/startup", {"instance_name": "web.example.com"}),
        )
        self.assertEqual(self.find("/2/jobs/007"), ("/2/jobs/{job_id}", {"job_id": "007"}))

    def test_paths_that_lead_nowhere_are_not_found(self):
        for path in (
            "",
            "/3",
            "/2/",
            "//2/info",
            "/2/info/",
            "/2/info\n",
            "/2/jobs/abc",
            "/2/jobs/-1",
            "/2/jobs/\u0661",
            "/2/instances/",
            "/2/instances/a b",
            "/2/instances/a/b",
            "/2/instances/b\u00fccher",
            "/2/Info",
            "/tags",
            "/2/query",
            "/2/query/os",
            "/2/query/Lock",
            "/2/query/lock/name",
        ):
            self.assertIsNone(self.connector.find(path), path)

    def test_other_spellings_can_only_be_read(self):
        for path in ("/info", "/instances", "/instances/x", "/nodes", "/nodes/x"):
            match = self.connector.find(path)
            self.assertTrue(match.resource.URI.startswith("/2/"))
            self.assertEqual(match.allow(), ["GET", "HEAD", "OPTIONS"])

    def test_allow_lists_all_methods(self):
        self.assertEqual(
            self.connector.find("/2/tags").allow(), ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"]
        )
        self.assertEqual(self.connector.find("/2/instances/x/reboot").allow(), ["POST", "OPTIONS"])

    def test_points_and_braces_are_no_regexes(self):
        self.assertIsNone(pattern("/a.b").fullmatch("/axb"))

    def test_two_resources_of_one_uri_are_an_error(self):
        other = type("Other", (), {"URI": "/2/info", "ALIASES": (), "SLOTS": {}})
        self.assertRaisesRegex(ValueError, "/2/info", Connector, [*RESOURCES, other])


class TestAllResources(unittest.TestCase):
    def test_every_class_of_the_package_is_a_resource(self):
        found = {
            name
            for module in inside("rapi.rlib2")
            for name in classes(module)
            if name.startswith("R_")
        }
        self.assertEqual(found, {resource.__name__ for resource in RESOURCES})


class TestPublicResources(unittest.TestCase):
    def test_only_these_answer_strangers_always(self):
        self.assertEqual(
            {resource.URI for resource in RESOURCES if resource.PUBLIC},
            {"/", "/version", "/2", "/2/features"},
        )
