"""Reinstalling: two forms of request, one job of two or three opcodes."""

from ganeti.opcodes import OpInstanceReinstall, OpInstanceShutdown, OpInstanceStartup
from support.rapi import RapiTestCase

URI = "/2/instances/web/reinstall"
STOP = OpInstanceShutdown(instance_name="web")
START = OpInstanceStartup(instance_name="web")


class TestReinstall(RapiTestCase):
    def test_by_query(self):
        self.post(URI + "?os=noop%2Bdefault")
        self.assert_submitted(
            STOP, OpInstanceReinstall(instance_name="web", os_type="noop+default"), START
        )

    def test_nostartup(self):
        self.post(URI + "?nostartup=1")
        self.assert_submitted(STOP, OpInstanceReinstall(instance_name="web"))

    def test_by_body(self):
        self.post(URI, {"os": "noop", "osparams": {"a": "b"}})
        self.assert_submitted(
            STOP,
            OpInstanceReinstall(instance_name="web", os_type="noop", osparams={"a": "b"}),
            START,
        )

    def test_by_body_without_start(self):
        self.post(URI, {"start": False})
        self.assert_submitted(STOP, OpInstanceReinstall(instance_name="web"))

    def test_the_whole_job_waits_and_has_a_priority(self):
        self.post(URI, {"depends": [[3, ["success"]]], "priority": 10})
        (ops,) = self.submitted()
        self.assertEqual([op.get("depends") for op in ops], [[[3, ["success"]]], None, None])
        self.assertEqual([op["priority"] for op in ops], [10, 10, 10])

    def test_query_and_body_together(self):
        self.assert_refused(400, "POST", URI + "?os=noop", {"os": "noop"}, text="combined")
        self.assert_refused(400, "POST", URI + "?nostartup=0", {"start": True}, text="combined")

    def test_empty_body_beside_the_query(self):
        self.post(URI + "?nostartup=1", {})
        self.assert_submitted(STOP, OpInstanceReinstall(instance_name="web"))

    def test_start_of_the_wrong_type(self):
        self.assert_refused(400, "POST", URI, {"start": "yes"}, text="'start'")

    def test_unknown_field(self):
        self.assert_refused(400, "POST", URI, {"variant": "x"}, text="'variant'")

    def test_both_names_of_the_os(self):
        self.assert_refused(400, "POST", URI, {"os": "a", "os_type": "b"}, text="'os_type'")

    def test_name_in_the_body(self):
        self.assert_refused(400, "POST", URI, {"instance_name": "x"}, text="instance_name")
