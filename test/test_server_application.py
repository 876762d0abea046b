"""The steps of a request: which refusal comes first, and what every answer has."""

import base64
import logging

from testutils_rapi import RapiTestCase

from ganeti import luxi

WRONG = {"Authorization": "Basic " + base64.b64encode(b"admin:wrong").decode()}
STARTUP = "/2/instances/web/startup"


class TestOrder(RapiTestCase):
    user = None

    def test_route_then_method_then_user_then_key_then_body(self):
        broken = {"body": b"{", "headers": {"Content-Type": "text/plain"}}
        self.assert_refused(404, "PUT", "/2/nowhere", **broken)
        self.assert_refused(501, "POST", STARTUP, **broken)
        self.assert_refused(401, "PUT", STARTUP, **broken)
        self.user = "admin"
        key = {"Idempotency-Key": '"', "Content-Type": "text/plain"}
        self.assert_refused(400, "PUT", STARTUP, b"{", headers=key, text="Idempotency-Key")
        self.assert_refused(415, "PUT", STARTUP, **broken)
        self.assert_refused(400, "PUT", STARTUP, body=b"{")


class TestMethods(RapiTestCase):
    def test_a_method_that_the_path_lacks(self):
        for method in ("POST", "PATCH", "TRACE", "get"):
            response = self.request(method, "/2/info")
            self.assertIn(f"Method {method} is unsupported for path /2/info",
                          self.assert_status(501, response)["message"])
            self.assertIn(("Allow", "GET, HEAD, OPTIONS"), response.headers)

    def test_options(self):
        response = self.request("OPTIONS", STARTUP)
        self.assertEqual((response.status, response.body), (204, b""))
        self.assertIn(("Allow", "PUT, OPTIONS"), response.headers)

    def test_head_is_get(self):
        # The body is left out when the response is written.
        self.assertEqual(self.request("HEAD", "/version"), self.request("GET", "/version"))


class TestAccess(RapiTestCase):
    def test_reading_is_open(self):
        self.user = None
        self.objects()
        self.assertEqual(self.get("/2/instances"), [])

    def test_wrong_credentials_are_refused_even_there(self):
        self.user = None
        for target in ("/2/instances", "/version"):
            self.assert_refused(401, "GET", target, headers=WRONG)

    def test_writing_needs_a_user_with_the_right(self):
        self.user = "reader"
        self.assert_refused(403, "PUT", STARTUP, text="instances.startup")
        self.user = None
        response = self.request("PUT", STARTUP)
        self.assert_status(401, response)
        self.assertIn(("WWW-Authenticate", 'Basic realm="Ganeti Remote API"'), response.headers)

    def test_who_proved_himself_is_marked(self):
        self.assertTrue(self.request("GET", "/version").authenticated)
        self.user = None
        self.assertFalse(self.request("GET", "/version").authenticated)


class TestRequiredAuthentication(RapiTestCase):
    options = {"require_authentication": True}

    def test_reading_needs_any_user(self):
        self.objects()
        self.user = None
        self.assert_refused(401, "GET", "/2/instances")
        self.user = "reader"
        self.assertEqual(self.get("/2/instances"), [])


class TestBody(RapiTestCase):
    def test_media_types(self):
        for value in ("application/json", "Application/JSON", "application/json; charset=utf-8",
                      "application/json ;charset=UTF-8", None):
            headers = {} if value is None else {"Content-Type": value}
            self.assert_job(self.request("PUT", STARTUP, b"{}", headers))
        for value in ("text/plain", "application/jsonx", "application/x-www-form-urlencoded", ""):
            response = self.request("PUT", STARTUP, b"{}", {"Content-Type": value})
            self.assert_status(415, response)

    def test_no_body_needs_no_media_type(self):
        self.assert_job(self.request("PUT", STARTUP, headers={"Content-Type": "text/plain"}))

    def test_what_is_no_json(self):
        for body in (b"{", b"\xff", b"{} {}", b'{"a": 1, "a": 2}', b"[" * 2000, b"NaN"):
            self.assert_refused(400, "PUT", STARTUP, body, text="Unable to parse JSON data")


class TestAnswer(RapiTestCase):
    def test_headers(self):
        for target in ("/version", "/nowhere"):
            headers = dict(self.request("GET", target).headers)
            self.assertEqual((headers["Content-Type"], headers["X-Request-Id"]),
                             ("application/json", "r1"))

    def test_one_line_of_log(self):
        with self.assertLogs(level=logging.INFO) as logs:
            self.request("GET", "/version?x=1")
        self.assertEqual([record.getMessage() for record in logs.records], [
            "200 GET /version?x=1 peer=192.0.2.1 user=admin request=r1 bytes=2 seconds=0.000"])

    def test_our_own_mistake_is_a_number_and_a_logged_traceback(self):
        self.master.answers[luxi.QueryClusterInfo] = ZeroDivisionError("secret")
        with self.assertLogs(level=logging.ERROR):
            response = self.request("GET", "/2/info")
        self.assertIn("request r1", self.assert_status(500, response)["message"])
        self.assertNotIn(b"secret", response.body)

    def test_texts_are_plain(self):
        self.assertIn(b"<b>&'", self.request("PUT", STARTUP, {"<b>&'": 1}).body)
