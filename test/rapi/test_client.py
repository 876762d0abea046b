"""The client against the request pipeline behind real sockets."""

import ast
import re
import socket
import threading
from pathlib import Path

from ganeti import luxi
from ganeti.http.server import Server
from ganeti.opcodes import (
    OpInstanceCreate,
    OpInstanceReboot,
    OpInstanceReinstall,
    OpInstanceRemove,
    OpInstanceShutdown,
    OpInstanceStartup,
    OpTagsDel,
    OpTagsSet,
)
from ganeti.rapi import client as client_module
from ganeti.rapi.client import ApiError, GanetiClient, JobError, NoAnswer
from support.rapi import JOB_ID, RapiTestCase

SOURCE = Path(client_module.__file__)


class ClientTestCase(RapiTestCase):
    """A server in a thread, and its client."""

    def setUp(self):
        super().setUp()
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = Server([listener], lambda head: self.pipeline.route(head))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.stop)
        self.client = GanetiClient(self.url, "admin", "secret", timeout=60)

    def jobs(self, *statuses, **fields):
        """Give the job these statuses, one each time that the client asks."""
        ahead = list(statuses)

        def answer(call):
            job = {"id": JOB_ID, "status": ahead.pop(0), **fields}
            return {"data": [[[0, job.get(name)] for name in call.fields]]}

        self.master.answers[luxi.Query] = answer


class TestClientRead(ClientTestCase):
    def test_version_features_and_info_are_read(self):
        self.master.answers[luxi.QueryClusterInfo] = {"name": "cluster"}
        self.assertEqual(self.client.get_version(), 2)
        self.assertIn("instance-create-reqv1", self.client.get_features())
        self.assertIn({"name": "info", "uri": "/2/info"}, self.client.get_resources())
        self.assertEqual(self.client.get_info()["name"], "cluster")

    def test_lists_and_single_objects_are_read(self):
        self.objects({"name": "x", "id": 3, "sip": "192.0.2.1", "beparams": {}})
        for listed, one in (
            (self.client.get_instances, self.client.get_instance),
            (self.client.get_nodes, self.client.get_node),
            (self.client.get_groups, self.client.get_group),
        ):
            self.assertEqual(listed(), ["x"])
            self.assertEqual(listed(bulk=True)[0], one("x"))

    def test_jobs_are_read_and_canceled(self):
        self.objects({"id": 3, "status": "success"})
        self.master.answers[luxi.CancelJob] = [False, "too late"]
        self.assertEqual(self.client.get_jobs(), [3])
        self.assertEqual(self.client.get_jobs(bulk=True)[0]["status"], "success")
        self.assertEqual(self.client.cancel_job(3), (False, "too late"))

    def test_jobs_are_selected_and_paged(self):
        self.objects(
            {"id": 3, "status": "success", "received_ts": [1000, 0]},
            {"id": 4, "status": "queued", "received_ts": [1000, 0]},
        )
        self.assertEqual(self.client.get_jobs(order="desc", limit=1), [4])
        self.assertEqual(self.client.get_jobs(status=["error", "success"], since=1000.0), [3])
        self.assertEqual(self.client.get_jobs(after=3, archived=False), [4])

    def test_queries_and_their_fields_are_read(self):
        self.objects({"name": "x"})
        self.assertEqual(self.client.query("lock", ["name"], ["?", "name"])["data"], [[[0, "x"]]])
        self.assertEqual(self.master.calls, [luxi.Query("lock", ["name"], ["?", "name"])])
        self.master.answers[luxi.QueryFields] = lambda call: {"fields": [call.what, call.fields]}
        self.assertEqual(self.client.query_fields("job")["fields"], ["job", None])
        self.assertEqual(self.client.query_fields("job", ["a", "b"])["fields"], ["job", ["a", "b"]])

    def test_operating_systems_are_read(self):
        self.master.answers[luxi.WaitForJobChange] = [["success", [[["a", ["b"], True]]]], []]
        self.assertEqual(self.client.get_operating_systems(), ["a+b"])

    def test_tags_of_each_kind_are_read(self):
        self.master.answers[luxi.QueryTags] = lambda call: [call.kind]
        self.assertEqual(
            self.client.get_tags()
            + self.client.get_node_tags("n")
            + self.client.get_instance_tags("i"),
            ["cluster", "node", "instance"],
        )


class TestWholeApi(ClientTestCase):
    def test_what_only_a_real_master_does_is_submitted(self):
        client, web = self.client, {"instance_name": "web"}
        for job, op_id, fields in (
            (client.create_instances([]), "INSTANCE_MULTI_ALLOC", {"instances": []}),
            (
                client.modify_instance("web", beparams={"vcpus": 2}),
                "INSTANCE_SET_PARAMS",
                {**web, "beparams": {"vcpus": 2}},
            ),
            (
                client.rename_instance("web", "db", reason="r", dry_run=True),
                "INSTANCE_RENAME",
                {**web, "new_name": "db", "dry_run": True},
            ),
            (
                client.migrate_instance("web", mode="live"),
                "INSTANCE_MIGRATE",
                {**web, "mode": "live"},
            ),
            (client.failover_instance("web"), "INSTANCE_FAILOVER", web),
            (client.activate_disks("web"), "INSTANCE_ACTIVATE_DISKS", web),
            (client.deactivate_disks("web"), "INSTANCE_DEACTIVATE_DISKS", web),
            (
                client.grow_disk("web", 1, 512),
                "INSTANCE_GROW_DISK",
                {**web, "disk": 1, "amount": 512},
            ),
            (
                client.replace_disks("web", "replace_auto", disks=[0]),
                "INSTANCE_REPLACE_DISKS",
                {**web, "mode": "replace_auto", "disks": [0]},
            ),
            (client.recreate_disks("web"), "INSTANCE_RECREATE_DISKS", web),
            (client.prepare_export("web", "remote"), "BACKUP_PREPARE", {**web, "mode": "remote"}),
            (client.export_instance("web", "n"), "BACKUP_EXPORT", {**web, "target_node": "n"}),
            (
                client.get_instance_details("web", static=True),
                "INSTANCE_QUERY_DATA",
                {"instances": ["web"], "static": True},
            ),
            (
                client.set_node_role("n", "drained", force=True),
                "NODE_SET_PARAMS",
                {"node_name": "n", "drained": True, "force": True},
            ),
            (
                client.modify_node("n", offline=True),
                "NODE_SET_PARAMS",
                {"node_name": "n", "offline": True},
            ),
            (client.evacuate_node("n", "all"), "NODE_EVACUATE", {"node_name": "n", "mode": "all"}),
            (
                client.migrate_node("n", mode="live"),
                "NODE_MIGRATE",
                {"node_name": "n", "mode": "live"},
            ),
            (
                client.powercycle_node("n", force=True),
                "NODE_POWERCYCLE",
                {"node_name": "n", "force": True},
            ),
            (client.create_group("g"), "GROUP_ADD", {"group_name": "g"}),
            (
                client.modify_group("g", alloc_policy="preferred"),
                "GROUP_SET_PARAMS",
                {"group_name": "g", "alloc_policy": "preferred"},
            ),
            (client.rename_group("g", "h"), "GROUP_RENAME", {"group_name": "g", "new_name": "h"}),
            (client.delete_group("g"), "GROUP_REMOVE", {"group_name": "g"}),
            (
                client.assign_nodes("g", ["n"], force=True),
                "GROUP_ASSIGN_NODES",
                {"group_name": "g", "nodes": ["n"], "force": True},
            ),
            (
                client.create_network("lan", "192.0.2.0/24"),
                "NETWORK_ADD",
                {"network_name": "lan", "network": "192.0.2.0/24"},
            ),
            (
                client.modify_network("lan", gateway="192.0.2.1"),
                "NETWORK_SET_PARAMS",
                {"network_name": "lan", "gateway": "192.0.2.1"},
            ),
            (
                client.connect_network("lan", "g", "bridged", "br0"),
                "NETWORK_CONNECT",
                {
                    "network_name": "lan",
                    "group_name": "g",
                    "network_mode": "bridged",
                    "network_link": "br0",
                },
            ),
            (
                client.disconnect_network("lan", "g"),
                "NETWORK_DISCONNECT",
                {"network_name": "lan", "group_name": "g"},
            ),
            (client.delete_network("lan"), "NETWORK_REMOVE", {"network_name": "lan"}),
            (
                client.modify_cluster(candidate_pool_size=3),
                "CLUSTER_SET_PARAMS",
                {"candidate_pool_size": 3},
            ),
            (client.redistribute_config(), "CLUSTER_REDIST_CONF", {}),
        ):
            self.assertEqual(job, JOB_ID)
            op = next(call for call in self.master.calls if isinstance(call, luxi.SubmitJob)).ops[0]
            self.master.calls.remove(luxi.SubmitJob([op]))
            del op["reason"]
            self.assertLessEqual({"OP_ID": f"OP_{op_id}", **fields}.items(), op.items())

    def test_networks_consoles_and_roles_are_read(self):
        self.objects({"name": "x", "role": "M", "console": {"kind": "msg"}, "oper_state": True})
        self.assertEqual(self.client.get_networks(), ["x"])
        self.assertEqual(self.client.get_network("x")["name"], "x")
        self.assertEqual(self.client.get_node_role("x"), "master")
        self.assertEqual(self.client.get_console("x")["kind"], "msg")

    def test_filters_are_read_put_and_deleted(self):
        self.objects({"uuid": "u", "priority": 1})
        self.master.answers[luxi.ReplaceFilter] = lambda call: call.uuid or "new"
        self.master.answers[luxi.DeleteFilter] = None
        uuid = "da4b9d1f-2b31-4059-8388-d9b4f50ee654"
        self.assertEqual(self.client.get_filters()[0]["priority"], 1)
        self.assertEqual(self.client.put_filter(priority=2, action="PAUSE"), "new")
        self.assertEqual(self.client.put_filter(uuid, priority=2), uuid)
        self.client.delete_filter(uuid)


class TestClientChange(ClientTestCase):
    def assert_job_of(self, job, *ops):
        self.assertEqual(job, JOB_ID)
        self.assert_submitted(*ops)
        self.master.calls.clear()

    def test_creation_submits_the_opcode(self):
        self.assert_job_of(
            self.client.create_instance(
                "web.example.com", "file", [{"size": "1G"}], [{}], os_type="noop", dry_run=True
            ),
            OpInstanceCreate(
                instance_name="web.example.com",
                disk_template="file",
                disks=[{"size": 1024}],
                nics=[{}],
                os_type="noop",
                mode="create",
                dry_run=True,
                name_check=False,
                ip_check=False,
            ),
        )

    def test_verbs_of_an_instance_submit_their_opcodes(self):
        client = self.client
        self.assert_job_of(
            client.start_instance("w", force=True, priority=10),
            OpInstanceStartup(instance_name="w", force=True, priority=10),
        )
        self.assert_job_of(
            client.stop_instance("w", timeout=5, dry_run=False),
            OpInstanceShutdown(instance_name="w", timeout=5, dry_run=False),
        )
        self.assert_job_of(
            client.reboot_instance("w", "soft"),
            OpInstanceReboot(instance_name="w", reboot_type="soft"),
        )
        self.assert_job_of(
            client.reinstall_instance("w", "noop", start=False),
            OpInstanceShutdown(instance_name="w"),
            OpInstanceReinstall(instance_name="w", os_type="noop"),
        )
        self.assert_job_of(
            client.delete_instance("w", depends=[[1, []]]),
            OpInstanceRemove(instance_name="w", ignore_failures=False, depends=[[1, []]]),
        )

    def test_a_reason_is_submitted(self):
        self.client.start_instance("w", reason="spring & autumn")
        self.assertEqual(self.reasons()[0][1], "spring & autumn")

    def test_a_key_of_ones_own_is_sent(self):
        key = 'a "b\\c"'
        self.assert_job_of(
            self.client.start_instance("w", idempotency_key=key),
            OpInstanceStartup(instance_name="w"),
        )
        self.assert_job_of(
            self.client.add_tags(["a"], idempotency_key=key), OpTagsSet(kind="cluster", tags=["a"])
        )
        self.client.delete_instance("w")
        self.client.delete_instance("w")
        keys = [context.idempotency_key for context in self.master.contexts]
        self.assertEqual(keys[:2], [key, key])
        self.assertEqual(len(set(keys[1:])), 3)  # each change has one of its own

    def test_tags_of_each_kind_are_added_and_deleted(self):
        client, tags = self.client, ["a:b", "c+d"]
        for add, delete, fields in (
            (client.add_tags, client.delete_tags, {"kind": "cluster"}),
            (
                lambda tags: client.add_node_tags("n", tags),
                lambda tags: client.delete_node_tags("n", tags),
                {"kind": "node", "name": "n"},
            ),
            (
                lambda tags: client.add_instance_tags("i", tags),
                lambda tags: client.delete_instance_tags("i", tags),
                {"kind": "instance", "name": "i"},
            ),
        ):
            self.assert_job_of(add(tags), OpTagsSet(tags=tags, **fields))
            self.assert_job_of(delete(tags), OpTagsDel(tags=tags, **fields))


class TestClientWait(ClientTestCase):
    def test_a_wait_asks_more_and_more_rarely(self):
        pauses = []
        self.jobs("queued", "running", "running", "success")
        self.assertEqual(self.client.wait_for_job(JOB_ID, pause=pauses.append)["id"], JOB_ID)
        self.assertEqual(len(pauses), 3)
        self.assertLess(pauses[0], pauses[2])

    def test_a_job_that_fails_raises_job_error(self):
        self.jobs(
            "error",
            opstatus=["success", "error"],
            opresult=[None, ["OpPrereqError", ["name is taken", "already_exists"]]],
        )
        with self.assertRaisesRegex(JobError, "job 17 ended in error: name is taken"):
            self.client.wait_for_job(JOB_ID)

    def test_a_job_that_was_canceled_raises_job_error(self):
        self.jobs("canceled", opstatus=["canceled"], opresult=["Job canceled by request"])
        with self.assertRaisesRegex(JobError, "canceled by request"):
            self.client.wait_for_job(JOB_ID)

    def test_a_wait_ends_after_its_timeout(self):
        self.jobs(*["queued"] * 9)
        with self.assertRaisesRegex(TimeoutError, "still queued"):
            self.client.wait_for_job(JOB_ID, timeout=0.1, pause=lambda seconds: None)


class TestErrors(ClientTestCase):
    def test_a_refusal_raises_api_error(self):
        with self.assertRaises(ApiError) as caught:
            self.client.get_job(10**20)
        self.assertEqual((caught.exception.code, caught.exception.message), (404, "Not Found"))
        self.assertIn("there is no job", str(caught.exception))

    def test_a_wrong_password_raises_api_error(self):
        with self.assertRaises(ApiError) as caught:
            GanetiClient(self.url, "admin", "wrong").get_info()
        self.assertEqual(caught.exception.code, 401)

    def test_a_closed_port_raises_no_answer(self):
        with socket.create_server(("127.0.0.1", 0)) as closed:
            url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        self.assertRaises(NoAnswer, GanetiClient(url).get_version)


class TestFile(RapiTestCase):
    def test_an_old_python_can_read_it(self):
        ast.parse(SOURCE.read_text(encoding="utf-8"), feature_version=(3, 6))

    def test_every_resource_has_its_method(self):
        words = set(re.findall("[a-z-]+", SOURCE.read_text(encoding="utf-8")))
        self.assertLessEqual(
            {
                "version",
                "features",
                "info",
                "os",
                "nodes",
                "groups",
                "instances",
                "startup",
                "shutdown",
                "reboot",
                "reinstall",
                "tags",
                "jobs",
                "query",
                "fields",
            },
            words,
        )

    def test_a_method_says_what_it_takes(self):
        self.assertEqual(
            GanetiClient.rename_instance.__doc__,
            "(instance, new_name, **words)\n\nRename an instance.",
        )
        for call in (
            lambda client: client.rename_instance("w"),
            lambda client: client.rename_instance("w", "x", "y"),
            lambda client: client.rename_instance("w", "x", new_name="y"),
            lambda client: client.get_node("n", bogus=1),
        ):
            with self.assertRaisesRegex(TypeError, r"the arguments are \("):
                call(GanetiClient("http://localhost"))
