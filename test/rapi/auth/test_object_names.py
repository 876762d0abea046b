"""Patterns are matched against the full name, whatever name the request gives."""

from unittest import mock

import pytest

from ganeti import errors, luxi
from ganeti.rapi.auth.object_names import full_name
from support.rapi import FakeMaster, FakeUsers, RapiTestCase, table

UUID = "da4b9d1f-2b31-4059-8388-d9b4f50ee654"
WEB = {"name": "web1.example.com", "uuid": UUID}


class MasterWithOneObject(FakeMaster):
    """A master with one object, which it finds by any of its names."""

    def __init__(self, known=WEB):
        super().__init__()
        self.known = known
        self.answers[luxi.Query] = self.find

    def call(self, call):
        return self.ask(call).result

    def find(self, call):
        _, field, text = call.qfilter
        if field == "name" and text not in (self.known["name"], "web1", self.known["uuid"]):
            return errors.OpPrereqError(f"Instance name {text} not found", "unknown_entity")
        fits = self.known[field] == text or text == "web1"
        return table(call, [self.known] if fits else [])


@pytest.mark.parametrize("text", ["web1.example.com", "web1", "WEB1", UUID, UUID.upper()])
def test_every_name_of_an_instance_yields_its_full_name(text):
    assert (
        full_name(MasterWithOneObject(), {"instance_name": text, "disk": "0"}) == "web1.example.com"
    )


def test_an_unknown_instance_yields_its_text_in_lower_case():
    assert full_name(MasterWithOneObject(), {"instance_name": "Web2"}) == "web2"


def test_an_object_with_one_name_only_is_not_asked_for():
    master = MasterWithOneObject()
    assert full_name(master, {"job_id": "7"}) == "7"
    assert full_name(master, {}) is None
    assert master.calls == []


def test_group_names_keep_their_case():
    master = MasterWithOneObject()
    full_name(master, {"group_name": "Default"})
    assert [call.qfilter[2] for call in master.calls] == ["Default"]


class TestRightsByPattern(RapiTestCase):
    user = "pat"

    def setUp(self):
        super().setUp()
        self.master.answers[luxi.Query] = MasterWithOneObject().find

    def status(self, rights, name):
        self.master.calls.clear()
        with mock.patch.dict(FakeUsers.USERS, {"pat": rights}):
            found = self.request("PUT", f"/2/instances/{name}/startup").status
        submitted = [call for call in self.master.calls if isinstance(call, luxi.SubmitJob)]
        self.assertEqual(bool(submitted), found == 200)
        return found

    def test_a_right_given_by_pattern_covers_every_name_of_an_object(self):
        for name in ("web1.example.com", "web1", UUID):
            self.assertEqual(self.status("instances.startup:web*.example.com", name), 200)
            self.assertEqual(self.status("instances.startup:da*", name), 403)
            self.assertEqual(self.status("instances.startup:*1", name), 403)

    def test_a_right_taken_by_pattern_is_denied_by_every_name(self):
        for name in ("web1.example.com", "web1", UUID):
            self.assertEqual(self.status("@admin,-instances.startup:*.example.com", name), 403)
            self.assertEqual(self.status("@admin,-instances.startup:da*", name), 200)

    def test_a_right_without_pattern_asks_for_no_name(self):
        self.assertEqual(self.status("@admin,-instances.shutdown:web*", "web1"), 200)
        self.assertEqual(len(self.master.calls), 1)

    def test_a_master_that_does_not_answer_is_a_502(self):
        self.master.answers[luxi.Query] = errors.NoMaster("x")
        self.assertEqual(self.status("instances.startup:web*", "web1"), 502)
