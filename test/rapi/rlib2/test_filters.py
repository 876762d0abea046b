"""Job filters over the API."""

from ganeti import errors, luxi
from support.rapi import RapiTestCase

UUID = "26c6bea0-b226-4059-8388-d9b4f50ee654"
URI = f"/2/filters/{UUID}"
RULE = {
    "uuid": UUID,
    "watermark": 27,
    "priority": 10,
    "action": "PAUSE",
    "predicates": [["jobid", [">", "id", "watermark"]]],
    "reason_trail": [["gnt:user", "test", 1]],
}
BODY = {
    "priority": 10,
    "predicates": RULE["predicates"],
    "action": ["RATE_LIMIT", 2],
    "reason": [["me", "why", 1]],
}


class TestFilterRead(RapiTestCase):
    user = None

    def test_filters_are_listed(self):
        self.objects(RULE)
        self.assertEqual(self.get("/2/filters"), [{"uuid": UUID, "uri": URI}])
        self.assertEqual(self.get("/2/filters?bulk=1"), [RULE])

    def test_one_filter_is_read_by_uuid(self):
        self.objects(RULE)
        self.assertEqual(self.get(URI), RULE)
        self.assertEqual(self.master.calls[-1].qfilter, ["==", "uuid", UUID])

    def test_an_unknown_filter_is_not_found(self):
        self.objects()
        self.assertEqual(self.get("/2/filters"), [])
        self.assert_refused(404, "GET", "/2/filters/nope", text="nope")


class TestFilterChange(RapiTestCase):
    def setUp(self):
        super().setUp()
        self.master.answers[luxi.ReplaceFilter] = UUID
        self.master.answers[luxi.DeleteFilter] = None

    def change(self, method, uri, body=None):
        answer = self.assert_status(200, self.request(method, uri, body))
        return answer, self.master.calls[-1]

    def test_post_adds_a_filter_and_answers_its_uuid(self):
        self.assertEqual(
            self.change("POST", "/2/filters", BODY),
            (
                UUID,
                luxi.ReplaceFilter(None, 10, BODY["predicates"], ["RATE_LIMIT", 2], BODY["reason"]),
            ),
        )

    def test_a_filter_without_fields_has_defaults(self):
        for body in (None, {}):
            self.assertEqual(
                self.change("POST", "/2/filters", body)[1],
                luxi.ReplaceFilter(None, 0, [], "CONTINUE", []),
            )

    def test_put_replaces_a_filter(self):
        self.assertEqual(
            self.change("PUT", URI, {"action": "REJECT"}),
            (UUID, luxi.ReplaceFilter(UUID, 0, [], "REJECT", [])),
        )
        self.assert_refused(400, "PUT", "/2/filters/nope", {}, text="not a UUID")

    def test_delete_removes_a_filter_or_answers_404(self):
        self.assertEqual(self.change("DELETE", URI), (None, luxi.DeleteFilter(UUID)))
        self.master.answers[luxi.DeleteFilter] = errors.GenericError(
            f"Filter rule with UUID {UUID} does not exist"
        )
        self.assert_refused(404, "DELETE", URI, text=UUID)
        self.master.answers[luxi.DeleteFilter] = errors.GenericError("something else")
        self.assert_refused(500, "DELETE", URI, text="something else")

    def test_invalid_fields_of_a_filter_are_refused(self):
        for key, value in (
            ("priority", -1),
            ("priority", "1"),
            ("predicates", [["bogus"]]),
            ("predicates", [["jobid", ["=", "name", 1]]]),
            ("action", "STOP"),
            ("action", ["RATE_LIMIT", 0]),
            ("reason", "because"),
            ("reason", ["x"]),
            ("reason", [["a", "b", "c"]]),
            ("uuid", UUID),
        ):
            self.assert_refused(400, "POST", "/2/filters", {key: value}, text=f"'{key}'")
        self.assert_refused(400, "POST", "/2/filters", [1], text="object")

    def test_an_answer_that_is_no_uuid_is_502(self):
        self.master.answers[luxi.ReplaceFilter] = 7
        self.assert_refused(502, "POST", "/2/filters", {})
