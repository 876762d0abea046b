"""Declarations of resources: what they must say, and what is read from them."""

import unittest

from ganeti.opcodes import OpInstanceStartup
from ganeti.rapi import baserlib, rlib2
from ganeti.rapi.arguments import flag
from ganeti.rapi.baserlib import Resource, ResourceRequest, children, verb
from ganeti.rapi.submit import Submit


class TestDeclaration(unittest.TestCase):
    def test_a_verb_must_say_who_may(self):
        with self.assertRaisesRegex(TypeError, "Careless.GET does not say who may"):

            class Careless(Resource):
                @verb("")
                def GET(self):
                    """Show it."""

    def test_only_a_get_can_be_open(self):
        class Careful(Resource):
            @verb("tags.get")
            def GET(self):
                """Show it."""

            @verb("tags.delete")
            def DELETE(self):
                """Remove it."""

        self.assertEqual((Careful.GET.open, Careful.DELETE.open), (True, False))

    def test_a_submission_must_say_who_may(self):
        with self.assertRaises(TypeError):
            Submit(OpInstanceStartup, force=flag)

    def test_a_plain_method_is_no_verb(self):
        with self.assertRaisesRegex(TypeError, "PlainMethod.GET is not a verb"):

            class PlainMethod(Resource):
                def GET(self):
                    """Answer."""

    def test_words_must_be_fields_of_the_opcode(self):
        with self.assertRaisesRegex(TypeError, "no field speed"):
            Submit(OpInstanceStartup, access="x", speed=flag)

    def test_a_method_gets_the_request_and_its_arguments(self):
        class ThingResource(Resource):
            @verb("jobs.list", bulk=flag)
            def GET(self, bulk):
                """Answer."""
                return self.request.slots, bulk

        request = ResourceRequest(
            master=None, slots={"a": "b"}, query=baserlib.QueryString("bulk=1")
        )
        self.assertEqual(ThingResource.GET.answer(request), ({"a": "b"}, True))
        self.assertEqual(
            (ThingResource.GET.doc, ThingResource.GET.access), ("Answer.", "jobs.list")
        )

    def test_resources_without_uri_are_not_found(self):
        class Hidden(Resource):
            pass

        self.assertNotIn(Hidden, baserlib.RESOURCES)


class TestChildren(unittest.TestCase):
    def test_direct_ones_without_slots(self):
        self.assertTrue(rlib2.RESOURCES)  # importing the package has registered them
        self.assertEqual(
            children("/"), [{"name": "2", "uri": "/2"}, {"name": "version", "uri": "/version"}]
        )
        self.assertEqual(children("/2/nodes"), [])
