"""Removing tags from objects."""

from ganeti import errors, opcodes
from support.lu import WEB, LUTestCase


class TestTagsDel(LUTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.create(tags=["a", "b", "c"])

    def untag(self, *tags: str) -> None:
        self.run_op(opcodes.OpTagsDel(kind="instance", name=WEB, tags=list(tags)))

    def test_tags_are_removed(self) -> None:
        self.untag("a", "c")
        self.assertEqual(self.instance().tags, ["b"])

    def test_a_tag_that_is_given_twice_is_refused(self) -> None:
        with self.assertRaisesRegex(errors.TagError, "'c'"):
            self.untag("a", "c", "c")
        self.assertEqual(self.instance().tags, ["a", "b", "c"])

    def test_a_missing_tag_is_refused(self) -> None:
        with self.assertRaises(errors.OpPrereqError) as caught:
            self.untag("zzz", "a", "yyy")
        self.assertEqual(caught.exception.args, ("Tag(s) 'yyy', 'zzz' not found", "unknown_entity"))
        self.assertEqual(self.instance().tags, ["a", "b", "c"])

    def test_a_bad_tag_is_told_from_a_missing_one(self) -> None:
        with self.assertRaises(errors.TagError):
            self.untag("a b")
        with self.refused("unknown_entity"):
            self.untag("a\n")
        with self.assertRaisesRegex(errors.OpPrereqError, "nope"):
            self.run_op(opcodes.OpTagsDel(kind="instance", name="nope", tags=["a b"]))

    def test_no_tags_change_nothing(self) -> None:
        before = self.instance().serial_no
        self.untag()
        self.assertEqual(self.instance().serial_no, before)
