"""Reading the tags of one object."""

from ganeti import opcodes
from support.lu import WEB, LUTestCase


class TestTagsGet(LUTestCase):
    def test_tags_are_sorted(self) -> None:
        self.create(tags=["b", "a"])
        self.assertEqual(self.run_op(opcodes.OpTagsGet(kind="instance", name=WEB)), ["a", "b"])

    def test_the_cluster_needs_no_name(self) -> None:
        self.change(self.config.cluster, tags=["x"])
        self.assertEqual(self.run_op(opcodes.OpTagsGet(kind="cluster")), ["x"])

    def test_an_unknown_object_is_refused(self) -> None:
        with self.refused("unknown_entity"):
            self.run_op(opcodes.OpTagsGet(kind="node", name="nope"))

    def test_reading_tags_takes_no_lock(self) -> None:
        self.create(tags=["a"])
        self.hold(opcodes.OpTagsSet(kind="instance", name=WEB, tags=["x"]))
        self.assertEqual(self.run_op(opcodes.OpTagsGet(kind="instance", name=WEB)), ["a"])
