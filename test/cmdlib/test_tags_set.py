"""Adding tags to objects."""

from ganeti import constants, errors, opcodes
from support.lu import NODE2, WEB, LUTestCase


class TestTagsSet(LUTestCase):
    def tag(self, kind: str, name: str | None, *tags: str) -> None:
        self.run_op(opcodes.OpTagsSet(kind=kind, name=name, tags=list(tags)))

    def test_tags_are_added_to_those_that_are_there(self) -> None:
        self.create(tags=["old"])
        self.tag("instance", WEB, "new", "old", "new")
        self.assertEqual(self.instance().tags, ["new", "old"])

    def test_every_kind_has_tags(self) -> None:
        self.tag("cluster", None, "c")
        self.tag("cluster", "", "d")
        self.tag("node", "node2", "n")
        self.tag("nodegroup", "default", "g")
        self.assertEqual(self.config.cluster.tags, ["c", "d"])
        self.assertEqual(self.config.node(NODE2).tags, ["n"])
        self.assertEqual(self.config.group("default").tags, ["g"])

    def test_a_change_counts_once_and_no_change_does_not(self) -> None:
        before = self.config.cluster.serial_no
        self.tag("cluster", None, "a", "b")
        self.tag("cluster", None, "a")
        self.tag("cluster", None)
        self.assertEqual(self.config.cluster.serial_no, before + 1)

    def test_bad_tags_are_refused_and_nothing_is_kept(self) -> None:
        for tag in ("", "a b", "a" * (constants.MAX_TAG_LENGTH + 1), "ü"):
            with self.assertRaises(errors.TagError):
                self.tag("cluster", None, "good", tag)
        self.assertEqual(self.config.cluster.tags, [])

    def test_an_object_holds_a_limited_number(self) -> None:
        full = [f"t{number}" for number in range(constants.MAX_TAGS_PER_OBJECT)]
        self.tag("cluster", None, *full)
        with self.assertRaises(errors.OpExecError):
            self.tag("cluster", None, "more")
        self.tag("cluster", None, "t7")

    def test_an_unknown_object_is_refused(self) -> None:
        for kind in ("instance", "node", "nodegroup", "network"):
            with self.refused("unknown_entity"):
                self.tag(kind, "nope", "a")
        with self.refused("wrong_input"):
            self.tag("instance", None, "a")

    def test_tags_of_the_cluster_wait_for_no_other_object(self) -> None:
        self.hold(opcodes.OpTagsSet(kind="node", name="node2", tags=["x"]))
        self.tag("cluster", None, "a")
        self.assertEqual(self.config.cluster.tags, ["a"])

    def test_two_changes_of_the_same_tags_wait_for_each_other(self) -> None:
        for kind, name in (("cluster", None), ("node", "node2"), ("instance", "web")):
            op = opcodes.OpTagsSet(kind=kind, name=name, tags=["x"])
            self.assertFalse(
                {want for want in self.wants(op) if want.exclusive}.isdisjoint(
                    self.wants(opcodes.OpTagsDel(kind=kind, name=name, tags=["x"]))
                )
            )
