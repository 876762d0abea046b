"""Tags of the cluster, of nodes and of instances."""

from ganeti import errors, luxi
from ganeti.constants import MAX_TAG_LENGTH, ErrorCode
from ganeti.opcodes import OpTagsDel, OpTagsSet
from support.rapi import RapiTestCase

PLACES = {
    "/2/tags": ("cluster", ""),
    "/2/nodes/n1/tags": ("node", "n1"),
    "/2/instances/web/tags": ("instance", "web"),
}


class TestTagRead(RapiTestCase):
    def test_tags_are_sorted(self):
        self.master.answers[luxi.QueryTags] = ["b", "a"]
        for path in PLACES:
            self.assertEqual(self.get(path), ["a", "b"])
        self.assertEqual(self.master.calls, [luxi.QueryTags(*place) for place in PLACES.values()])

    def test_tags_of_an_unknown_object_are_not_found(self):
        self.master.answers[luxi.QueryTags] = errors.OpPrereqError("no such node", ErrorCode.NOENT)
        self.assert_refused(404, "GET", "/2/nodes/x/tags", text="no such node")

    def test_an_answer_that_is_no_list_is_502(self):
        self.master.answers[luxi.QueryTags] = {}
        self.assert_refused(502, "GET", "/2/tags")


class TestWrite(RapiTestCase):
    def test_tags_of_the_query_are_submitted(self):
        for path, (kind, name) in PLACES.items():
            for method, op in (("PUT", OpTagsSet), ("DELETE", OpTagsDel)):
                self.master.calls.clear()
                self.assert_job(self.request(method, path + "?tag=b&tag=a%3Ax"))
                self.assert_submitted(op(kind=kind, name=name or None, tags=["b", "a:x"]))

    def test_a_list_in_the_body_is_submitted_without_repetitions(self):
        self.put("/2/instances/web/tags", ["a", "b", "a"])
        self.assert_submitted(OpTagsSet(kind="instance", name="web", tags=["a", "b"]))

    def test_tags_of_query_and_body_are_joined(self):
        self.put("/2/tags?tag=a", ["b"])
        self.assert_submitted(OpTagsSet(kind="cluster", tags=["a", "b"]))

    def test_an_object_in_the_body_may_hold_common_fields(self):
        self.delete("/2/tags?dry-run=1", {"tags": ["a"], "depends": [[1, []]]})
        self.assert_submitted(
            OpTagsDel(kind="cluster", tags=["a"], dry_run=True, depends=[[1, []]])
        )

    def test_empty_bodies_beside_the_query_are_accepted(self):
        for body in (b"null", b"{}", b"[]"):
            self.master.calls.clear()
            self.put("/2/tags?tag=a", body)
            self.assert_submitted(OpTagsSet(kind="cluster", tags=["a"]))

    def test_a_request_without_tags_is_refused(self):
        for target, body in (
            ("/2/tags", None),
            ("/2/tags?tag=", None),
            ("/2/tags", []),
            ("/2/tags", {}),
        ):
            self.assert_refused(400, "PUT", target, body, text="'tag'")

    def test_invalid_tags_are_refused(self):
        for tags in (["a b"], [""], ["x" * (MAX_TAG_LENGTH + 1)], ["b\u00fccher"], ["a\n"]):
            self.assert_refused(400, "PUT", "/2/tags", tags, text="'tag'")

    def test_invalid_tags_that_exist_can_be_removed(self):
        odd = ["a\n", "a b", "b\u00fccher", "x" * (MAX_TAG_LENGTH + 1)]
        self.delete("/2/tags", odd)
        self.assert_submitted(OpTagsDel(kind="cluster", tags=odd))
        self.master.calls.clear()
        self.delete("/2/instances/web/tags?tag=a%0A&tag=%00")
        self.assert_submitted(OpTagsDel(kind="instance", name="web", tags=["a\n", "\0"]))
        self.master.calls.clear()
        self.assert_refused(400, "DELETE", "/2/tags", [""], text="empty")

    def test_a_body_that_is_no_list_of_tags_is_refused(self):
        for body in ("a", 5, [5], [["a"]], {"tags": "a"}):
            self.assert_refused(400, "PUT", "/2/tags", body, text="tags must be a list")

    def test_fields_of_the_uri_cannot_be_overwritten(self):
        for field in ("kind", "name"):
            self.assert_refused(
                400, "PUT", "/2/nodes/n1/tags", {"tags": ["a"], field: "x"}, text=field
            )
