"""Queries: they and their answers are passed on unchanged."""

from ganeti import errors, luxi
from support.rapi import RapiTestCase, table

URI = "/2/query/lock"
LOCKS = {"name": "cluster/BGL", "mode": "shared", "owner": ["job5"], "pending": []}
FILTER = ["==", "name", "web"]


class TestQuery(RapiTestCase):
    user = "reader"

    def setUp(self):
        super().setUp()
        self.objects(LOCKS)

    def test_get_asks_for_the_named_fields(self):
        answer = self.get(URI + "?fields=name,mode,%20owner,pending")
        self.assertEqual(
            answer["data"], [[[0, "cluster/BGL"], [0, "shared"], [0, ["job5"]], [0, []]]]
        )
        self.assertEqual(answer.keys(), {"fields", "data"})
        self.assertEqual(
            self.master.calls, [luxi.Query("lock", ["name", "mode", "owner", "pending"], None)]
        )

    def test_a_field_that_is_named_twice_is_two_columns(self):
        self.get(URI + "?fields=name,%20name%09,mode&fields=name")
        self.assertEqual(
            self.master.calls, [luxi.Query("lock", ["name", "name", "mode", "name"], None)]
        )

    def test_fields_have_a_limit(self):
        many = ["name"] * 501
        self.assert_refused(400, "PUT", URI, {"fields": many}, text="at most 500")
        self.assert_refused(400, "GET", f"{URI}?fields={','.join(many)}", text="at most 500")

    def test_fields_are_required(self):
        for method in ("GET", "PUT"):
            for query in ("", "?fields="):
                self.assert_refused(400, method, URI + query, text="'fields'")
        self.assert_refused(400, "GET", URI + "?fields=,", text="'fields'")

    def ask(self, body, query=""):
        self.master.calls.clear()
        self.assert_status(200, self.request("PUT", URI + query, body))
        (call,) = self.master.calls
        return call.fields, call.qfilter

    def test_put_takes_fields_and_filter_of_body_or_query(self):
        self.assertEqual(self.ask({"fields": ["name"], "qfilter": FILTER}), (["name"], FILTER))
        self.assertEqual(self.ask({"fields": ["name"], "filter": FILTER}), (["name"], FILTER))
        self.assertEqual(self.ask({"fields": [], "qfilter": None}), ([], None))
        self.assertEqual(self.ask({"qfilter": FILTER}, "?fields=a,b"), (["a", "b"], FILTER))
        self.assertEqual(self.ask({"fields": ["name"]}, "?fields=a"), (["name"], None))
        self.assertEqual(self.ask(None, "?fields=a"), (["a"], None))

    def test_ganetis_client_sends_the_filter_twice(self):
        body = {"fields": ["name"], "qfilter": FILTER, "filter": FILTER}
        self.assertEqual(self.ask(body), (["name"], FILTER))

    def test_invalid_bodies_are_refused(self):
        for body, text in (
            ([], "object"),
            ({"fields": "name"}, "fields"),
            ({"fields": [1]}, "fields"),
            ({"fields": [], "qfilter": "x"}, "qfilter"),
            ({"fields": [], "filter": {}}, "qfilter"),
            ({"fields": [], "qfilter": FILTER, "filter": ["&"]}, "qfilter"),
        ):
            self.assert_refused(400, "PUT", URI, body, text=text)

    def test_a_value_of_another_kind_than_its_field_is_refused(self):
        for words in (
            "Cannot convert value '\"n\"', error: Unable to read list",
            "parsing job id: cannot parse string 'x'",
        ):
            self.master.answers[luxi.Query] = errors.GenericError(words)
            self.assert_refused(400, "PUT", URI, {"fields": [], "qfilter": FILTER}, text="qfilter")
        self.assert_refused(500, "GET", URI + "?fields=name")

    def test_a_filter_on_an_unknown_field_is_refused(self):
        self.master.answers[luxi.Query] = errors.ParameterError("There is no field 'x'")
        self.assert_refused(400, "PUT", URI, {"fields": [], "qfilter": FILTER}, text="field 'x'")

    def test_a_filter_that_a_real_master_cannot_read_is_400(self):
        self.master.answers[luxi.Query] = errors.RequestError(
            'Failed to parse request: Cannot convert value \'["lock", [], ["==>"]]\', '
            "error: Unknown filter operand '==>'"
        )
        self.assert_refused(
            400,
            "PUT",
            URI,
            {"fields": [], "qfilter": ["==>"]},
            text="qfilter: Unknown filter operand '==>'",
        )
        self.assert_refused(502, "PUT", URI, {"fields": []})

    def test_a_name_that_is_not_there_is_not_found(self):
        self.master.answers[luxi.Query] = errors.OpPrereqError("no node x", "unknown_entity")
        self.assert_refused(
            404, "PUT", "/2/query/node", {"fields": [], "qfilter": FILTER}, text="no node x"
        )

    def test_every_kind_but_internal_ones_can_be_queried(self):
        for kind in ("instance", "node", "group", "job", "lock", "network", "export", "filter"):
            self.get(f"/2/query/{kind}?fields=name")
        for kind in ("cluster", "os", "extstorage", "disk"):
            self.assert_refused(404, "GET", f"/2/query/{kind}?fields=name")

    def test_reading_it_needs_a_right(self):
        self.user = None
        for method in ("GET", "PUT"):
            self.assert_refused(401, method, URI + "?fields=name")
        self.user = "admin"
        self.get(URI + "?fields=name")

    def test_an_answer_without_fields_or_data_is_502(self):
        for answer in (None, [], {"data": []}, {"fields": [], "data": None}):
            self.master.answers[luxi.Query] = answer
            self.assert_refused(502, "GET", URI + "?fields=name")


class TestFields(RapiTestCase):
    user = None

    def test_all_or_some_fields_are_described(self):
        found = {"fields": [{"name": "name", "title": "Name", "kind": "text", "doc": "Its name"}]}
        self.master.answers[luxi.QueryFields] = found
        self.assertEqual(self.get("/2/query/lock/fields"), found)
        self.get("/2/query/job/fields?fields=id,status")
        self.assertEqual(
            self.master.calls,
            [luxi.QueryFields("lock", None), luxi.QueryFields("job", ["id", "status"])],
        )

    def test_an_answer_without_fields_is_502(self):
        self.master.answers[luxi.QueryFields] = table(luxi.Query("lock", [], None), []) | {
            "fields": None
        }
        self.assert_refused(502, "GET", "/2/query/lock/fields")
