"""The steps of a request: which refusal comes first, and what every answer has."""

import base64
import gzip
import json
import logging
from concurrent.futures import Future

from ganeti import errors, luxi
from ganeti.constants import ErrorCode
from ganeti.http.cors import Cors
from ganeti.http.errors import TemporaryRedirect, Unauthorized
from ganeti.http.message import MAX_BODY, MAX_LARGE_BODY, Headers, Request, body_tag
from ganeti.rapi.auth.rights import Rights
from ganeti.rapi.auth.users import User
from ganeti.server.pipeline import MAX_SPOOLED, RequestPipeline
from support.rapi import JOB_ID, FakeUsers, RapiTestCase, routed, run_steps, table

WRONG = {"Authorization": "Basic " + base64.b64encode(b"admin:wrong").decode()}
STARTUP = "/2/instances/web/startup"


class TestOrder(RapiTestCase):
    user = None

    def test_refusals_come_in_the_order_of_the_steps(self):
        broken = {"body": b"{", "headers": {"Content-Type": "text/plain"}}
        self.assert_refused(404, "PUT", "/2/nowhere", **broken)
        self.assert_refused(501, "POST", STARTUP, **broken)
        self.assert_refused(401, "PUT", STARTUP, **broken)
        self.user = "admin"
        key = {"Idempotency-Key": '"', "Content-Type": "text/plain"}
        self.assert_refused(400, "PUT", STARTUP, b"{", headers=key, text="Idempotency-Key")
        self.assert_refused(415, "PUT", STARTUP, **broken)
        self.assert_refused(400, "PUT", STARTUP, body=b"{")


class TestForesight(RapiTestCase):
    """Answers to a client that waits before it sends its body."""

    def foresee(self, method, path, **headers):
        fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
        request = Request(method, path, path, headers=Headers(fields))
        response = self.route(method, path).answer_from_head(request)
        return response.status if response else None

    def test_what_needs_no_body_is_refused_at_the_head(self):
        right = {"Authorization": "Basic x"}
        self.assertEqual(self.foresee("PUT", "/nowhere"), 404)
        self.assertEqual(self.foresee("POST", STARTUP), 501)
        self.assertEqual(self.foresee("PUT", STARTUP), 401)
        self.assertEqual(self.foresee("PUT", STARTUP, Origin="https://evil"), 403)
        self.assertEqual(self.foresee("PUT", STARTUP, **right, Content_Type="text/xml"), 415)
        self.assertEqual(self.foresee("PUT", STARTUP, **right, Content_Encoding="gzip"), 415)

    def test_what_depends_on_password_or_body_is_not_refused_at_the_head(self):
        self.assertIsNone(self.foresee("PUT", STARTUP, Authorization="Basic x"))
        self.assertIsNone(self.foresee("OPTIONS", "/nowhere"))
        self.assertIsNone(self.foresee("GET", "/2/info"))
        self.assertEqual(self.master.calls, [])


class TestMethods(RapiTestCase):
    def test_a_method_that_the_path_lacks_is_501_with_allow(self):
        for method in ("POST", "PATCH", "TRACE"):
            response = self.request(method, "/2/info")
            self.assertIn(
                f"Method {method} is unsupported for path /2/info",
                self.assert_status(501, response)["message"],
            )
            self.assertIn(("Allow", "GET, HEAD, OPTIONS"), response.headers)

    def test_options_answers_204_with_allow(self):
        response = self.request("OPTIONS", STARTUP)
        self.assertEqual((response.status, response.body), (204, b""))
        self.assertIn(("Allow", "PUT, OPTIONS"), response.headers)

    def test_head_is_answered_as_get(self):
        # The body is left out when the response is written.
        self.assertEqual(self.request("HEAD", "/version"), self.request("GET", "/version"))


class TestAuthorization(RapiTestCase):
    def test_reading_is_open(self):
        self.user = None
        self.objects()
        self.assertEqual(self.get("/2/instances"), [])

    def test_wrong_credentials_are_refused_even_there(self):
        self.user = None
        self.assert_refused(401, "GET", "/2/instances", headers=WRONG)

    def test_what_answers_everybody_looks_at_no_credentials(self):
        self.user = None
        for target in ("/", "/version", "/2", "/2/features"):
            self.get(target, headers=WRONG)

    def test_writing_needs_a_user_with_the_right(self):
        self.user = "reader"
        with self.assertLogs(level=logging.INFO) as logs:
            self.assert_refused(403, "PUT", STARTUP, text="Forbidden")
        self.assertIn("User reader has no right instances.startup:web", logs.output[0])
        self.user = None
        response = self.request("PUT", STARTUP)
        self.assert_status(401, response)
        self.assertIn(("WWW-Authenticate", 'Basic realm="Ganeti Remote API"'), response.headers)

    def test_who_proved_himself_is_marked(self):
        self.objects()
        self.assertTrue(self.request("GET", "/2/instances").authenticated)
        self.user = None
        self.assertFalse(self.request("GET", "/2/instances").authenticated)


class TestConditional(RapiTestCase):
    def test_what_the_client_has_already_is_answered_304(self):
        self.objects({"name": "web"})
        first = self.request("GET", "/2/instances")
        tag = self.header("ETag", first)
        self.assertEqual(self.header("ETag", self.request("HEAD", "/2/instances")), tag)
        for known in (tag, "*", f'"x", {tag}'):
            response = self.request("GET", "/2/instances", headers={"If-None-Match": known})
            self.assertEqual((response.status, response.body), (304, b""))
            self.assertEqual(self.header("ETag", response), tag)
        self.objects({"name": "db"})
        response = self.request("GET", "/2/instances", headers={"If-None-Match": tag})
        self.assertEqual(response.status, 200)
        self.assertNotEqual(self.header("ETag", response), tag)

    def test_refusals_heed_no_condition(self):
        for condition in ({"If-None-Match": "*"}, {"If-Match": '"x"'}, {"If-Match": "junk"}):
            self.assert_status(404, self.request("GET", "/nowhere", headers=condition))
            self.objects()
            self.assert_status(404, self.request("GET", "/2/instances/none", headers=condition))
            self.assert_status(400, self.request("PUT", STARTUP + "?force=x", headers=condition))
            self.assert_status(501, self.request("POST", STARTUP, headers=condition))

    def test_a_reading_with_if_match_is_refused_unless_it_is_an_asterisk(self):
        self.objects({"name": "web"})
        tag = self.header("ETag", self.request("GET", "/2/instances"))
        self.get("/2/instances", headers={"If-Match": "*"})
        for value, status in ((tag, 412), ('"x"', 412), ("x", 400)):
            self.assert_refused(
                status, "GET", "/2/instances", headers={"If-Match": value}, text="If-Match"
            )

    def test_what_submits_has_no_tag_and_no_condition(self):
        for headers in ({}, {"If-None-Match": "*"}, {"If-Match": '"x"'}):
            response = self.request("GET", "/2/instances/web/info", headers=headers)
            self.assert_job(response)
            self.assertIsNone(self.header("ETag", response))
            self.assertEqual(response.job_id, JOB_ID)

    def test_long_bodies_are_packed_for_clients_that_accept_gzip(self):
        self.objects(*({"name": f"web{number}"} for number in range(100)))
        plain = self.request("GET", "/2/instances")
        packed = self.request("GET", "/2/instances", headers={"Accept-Encoding": "gzip"})
        self.assertEqual(gzip.decompress(packed.body), plain.body)
        self.assertEqual(self.header("Content-Encoding", packed), "gzip")
        self.assertIsNone(self.header("Content-Encoding", plain))
        for response in (plain, packed):
            self.assertEqual(self.header("Vary", response), "Accept-Encoding")
        self.assertEqual(self.header("ETag", plain), self.header("ETag", packed))
        short = self.request("GET", "/version", headers={"Accept-Encoding": "gzip"})
        self.assertIsNone(self.header("Content-Encoding", short))


class TestConditions(RapiTestCase):
    """Of changes; ``web`` is there."""

    def setUp(self):
        super().setUp()
        self.master.answers[luxi.Query] = lambda call: table(
            call,
            [{"name": "web", "mtime": 1.5, "status": "queued", "id": 5}]
            if call.qfilter in (None, ["==", "name", "web"], ["==", "id", 5])
            else [],
        )
        self.master.answers[luxi.QueryTags] = ["a"]
        self.master.answers[luxi.CancelJob] = [True, "done"]

    def assert_prevented(self, method, target, name, value, body=None):
        self.master.calls.clear()
        self.assert_refused(412, method, target, body, headers={name: value}, text=name)
        self.assertFalse({luxi.CancelJob, luxi.ReplaceFilter} & set(map(type, self.master.calls)))

    def test_every_method_that_changes_heeds_conditions(self):
        for method, target in (
            ("DELETE", "/2/instances/web"),
            ("PUT", STARTUP),
            ("POST", "/2/instances"),
            ("PUT", "/2/instances/web/tags?tag=x"),
            ("DELETE", "/2/jobs/5"),
            ("PUT", "/2/tags?tag=x"),
            ("POST", "/2/filters"),
            ("PUT", "/2/modify"),
            ("PUT", "/2/redistribute-config"),
            ("PUT", "/2/query/instance?fields=name"),
        ):
            body = (
                {
                    "__version__": 1,
                    "mode": "create",
                    "name": "new",
                    "os_type": "noop",
                    "disk_template": "diskless",
                    "disks": [],
                    "nics": [],
                }
                if target == "/2/instances"
                else None
            )
            with self.subTest(target=target):
                self.assert_prevented(method, target, "If-None-Match", "*", body)
                self.assert_prevented(method, target, "If-Match", 'W/"x"', body)

    def test_asterisk_asks_for_the_object(self):
        self.assert_job(self.request("PUT", STARTUP, headers={"If-Match": "*"}))
        none = "/2/instances/none"
        self.assert_prevented("DELETE", none, "If-Match", "*")
        self.assert_prevented("PUT", none + "/startup", "If-Match", "*")
        self.assert_job(self.request("PUT", none + "/startup", headers={"If-None-Match": "*"}))

    def test_a_tag_is_that_of_a_reading(self):
        tags = "/2/instances/web/tags"
        tag = self.header("ETag", self.request("GET", tags))
        self.assert_prevented("PUT", tags + "?tag=x", "If-None-Match", f'"x", {tag}')
        self.assert_job(self.request("PUT", tags + "?tag=x", headers={"If-None-Match": '"x"'}))
        self.master.answers[luxi.QueryTags] = errors.OpPrereqError("none", ErrorCode.NOENT)
        self.assert_job(self.request("PUT", tags + "?tag=x", headers={"If-None-Match": tag}))
        # Nothing can be read there.
        self.assert_job(self.request("PUT", STARTUP, headers={"If-None-Match": tag}))

    def test_the_date_is_that_of_the_configuration(self):
        name = "If-Unmodified-Since"
        self.assert_prevented("DELETE", "/2/instances/web", name, "Thu, 01 Jan 1970 00:00:00 GMT")
        for value in ("Thu, 01 Jan 1970 00:00:01 GMT", "junk"):
            self.assert_job(self.request("PUT", STARTUP, headers={name: value}))

    def test_a_tag_is_compared_for_those_who_may_read_it(self):
        class OnlyTagSetters(FakeUsers):
            USERS = {"admin": "tags.set"}

        self.pipeline = RequestPipeline(self.master, OnlyTagSetters(), require_authentication=True)
        tags = "/2/instances/web/tags?tag=x"
        self.assert_refused(403, "PUT", tags, headers={"If-None-Match": '"x"'})
        self.assert_prevented("PUT", tags, "If-None-Match", "*")

    def test_malformed_tags_prevent_too(self):
        for name in ("If-Match", "If-None-Match"):
            self.assert_refused(400, "PUT", STARTUP, headers={name: "abc"}, text=name)

    def test_a_condition_is_502_where_the_master_cannot_be_asked(self):
        del self.master.answers[luxi.Query]
        self.assert_refused(502, "PUT", STARTUP, headers={"If-Match": "*"})

    def test_without_conditions_nothing_more_is_asked(self):
        self.put(STARTUP)
        self.assertEqual(list(map(type, self.master.calls)), [luxi.SubmitJob])


class TestMasterRedirect(RapiTestCase):
    """A node that is not the master."""

    def setUp(self):
        super().setUp()

        def check(request):
            raise TemporaryRedirect("https://master:5080" + request.target)

        self.pipeline._redirect_if_not_master = check

    def test_everything_is_sent_elsewhere_before_anything_is_asked(self):
        for method, path in (
            ("GET", "/version"),
            ("PUT", STARTUP),
            ("GET", "/nowhere"),
            ("PATCH", "/2/info"),
        ):
            response = self.request(method, path, headers=WRONG, body=b"{")
            self.assertEqual(
                (response.status, self.header("Location", response)),
                (307, f"https://master:5080{path}"),
            )
            self.assertEqual(json.loads(response.body)["code"], 307)

    def test_options_is_answered_and_not_redirected(self):
        self.assertEqual(self.request("OPTIONS", "/2/info").status, 204)
        response = self.request("OPTIONS", "*")
        self.assertEqual(
            (response.status, self.header("Allow", response)),
            (204, "DELETE, GET, HEAD, OPTIONS, POST, PUT"),
        )


class TestBodies(RapiTestCase):
    def test_a_packed_body_is_refused(self):
        for value in ("gzip", "GZIP", "identity, br", "x-gzip", "deflate , ,", "\xe9"):
            response = self.request("PUT", STARTUP, b"{}", headers={"Content-Encoding": value})
            self.assertIn("Content-Encoding", self.assert_status(415, response)["message"])
            self.assertEqual(self.header("Accept-Encoding", response), "identity")
        self.assertEqual(self.submitted(), [])

    def test_an_identity_coding_is_accepted(self):
        for value in ("identity", "Identity", "", " , identity"):
            self.assert_job(
                self.request("PUT", STARTUP, b"{}", headers={"Content-Encoding": value})
            )
        self.assert_job(self.request("PUT", STARTUP, headers={"Content-Encoding": "gzip"}))

    def test_only_one_utf_8_byte_order_mark_is_accepted(self):
        self.assert_job(self.request("PUT", STARTUP, b"\xef\xbb\xbf{}"))
        for body in ("{}".encode("utf-16"), b"\xef\xbb\xbf" * 2 + b"{}", b"\xef\xbb\xbf"):
            self.assert_status(400, self.request("PUT", STARTUP, body))

    def test_only_a_query_by_put_may_have_a_large_body(self):
        for method, path, limit in (
            ("PUT", "/2/query/instance", MAX_LARGE_BODY),
            ("POST", "/2/query/instance", MAX_BODY),
            ("POST", "/2/instances", MAX_BODY),
            ("PUT", "/nowhere", MAX_BODY),
        ):
            self.assertEqual(self.route(method, path).max_body, limit, path)


class TestLongLists(RapiTestCase):
    """Lists that the master is asked for in parts."""

    def list(self, count, **options):
        """Return the response to a bulk list of ``count`` instances."""
        self.master.answers[luxi.Query] = lambda call: self.found(call, count)
        return self.request("GET", "/2/instances?bulk=1", **options)

    def found(self, call, count):
        names = (
            [item[2] for item in call.qfilter[1:]]
            if call.qfilter
            else [f"web{number}" for number in range(count)]
        )
        if "web7" in names and self.gone_since and call.qfilter:
            return errors.OpPrereqError("web7 not found", ErrorCode.NOENT)
        return table(call, [{"name": name, "beparams": {"maxmem": 1}} for name in names])

    gone_since = False

    def test_a_streamed_list_equals_one_made_at_once(self):
        for count in (0, 1, 50, 51, 250):
            response = self.list(count)
            body = b"".join(response.stream) if response.stream else response.body
            names = [item["name"] for item in json.loads(body)]
            self.assertEqual(names, [f"web{number}" for number in range(count)])
            self.assertEqual(response.stream is not None, count > 50)
        self.assertEqual(json.loads(body)[0]["beparams"], {"maxmem": 1, "memory": 1})

    def test_what_vanished_is_left_out(self):
        self.gone_since = True
        names = [item["name"] for item in json.loads(b"".join(self.list(101).stream))]
        self.assertEqual(names, [f"web{number}" for number in range(101) if number != 7])

    def test_an_error_in_the_first_part_is_answered_502(self):
        self.master.answers[luxi.Query] = lambda call: (
            errors.NoMaster("gone") if call.qfilter else self.found(call, 101)
        )
        self.assert_refused(502, "GET", "/2/instances?bulk=1")

    def test_a_state_makes_a_tag_and_spares_the_list(self):
        self.master.answers[luxi.Query] = lambda call: luxi.Reply(
            self.found(call, 101), {"state": "s1"} if call.state else {}
        )
        tag = self.header("ETag", self.request("GET", "/2/instances?bulk=1"))
        self.master.calls.clear()
        response = self.request("GET", "/2/instances?bulk=1", headers={"If-None-Match": tag})
        self.assertEqual(
            (response.status, response.body, self.header("ETag", response)), (304, b"", tag)
        )
        self.assertEqual(self.master.calls, [luxi.Query("group", ["name"], None, state="instance")])
        self.master.answers[luxi.Query] = lambda call: luxi.Reply(
            self.found(call, 101), {"state": "s2"} if call.state else {}
        )
        response = self.request("GET", "/2/instances?bulk=1", headers={"If-None-Match": tag})
        self.assertEqual(len(json.loads(b"".join(response.stream))), 101)
        self.assertNotIn(self.header("ETag", response), (None, tag))

    def test_without_states_the_tag_is_that_of_the_body(self):
        tag = self.header("ETag", self.list(101))
        packed = self.list(101, headers={"Accept-Encoding": "gzip"})
        self.assertEqual(self.header("ETag", packed), tag)
        body = b"".join(self.list(101).stream)
        self.assertEqual(gzip.decompress(b"".join(packed.stream)), body)
        self.assertEqual(body_tag(body), tag)
        response = self.list(101, headers={"If-None-Match": tag})
        self.assertEqual((response.status, response.body, response.stream), (304, b"", None))
        self.assertEqual(self.list(102, headers={"If-None-Match": tag}).status, 200)

    def test_the_longest_lists_are_never_whole(self):
        response = self.list(MAX_SPOOLED + 1)
        self.assertIsNone(self.header("ETag", response))
        self.assertEqual(len(self.master.calls), 3)  # names, and two parts
        self.assertEqual(len(json.loads(b"".join(response.stream))), MAX_SPOOLED + 1)

    def test_a_master_without_states_sends_the_whole_list(self):
        self.master.answers[luxi.Query] = lambda call: (
            errors.GenericError("something else") if call.what == "group" else self.found(call, 101)
        )
        response = self.request(
            "GET", "/2/instances?bulk=1", headers={"If-None-Match": 'W/"state-x"'}
        )
        self.assertEqual(len(json.loads(b"".join(response.stream))), 101)

    def test_a_streamed_list_is_packed_for_clients_that_accept_gzip(self):
        response = self.list(101, headers={"Accept-Encoding": "gzip"})
        self.assertEqual(self.header("Content-Encoding", response), "gzip")
        self.assertEqual(len(json.loads(gzip.decompress(b"".join(response.stream)))), 101)


class TestCrossOrigin(RapiTestCase):
    options = {"cors": Cors(["https://page"])}

    def origin(self, method, target, origin="https://page", **more):
        return self.request(method, target, headers={"Origin": origin, **more})

    def test_every_answer_of_an_allowed_origin_can_be_read(self):
        for method, target, status in (
            ("GET", "/version", 200),
            ("GET", "/nowhere", 404),
            ("PUT", STARTUP, 200),
            ("POST", STARTUP, 501),
        ):
            response = self.origin(method, target)
            self.assertEqual(response.status, status)
            self.assertEqual(self.header("Access-Control-Allow-Origin", response), "https://page")

    def test_preflight_needs_no_user(self):
        self.user = None
        response = self.origin("OPTIONS", STARTUP, **{"Access-Control-Request-Method": "PUT"})
        self.assertEqual((response.status, response.body), (204, b""))
        self.assertEqual(self.header("Access-Control-Allow-Methods", response), "PUT, OPTIONS")

    def test_a_foreign_page_changes_nothing(self):
        response = self.origin("PUT", STARTUP, "https://other")
        self.assertIn("another origin", self.assert_status(403, response)["message"])
        self.assertEqual(self.master.calls, [])
        self.assertIsNone(self.header("Access-Control-Allow-Origin", response))
        self.assert_status(200, self.origin("GET", "/version", "https://other"))


class TestSlowPassword(RapiTestCase):
    """A password that is being checked holds no thread."""

    def ask(self):
        self.checked = Future()
        self.pipeline._users = self
        return routed(
            self.pipeline,
            Request("PUT", STARTUP, STARTUP, headers=Headers([("Authorization", "Basic eA==")])),
        )

    def authenticate(self, header, peer):
        return self.checked

    def test_a_right_password_is_answered_once_it_is_checked(self):
        steps = self.ask()
        self.assertIs(next(steps), self.checked)
        self.checked.set_result(User("admin", Rights(frozenset({"instances.startup"}))))
        self.assert_job(run_steps(steps))

    def certified(self, name, peer):
        return User(name, Rights(frozenset({"instances.startup"}))) if name == "robot" else None

    def test_a_client_certificate_identifies_its_user(self):
        self.pipeline._users = self
        for name, status in (("robot", 200), ("stranger", 401), ("", 401)):
            self.assert_status(
                status,
                run_steps(
                    routed(self.pipeline, Request("PUT", STARTUP, STARTUP, certificate=name))
                ),
            )

    def test_a_wrong_password_is_refused_once_it_is_checked(self):
        steps = self.ask()
        self.checked.set_exception(Unauthorized("no"))
        self.assert_status(401, run_steps(steps))
        self.assertEqual(self.master.calls, [])


class TestRequiredAuthentication(RapiTestCase):
    options = {"require_authentication": True}

    def test_reading_needs_any_user(self):
        self.objects()
        self.user = None
        self.assert_refused(401, "GET", "/2/instances")
        self.user = "reader"
        self.assertEqual(self.get("/2/instances"), [])


class TestBody(RapiTestCase):
    def test_only_json_is_accepted_as_media_type(self):
        for value in (
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json ;charset=UTF-8",
            None,
        ):
            headers = {} if value is None else {"Content-Type": value}
            self.assert_job(self.request("PUT", STARTUP, b"{}", headers))
        for value in ("text/plain", "application/jsonx", "application/x-www-form-urlencoded", ""):
            response = self.request("PUT", STARTUP, b"{}", {"Content-Type": value})
            self.assert_status(415, response)

    def test_a_request_without_key_and_body_is_submitted_without_them(self):
        self.put(STARTUP)
        self.assertIsNone(self.master.contexts[-1].idempotency_key)
        self.assertIsNone(self.master.contexts[-1].request_digest)

    def test_no_body_needs_no_media_type(self):
        self.assert_job(self.request("PUT", STARTUP, headers={"Content-Type": "text/plain"}))

    def test_a_body_that_is_not_json_is_refused(self):
        for body in (b"{", b"\xff", b"{} {}", b'{"a": 1, "a": 2}', b"[" * 2000, b"NaN"):
            self.assert_refused(400, "PUT", STARTUP, body, text="Unable to parse JSON data")


class TestAnswer(RapiTestCase):
    def test_every_answer_has_its_type_and_request_id(self):
        for target in ("/version", "/nowhere"):
            headers = dict(self.request("GET", target).headers)
            self.assertEqual(
                (headers["Content-Type"], headers["X-Request-Id"]), ("application/json", "r1")
            )

    def test_a_clients_request_id_is_kept_and_passed_on(self):
        for given in ("a", "A-z_0.9:x", "x" * 64):
            response = self.request("GET", "/version", headers={"X-Request-Id": given})
            self.assertEqual(self.header("X-Request-Id", response), given)
        response = self.request("PUT", STARTUP, headers={"X-Request-Id": "mine-7"})
        self.assertEqual((response.request_id, response.log_id), ("mine-7", "r1"))
        self.assertEqual(self.master.contexts[-1].request_id, "mine-7")
        self.assertIn("request=mine-7", str(self.master.calls[-1].ops))

    def test_an_invalid_request_id_is_replaced(self):
        for given in ("", "x" * 65, "a b", "a;user=root", "\u00e9", "a\tb"):
            response = self.request("GET", "/nowhere", headers={"X-Request-Id": given})
            self.assertEqual(self.header("X-Request-Id", response), "r1")
        twice = [("X-Request-Id", "a"), ("X-Request-Id", "b")]
        response = self.request("GET", "/version", headers=twice)
        self.assertEqual(self.header("X-Request-Id", response), "r1")

    def test_a_response_has_user_request_id_and_job_for_the_log(self):
        response = self.request("PUT", STARTUP)
        self.assertEqual(
            (response.user, response.request_id, response.job_id), ("admin", "r1", JOB_ID)
        )
        self.assertIsNone(self.request("GET", "/version").job_id)

    def priority(self, method, target, body=b""):
        return self.route(method, target, body).priority.name

    def test_each_request_has_its_priority(self):
        for target in ("/", "/version", "/2", "/2/features"):
            self.assertEqual(self.priority("GET", target), "INSTANT", target)
            self.assertEqual(self.priority("GET", target, b"[]"), "URGENT", target)
        for method, target in (("DELETE", "/2/jobs/3"), ("PUT", "/2/instances/x/shutdown")):
            self.assertEqual(self.priority(method, target), "URGENT", target)
        for target in ("/2/instances?bulk=1", "/2/jobs?x=y&bulk=1", "/2/nodes?bulk=1"):
            for method in ("GET", "HEAD"):
                self.assertEqual(self.priority(method, target), "LONG", target)
        for method, target in (
            ("GET", "/2/jobs/3"),
            ("GET", "/2/info"),
            ("GET", "/nowhere"),
            ("PUT", STARTUP),
            ("GET", "/2/instances/x/shutdown"),
            ("PUT", "/nowhere"),
            ("GET", "/2/instances"),
            ("POST", "/2/instances?bulk=1"),
        ):
            self.assertEqual(self.priority(method, target), "ORDINARY", target)

    def test_our_own_mistake_is_a_number_and_a_logged_traceback(self):
        self.master.answers[luxi.QueryClusterInfo] = ZeroDivisionError("secret")
        with self.assertLogs(level=logging.ERROR):
            response = self.request("GET", "/2/info")
        self.assertIn("request r1", self.assert_status(500, response)["message"])
        self.assertNotIn(b"secret", response.body)

    def test_texts_are_plain(self):
        self.assertIn(b"<b>&'", self.request("PUT", STARTUP, {"<b>&'": 1}).body)


def test_errors_of_the_master_are_expected_in_a_list_and_others_are_not():
    assert RequestPipeline.is_expected(errors.NoMaster("it is gone"))
    assert not RequestPipeline.is_expected(ZeroDivisionError())
