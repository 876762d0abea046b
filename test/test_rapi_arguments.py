"""Words of the query: every spelling of a flag, blanks, refusals."""

import unittest

from ganeti.http.errors import BadRequest
from ganeti.rapi.arguments import MAX_WORDS, Fixed, Query, choice, flag, integer, tags, text


class TestReaders(unittest.TestCase):
    def read(self, argument, query, name="word"):
        return argument.read(name, Query(query))

    def test_flags(self):
        for value, expected in {"1": True, "0": False, "-1": True, "2": True, "%201%20": True,
                                "+7": True, "00": False, "true": True, "True": True,
                                "FALSE": False, "yes": True, "No": False}.items():
            self.assertIs(self.read(flag, f"word={value}"), expected, value)

    def test_blank_and_absent_are_the_same(self):
        for query in ("", "word", "word=", "other=1", "&&"):
            self.assertIsNone(self.read(flag, query), query)

    def test_the_first_value_counts(self):
        self.assertIs(self.read(flag, "word=0&word=1"), False)

    def test_no_flags(self):
        for value in ("maybe", "1.0", "on", "1_0", "%C2%B2", "9" * 30, "%20"):
            with self.assertRaises(BadRequest) as caught:
                self.read(flag, f"word={value}")
            self.assertIn("Invalid value for the 'word' parameter", caught.exception.message)

    def test_integers(self):
        self.assertEqual(self.read(integer, "word=-12"), -12)
        self.assertRaises(BadRequest, self.read, integer, "word=true")

    def test_text_is_percent_decoded(self):
        self.assertEqual(self.read(text, "word=a%20b+c%2B"), "a b c+")

    def test_choice_under_another_name(self):
        kind = choice("hard", "soft", word="type", default="hard")
        self.assertEqual(self.read(kind, "type=soft&word=x"), "soft")
        self.assertEqual(self.read(kind, ""), "hard")
        self.assertRaises(BadRequest, self.read, kind, "type=SOFT")

    def test_tags_keep_their_order_and_lose_repetitions(self):
        self.assertEqual(self.read(tags, "tag=b&tag=a&tag=&tag=b"), ["b", "a"])

    def test_what_is_fixed_has_no_word(self):
        self.assertIs(self.read(Fixed(False), "word=1"), False)

    def test_a_flood_of_words(self):
        self.assertRaises(BadRequest, Query, "a=1&" * MAX_WORDS + "b=1")
