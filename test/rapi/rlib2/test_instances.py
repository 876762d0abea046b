"""Instances over the API: reading them, and the opcode that each verb submits."""

from ganeti import errors, luxi, opcodes
from ganeti.constants import ErrorCode
from support.rapi import RapiTestCase

WEB = {
    "name": "web.example.com",
    "admin_state": "up",
    "oper_ram": 128,
    "beparams": {"minmem": 128, "maxmem": 256, "vcpus": 1},
    "tags": [],
}
MAIL = {"name": "mail.example.com", "admin_state": "down", "beparams": {}, "tags": []}


class TestInstanceRead(RapiTestCase):
    def test_instances_are_listed_by_name(self):
        self.objects(MAIL, WEB)
        self.assertEqual(
            self.get("/2/instances"),
            [
                {"id": name, "name": name, "uri": f"/2/instances/{name}"}
                for name in ("mail.example.com", "web.example.com")
            ],
        )
        self.assertEqual(self.master.calls, [luxi.Query("instance", ["name"], None)])

    def test_bulk_has_all_keys_and_null_for_what_has_no_value(self):
        self.objects(WEB)
        (instance,) = self.get("/2/instances?bulk=1")
        self.assertEqual(instance["oper_ram"], 128)
        self.assertIsNone(instance["custom_osparams"])

    def test_maxmem_is_also_called_memory(self):
        self.objects(WEB)
        self.assertEqual(self.get("/2/instances?bulk=true")[0]["beparams"]["memory"], 256)

    def test_one_is_asked_for_by_name(self):
        self.objects(WEB)
        self.assertEqual(self.get("/2/instances/web")["name"], "web.example.com")
        self.assertEqual(self.master.calls[0].qfilter, ["==", "name", "web"])

    def test_the_hypervisor_is_the_instances_own(self):
        self.objects({**WEB, "hypervisor": "kvm"})
        self.assertEqual(self.get("/2/instances/web")["hypervisor"], "kvm")
        self.assertEqual(self.get("/2/instances?bulk=1")[0]["hypervisor"], "kvm")

    def test_an_unknown_instance_is_not_found(self):
        self.master.answers[luxi.Query] = errors.OpPrereqError(
            "Instance x not found", ErrorCode.NOENT
        )
        answer = self.assert_refused(404, "GET", "/2/instances/x", text="Instance x")
        self.assertEqual(
            (answer["message"], answer["explain"]), ("Not Found", "Nothing matches the given URI")
        )

    def test_an_empty_answer_is_not_found(self):
        self.objects()
        self.assert_refused(404, "GET", "/2/instances/x")

    def test_unversioned_uris_are_read_only(self):
        self.objects(WEB)
        self.assertEqual(self.get("/instances/web")["name"], "web.example.com")
        self.assertEqual(len(self.get("/instances")), 1)
        self.assert_refused(501, "DELETE", "/instances/web")

    def test_a_bulk_that_is_no_flag_is_refused(self):
        self.assert_refused(400, "GET", "/2/instances?bulk=maybe", text="'bulk'")

    def test_an_answer_that_is_no_table_is_502(self):
        self.master.answers[luxi.Query] = {"data": [[[0]]]}
        self.assert_refused(502, "GET", "/2/instances")


class TestAs20(RapiTestCase):
    options = {"like_2_0": True}

    def test_admin_state_is_true_or_false(self):
        self.objects(WEB, MAIL)
        self.assertEqual([i["admin_state"] for i in self.get("/2/instances?bulk=1")], [True, False])


class TestInstanceLife(RapiTestCase):
    def test_delete_submits_removal(self):
        self.delete("/2/instances/web")
        self.assert_submitted(opcodes.OpInstanceRemove(instance_name="web", ignore_failures=False))

    def test_delete_takes_a_body(self):
        self.delete("/2/instances/web?dry-run=1", {"shutdown_timeout": 3, "depends": [[1, []]]})
        self.assert_submitted(
            opcodes.OpInstanceRemove(
                instance_name="web",
                ignore_failures=False,
                dry_run=True,
                shutdown_timeout=3,
                depends=[[1, []]],
            )
        )

    def test_delete_cannot_ignore_failures(self):
        self.assert_refused(
            400, "DELETE", "/2/instances/web", {"ignore_failures": True}, text="ignore_failures"
        )

    def test_startup_takes_its_flags_from_the_query(self):
        self.put("/2/instances/web/startup?force=1&no_remember=0")
        self.assert_submitted(
            opcodes.OpInstanceStartup(instance_name="web", force=True, no_remember=False)
        )

    def test_startup_sends_nothing_that_was_not_given(self):
        self.put("/2/instances/web/startup?force=&bulk=1")
        self.assert_submitted(opcodes.OpInstanceStartup(instance_name="web"))

    def test_shutdown_takes_query_and_body(self):
        self.put("/2/instances/web/shutdown?no_remember=1", {"timeout": 0})
        self.assert_submitted(
            opcodes.OpInstanceShutdown(instance_name="web", no_remember=True, timeout=0)
        )

    def test_shutdown_takes_its_time_from_the_query_too(self):
        self.put("/2/instances/web/shutdown?timeout=30", {})
        self.assert_submitted(opcodes.OpInstanceShutdown(instance_name="web", timeout=30))

    def test_shutdown_takes_its_time_from_one_place(self):
        self.assert_refused(
            400, "PUT", "/2/instances/web/shutdown?timeout=30", {"timeout": 30}, text="timeout"
        )
        self.assert_refused(400, "PUT", "/2/instances/web/shutdown?timeout=soon", text="timeout")

    def test_reboot_is_hard_by_default(self):
        self.post("/2/instances/web/reboot")
        self.assert_submitted(opcodes.OpInstanceReboot(instance_name="web", reboot_type="hard"))

    def test_reboot_takes_type_and_flags(self):
        self.post("/2/instances/web/reboot?type=soft&ignore_secondaries=True")
        self.assert_submitted(
            opcodes.OpInstanceReboot(
                instance_name="web", reboot_type="soft", ignore_secondaries=True
            )
        )

    def test_a_reboot_of_an_unknown_type_is_refused(self):
        self.assert_refused(400, "POST", "/2/instances/web/reboot?type=gentle", text="'type'")

    def test_empty_bodies_are_accepted(self):
        for body in (None, b"null", b"{}"):
            self.master.calls.clear()
            self.put("/2/instances/web/startup", body)
            self.assert_submitted(opcodes.OpInstanceStartup(instance_name="web"))

    def test_a_body_that_names_a_field_of_the_uri_is_refused(self):
        for field in ("instance_name", "no_remember", "dry_run", "reason"):
            self.assert_refused(400, "PUT", "/2/instances/web/shutdown", {field: None}, text=field)

    def test_a_body_with_an_unknown_field_is_refused(self):
        self.assert_refused(
            400,
            "PUT",
            "/2/instances/web/shutdown",
            {"speed": 1},
            text="Invalid body parameters: unknown parameter 'speed'",
        )

    def test_a_field_of_the_wrong_type_is_refused(self):
        self.assert_refused(
            400, "PUT", "/2/instances/web/shutdown", {"timeout": "soon"}, text="'timeout'"
        )

    def test_a_body_that_is_no_object_is_refused(self):
        self.assert_refused(400, "PUT", "/2/instances/web/shutdown", [1], text="object")


class TestInstanceInfo(RapiTestCase):
    user = None

    def test_info_is_answered_by_a_job(self):
        self.assert_job(self.request("GET", "/2/instances/web/info?static=1"))
        self.assert_submitted(opcodes.OpInstanceQueryData(instances=["web"], static=True))

    def test_nothing_is_locked_for_reading(self):
        self.objects(WEB)
        for path in ("/2/instances", "/2/instances/web"):
            self.assert_refused(400, "GET", f"{path}?lock=1", text="'lock'")
            self.get(f"{path}?lock=0")


class TestConsole(RapiTestCase):
    URI = "/2/instances/web/console"

    def console(self, **cells):
        self.objects({"name": "web", **cells})

    def test_the_console_of_a_running_instance_is_described(self):
        self.console(
            oper_state=True,
            console={"instance": "web", "kind": "vnc", "host": "node1", "port": 5901, "display": 1},
        )
        self.assertEqual(
            self.get(self.URI),
            {
                "instance": "web",
                "kind": "vnc",
                "host": "node1",
                "port": 5901,
                "display": 1,
                "message": None,
                "user": None,
                "command": None,
            },
        )

    def test_the_console_of_one_that_does_not_run_is_503(self):
        for cells in (
            {"oper_state": False, "console": {}},
            {"oper_state": None},
            {"oper_state": True, "console": None},
        ):
            self.console(**cells)
            self.assert_refused(503, "GET", self.URI, text="web")

    def test_the_console_of_an_unknown_instance_is_not_found(self):
        self.objects()
        self.assert_refused(404, "GET", self.URI)

    def test_the_console_needs_a_user(self):
        self.user = None
        self.assert_refused(401, "GET", self.URI)
