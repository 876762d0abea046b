"""Finding and locking objects with tags."""

from ganeti import errors, opcodes
from ganeti.cmdlib import tagging
from support.lu import NODE2, WEB, LUTestCase


class TestTagging(LUTestCase):
    def locked(self, kind: str, name: str | None) -> list[str]:
        op = opcodes.OpTagsSet(kind=kind, name=name, tags=["x"])
        return [want.full_name for want in self.wants(op) if want.exclusive]

    def test_only_the_object_is_locked(self) -> None:
        self.create()
        self.assertEqual(self.locked("instance", "web"), [f"instance/{WEB}"])
        self.assertEqual(self.locked("node", "node2"), [f"node/{NODE2}"])
        self.assertEqual(self.locked("nodegroup", "default"), ["nodegroup/default"])
        self.assertEqual(self.locked("cluster", ""), ["cluster/tags"])

    def test_an_instance_that_is_being_created_is_waited_for(self) -> None:
        self.assertEqual(self.locked("instance", "new.example.com"), ["instance/new.example.com"])

    def test_an_unknown_object_has_no_lock(self) -> None:
        self.assertEqual(self.locked("node", "nope"), [])
        self.assertEqual(self.locked("network", "nope"), [])

    def test_targets_of_every_kind_are_found(self) -> None:
        self.assertIs(tagging.find_target(self.config, "cluster", "any"), self.config.cluster)
        self.assertIs(tagging.find_target(self.config, "node", "node2"), self.config.node(NODE2))

    def test_the_first_bad_tag_is_named(self) -> None:
        tagging.check_tags(["fine", "a:b/c+d@e"])
        with self.assertRaisesRegex(errors.TagError, "a b"):
            tagging.check_tags(["fine", "a b", ""])
