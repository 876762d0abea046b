"""Reinstalling: two forms of request, one job of two or three opcodes."""

from ganeti.opcodes import OpInstanceReinstall, OpInstanceShutdown, OpInstanceStartup
from support.rapi import RapiTestCase

URI = "/2/instances/web/reinstall"
STOP = OpInstanceShutdown(instance_name="web")
START = OpInstanceStartup(instance_name="web")


class TestReinstall(RapiTestCase):
    def test_an_os_in_the_query_stops_reinstalls_and_starts(self):
        self.post(URI + "?os=noop%2Bdefault")
        self.assert_submitted(
            STOP, OpInstanceReinstall(instance_name="web", os_type="noop+default"), START
        )

    def test_nostartup_leaves_the_instance_stopped(self):
        self.post(URI + "?nostartup=1")
        self.assert_submitted(STOP, OpInstanceReinstall(instance_name="web"))

    def test_os_and_parameters_of_the_body_are_submitted(self):
        self.post(URI, {"os": "noop", "osparams": {"a": "b"}})
        self.assert_submitted(
            STOP,
            OpInstanceReinstall(instance_name="web", os_type="noop", osparams={"a": "b"}),
            START,
        )

    def test_start_false_leaves_the_instance_stopped(self):
        self.post(URI, {"start": False})
        self.assert_submitted(STOP, OpInstanceReinstall(instance_name="web"))

    def test_the_whole_job_waits_and_has_a_priority(self):
        self.post(URI, {"depends": [[3, ["success"]]], "priority": 10})
        (ops,) = self.submitted()
        self.assertEqual([op.get("depends") for op in ops], [[[3, ["success"]]], None, None])
        self.assertEqual([op["priority"] for op in ops], [10, 10, 10])

    def test_words_of_query_and_body_cannot_be_combined(self):
        self.assert_refused(400, "POST", URI + "?os=noop", {"os": "noop"}, text="combined")
        self.assert_refused(400, "POST", URI + "?nostartup=0", {"start": True}, text="combined")

    def test_an_empty_body_beside_the_query_is_accepted(self):
        self.post(URI + "?nostartup=1", {})
        self.assert_submitted(STOP, OpInstanceReinstall(instance_name="web"))

    def test_a_start_of_the_wrong_type_is_refused(self):
        self.assert_refused(400, "POST", URI, {"start": "yes"}, text="'start'")

    def test_an_unknown_field_is_refused(self):
        self.assert_refused(400, "POST", URI, {"variant": "x"}, text="'variant'")

    def test_both_names_of_the_os_are_refused(self):
        self.assert_refused(400, "POST", URI, {"os": "a", "os_type": "b"}, text="'os_type'")

    def test_an_instance_name_in_the_body_is_refused(self):
        self.assert_refused(400, "POST", URI, {"instance_name": "x"}, text="instance_name")
