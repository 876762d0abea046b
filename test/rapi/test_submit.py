"""Submissions: reasons, dry runs, job ids and the user."""

import json
from unittest import mock

from ganeti import errors, luxi, opcodes
from ganeti.constants import ErrorCode
from ganeti.http.errors import BadRequest, NotImplementedMethod
from ganeti.luxi import RequestContext
from ganeti.rapi.baserlib import SLOT, Resource, ResourceRequest
from ganeti.rapi.rlib2 import RESOURCES
from ganeti.rapi.submit import check_version, reason_trail
from support.rapi import JOB_ID, RapiTestCase

URI = "/2/instances/web/startup"


class TestSubmission(RapiTestCase):
    def test_the_trail_names_the_resource(self):
        self.put(URI)
        ((source, words, when),) = self.reasons()
        self.assertEqual(
            (source, words), ("gnt:library:rlib2:instances_name_startup", "user=admin;request=r1")
        )
        self.assertIsInstance(when, int)

    def test_the_users_reason_comes_first(self):
        self.put(URI + "?reason=because%20I%20can")
        self.assertEqual(
            [entry[:2] for entry in self.reasons()],
            [
                ["gnt:user", "because I can"],
                ["gnt:library:rlib2:instances_name_startup", "user=admin;request=r1"],
            ],
        )

    def test_a_users_name_ends_no_pair(self):
        who = RequestContext(user="a;request=x%", request_id="r")
        trail = reason_trail(ResourceRequest(None, context=who), Resource)
        self.assertEqual(trail[0][1], "user=a%3Brequest=x%25;request=r")

    def test_the_request_in_the_trail_is_the_one_that_is_answered(self):
        response = self.request("PUT", URI)
        self.assertIn(f"request={self.header('X-Request-Id', response)}", self.reasons()[0][1])

    def test_the_master_hears_who_asks(self):
        self.put(URI)
        self.assertEqual(self.master.contexts, [RequestContext(user="admin", request_id="r1")])

    def test_dry_run_is_in_the_opcode(self):
        for value, expected in (("1", True), ("0", False), ("true", True)):
            self.master.calls.clear()
            self.put(f"{URI}?dry-run={value}")
            self.assertIs(self.submitted()[0][0]["dry_run"], expected)

    def test_common_fields_of_the_body_are_submitted(self):
        self.put(URI, {"depends": [[3, ["success"]]], "priority": -10, "comment": "x"})
        (op,) = self.submitted()[0]
        self.assertEqual(
            (op["depends"], op["priority"], op["comment"]), ([[3, ["success"]]], -10, "x")
        )

    def test_common_fields_of_the_wrong_type_are_refused(self):
        for field, value in (("depends", "3"), ("priority", 5), ("comment", 1)):
            self.assert_refused(400, "PUT", URI, {field: value}, text=f"'{field}'")

    def test_a_job_id_as_text_becomes_a_number(self):
        self.master.answers[luxi.SubmitJob] = str(JOB_ID)
        self.put(URI)

    def assert_failure(self, status, error):
        self.master.answers[luxi.SubmitJob] = error
        response = self.request("PUT", URI)
        self.assert_status(status, response)
        return dict(response.headers)

    def test_an_answer_that_is_no_job_id_is_502(self):
        self.assert_failure(502, [1, 2])

    def test_a_full_or_drained_queue_is_503_with_retry_after(self):
        for error in (
            errors.JobQueueFull("full"),
            errors.JobQueueDrainError("drained"),
            errors.GenericError("Queue drained"),
        ):
            self.assertIn("Retry-After", self.assert_failure(503, error))

    def test_work_that_this_master_does_not_do_is_501(self):
        self.assert_failure(501, errors.OpPrereqError("not here", ErrorCode.ENVIRON))

    def test_an_absent_master_is_502_and_a_slow_one_504(self):
        self.assert_failure(502, errors.NoMaster("nobody there"))
        self.assert_failure(504, errors.Timeout("too slow"))


class TestIdempotentSubmission(RapiTestCase):
    def send(self, key="abc", uri=URI, body=None, method="PUT", note=None):
        """Return the status of the answer; ``note`` is what the master reports about the key."""
        notes = {} if note is None else {"idempotency": note}
        self.master.answers[luxi.SubmitJob] = luxi.Reply(JOB_ID, notes)
        headers = {} if key is None else {"Idempotency-Key": key}
        response = self.request(method, uri, body, headers)
        self.assert_job(response)
        return self.header("Idempotency-Status", response)

    def digest(self, **request):
        self.send(**request)
        return self.master.contexts[-1].request_digest

    def test_the_answer_says_what_became_of_the_key(self):
        self.assertEqual(self.send(note="stored"), "stored")
        self.assertEqual(self.send(note="replayed"), "replayed")
        self.assertIsNone(self.send(key=None, note="stored"))

    def test_a_key_that_a_real_master_ignores_is_not_honoured(self):
        self.assertEqual(self.send(), "not-honoured")
        for note in ("of another\r\nworld", 1, ["stored"]):
            self.assertEqual(self.send(note=note), "not-honoured")

    def test_the_master_hears_key_and_digest(self):
        self.send(key='"a b"')
        context = self.master.contexts[-1]
        self.assertEqual(
            (context.user, context.request_id, context.idempotency_key), ("admin", "r1", "a b")
        )
        self.assertRegex(context.request_digest, "^[0-9a-f]{64}$")

    def test_the_same_request_has_the_same_digest(self):
        first = self.digest(body={"priority": 10, "comment": "x"})
        self.assertEqual(
            self.digest(key='"other"', body=b'{"comment":"x", "priority" : 10}'), first
        )

    def test_another_request_has_another_digest(self):
        found = [
            self.digest(),
            self.digest(uri=URI + "?force=1"),
            self.digest(body={}),
            self.digest(body={"comment": "x"}),
            self.digest(uri=URI.replace("web", "db")),
            self.digest(uri=URI.replace("web/startup", "web/tags?tag=a")),
            self.digest(uri=URI.replace("web/startup", "web/tags?tag=a"), method="DELETE"),
        ]
        self.assertEqual(len(set(found)), len(found))

    def test_a_key_of_another_request_is_422(self):
        self.master.answers[luxi.SubmitJob] = errors.IdempotencyConflict("it made job 5")
        response = self.request("PUT", URI, headers={"Idempotency-Key": "abc"})
        answer = self.assert_status(422, response)
        self.assertIn("Idempotency-Key: it made job 5", answer["message"])

    def test_a_malformed_key_is_refused_before_anything_is_sent(self):
        for key in ("", '"', "a b", '""', "x" * 256):
            self.assert_refused(
                400, "PUT", URI, headers={"Idempotency-Key": key}, text="Header Idempotency-Key"
            )
        twice = [("Idempotency-Key", "a"), ("idempotency-key", "a")]
        self.assert_refused(400, "PUT", URI, headers=twice, text="more than once")


class TestWhoTakesKeys(RapiTestCase):
    """Every verb of every resource either takes a key or refuses it."""

    SLOTS = {"job_id": "7", "resource": "job", "disk": "0", "filter_uuid": "0" * 8}
    CREATION = {
        "name": "web",
        "mode": "create",
        "disk_template": "diskless",
        "disks": [],
        "nics": [],
    }
    #: Bodies with what is required.
    BODIES = {
        "POST /2/instances": {"__version__": 1, **CREATION},
        "POST /2/instances-multi-alloc": {"instances": [CREATION]},
        "PUT /2/instances/web/rename": {"new_name": "db"},
        "PUT /2/instances/web/prepare-export": {"mode": "local"},
        "PUT /2/instances/web/export": {"destination": "node2"},
        "POST /2/instances/web/replace-disks": {"mode": "replace_auto"},
        "POST /2/instances/web/disk/0/grow": {"amount": 1},
        "PUT /2/nodes/web/role": "drained",
        "POST /2/nodes/web/evacuate": {"mode": "all"},
        "POST /2/groups": {"name": "g"},
        "PUT /2/groups/web/rename": {"new_name": "g"},
        "PUT /2/groups/web/assign-nodes": {"nodes": ["node2"]},
        "POST /2/networks": {"name": "n", "network": "192.0.2.0/24"},
        "PUT /2/networks/web/rename": {"new_name": "n"},
        "PUT /2/networks/web/connect": {
            "group_name": "g",
            "network_mode": "bridged",
            "network_link": "br0",
        },
        "PUT /2/networks/web/disconnect": {"group_name": "g"},
    }
    #: Words that are required.
    QUERIES = {
        "tags": "?tag=a",
        "storage": "?storage_type=file&output_fields=name",
        "storage/modify": "?storage_type=lvm-vg&name=vg",
        "storage/repair": "?storage_type=lvm-vg&name=vg",
    }

    def verbs(self):
        for resource in RESOURCES:
            path = SLOT.sub(lambda slot: self.SLOTS.get(slot[1], "web"), resource.URI)
            for method, verb in resource.verbs().items():
                yield method, path, verb

    def query(self, path):
        return next((words for end, words in self.QUERIES.items() if path.endswith("/" + end)), "")

    def ask(self, method, path):
        self.master.calls.clear()
        return self.request(
            method,
            path + self.query(path),
            self.BODIES.get(f"{method} {path}"),
            {"Idempotency-Key": "abc"},
        )

    def test_verbs_that_answer_a_job_take_a_key(self):
        takers = [(method, path) for method, path, verb in self.verbs() if verb.answers_job]
        self.assertGreater(len(takers), 8)
        for method, path in takers:
            with self.subTest(method=method, path=path):
                response = self.ask(method, path)
                self.assert_job(response)
                self.assertEqual(self.header("Idempotency-Status", response), "not-honoured")
                self.assertEqual(len(self.submitted()), 1)

    def test_other_verbs_refuse_a_key(self):
        for method, path, verb in self.verbs():
            if not verb.answers_job:
                with self.subTest(method=method, path=path):
                    answer = self.assert_status(400, self.ask(method, path))
                    self.assertIn("Header Idempotency-Key", answer["message"])
                    self.assertEqual(self.master.calls, [])

    def test_every_verb_that_answers_a_job_is_declared_so(self):
        # Each verb without a key: one that answers what SubmitJob did must be declared.
        for method, path, verb in self.verbs():
            self.master.calls.clear()
            response = self.request(
                method, path + self.query(path), self.BODIES.get(f"{method} {path}")
            )
            answers = response.status == 200 and json.loads(response.body) == JOB_ID
            self.assertEqual(answers, verb.answers_job, f"{method} {path}")

    def test_a_missing_right_is_refused_before_the_key_is_read(self):
        for user, status in ((None, 401), ("reader", 403)):
            self.user = user
            for key in ("abc", '"'):
                self.assert_refused(status, "PUT", URI, headers={"Idempotency-Key": key})


class TestVersions(RapiTestCase):
    """Opcodes and fields that not every version of Ganeti's master knows."""

    def check(self, op, says):
        self.master.answers[luxi.QueryClusterInfo] = {"software_version": says}
        check_version(ResourceRequest(self.application_master()), [op])

    def application_master(self):
        master = self.master

        class Caller:
            def call(self, call):
                return master.ask(call).result

        return Caller()

    def set_params(self, **fields):
        return opcodes.OpInstanceSetParams(instance_name="web", **fields)

    def test_a_field_that_this_version_lacks_is_refused(self):
        op = self.set_params(hotplug_if_possible=True)
        for says in ("3.0.2", "0.1.0", "who knows", None):
            self.check(op, says)
        with self.assertRaisesRegex(BadRequest, "Ganeti 3.1.1 has no parameter 'hotplug_if_pos"):
            self.check(op, "3.1.1")

    def test_an_opcode_that_this_version_lacks_is_refused(self):
        op = self.set_params()
        with mock.patch.object(type(op), "SINCE", "3.1"):
            self.check(op, "3.1.0")
            with self.assertRaisesRegex(NotImplementedMethod, "Ganeti 3.0.2 has no opcode OP_INS"):
                self.check(op, "3.0.2")

    def test_the_version_is_not_asked_for_where_it_does_not_matter(self):
        self.check(self.set_params(hotplug=False), "3.1.1")
        self.assertEqual(self.master.calls, [])
