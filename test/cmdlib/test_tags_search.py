"""Searching the tags of all objects."""

from typing import Any

from ganeti import opcodes
from support.lu import LUTestCase


class TestTagsSearch(LUTestCase):
    def search(self, pattern: str) -> Any:
        return self.run_op(opcodes.OpTagsSearch(pattern=pattern))

    def test_found_tags_come_with_the_path_of_their_object(self) -> None:
        self.create(tags=["x:i", "y"])
        self.change(self.config.cluster, tags=["x:c"])
        self.change(self.config.node("node2"), tags=["x:n"])
        self.change(self.config.group("default"), tags=["x:g"])
        self.assertEqual(
            self.search("^x:"),
            [
                ["/cluster", "x:c"],
                ["/instances/web.example.com", "x:i"],
                ["/nodes/node2.example.com", "x:n"],
                ["/nodegroup/default", "x:g"],
            ],
        )

    def test_a_search_without_match_is_an_empty_list(self) -> None:
        self.assertEqual(self.search("^x"), [])

    def test_an_invalid_pattern_is_refused(self) -> None:
        with self.refused("wrong_input"):
            self.search("(")

    def test_a_pattern_that_could_run_for_minutes_is_refused(self) -> None:
        self.change(self.config.cluster, tags=["a" * 128])
        with self.refused("wrong_input"):
            self.search("(a+)+$b")
