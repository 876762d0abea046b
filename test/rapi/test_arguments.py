"""Words of the query: every spelling of a flag, blanks, refusals."""

import unittest

from ganeti.http.errors import BadRequest
from ganeti.rapi.arguments import (
    MAX_FIELDS,
    MAX_KEY,
    MAX_WORDS,
    DryRun,
    Fields,
    Fixed,
    Integer,
    QueryString,
    Words,
    check_fields,
    choice,
    flag,
    integer,
    read_idempotency_key,
    tags,
    text,
)


class TestReaders(unittest.TestCase):
    def read(self, argument, query, name="word"):
        return argument.read(name, QueryString(query))

    def test_flags_are_integers_or_words(self):
        for value, expected in {
            "1": True,
            "0": False,
            "-1": True,
            "2": True,
            "%201%20": True,
            "+7": True,
            "00": False,
            "true": True,
            "True": True,
            "FALSE": False,
            "yes": True,
            "No": False,
        }.items():
            self.assertIs(self.read(flag, f"word={value}"), expected, value)

    def test_blank_and_absent_are_the_same(self):
        for query in ("", "word", "word=", "other=1", "&&"):
            self.assertIsNone(self.read(flag, query), query)

    def test_the_first_value_counts(self):
        self.assertIs(self.read(flag, "word=0&word=1"), False)

    def test_other_texts_are_no_flags(self):
        for value in ("maybe", "1.0", "on", "1_0", "%C2%B2", "9" * 30, "%20"):
            with self.assertRaises(BadRequest) as caught:
                self.read(flag, f"word={value}")
            self.assertIn("Invalid value for the 'word' parameter", caught.exception.message)

    def test_integers_may_be_negative_and_are_no_words(self):
        self.assertEqual(self.read(integer, "word=-12"), -12)
        self.assertRaises(BadRequest, self.read, integer, "word=true")

    def test_integers_out_of_bounds_are_refused(self):
        kind = Integer(least=1, most=1000)
        self.assertEqual([self.read(kind, f"word={value}") for value in (1, 1000)], [1, 1000])
        for value in ("0", "1001", "-1", "1.0", "many"):
            with self.assertRaises(BadRequest) as caught:
                self.read(kind, f"word={value}")
            self.assertIn("an integer from 1 to 1000", caught.exception.message)

    def test_words_may_be_repeated_or_have_commas(self):
        kind = Words(("a", "b", "c"))
        self.assertEqual(self.read(kind, "word=b,a&word=a&word=+c+,"), ["b", "a", "a", "c"])
        for query, wrong in (("word=a,x", "'x'"), ("word=,", "','"), ("word=A", "'A'")):
            with self.assertRaises(BadRequest) as caught:
                self.read(kind, query)
            self.assertIn(f"not {wrong}", caught.exception.message)

    def test_columns_have_a_limit(self):
        self.assertEqual(len(self.read(Fields(), "word=" + ",".join("a" * MAX_FIELDS))), MAX_FIELDS)
        with self.assertRaises(BadRequest) as caught:
            self.read(Fields(), "word=" + ",".join("a" * (MAX_FIELDS + 1)))
        self.assertIn(f"at most {MAX_FIELDS}", caught.exception.message)
        check_fields(["a"] * MAX_FIELDS)
        self.assertRaises(BadRequest, check_fields, ["a"] * (MAX_FIELDS + 1))

    def test_other_spellings_of_dry_run_are_refused(self):
        self.assertIs(self.read(DryRun(), "dry-run=1&tag=dryrun"), True)
        self.assertIsNone(self.read(DryRun(), "dry_run="))
        for word in ("dry_run=1", "dryrun=1", "dryRun=0", "DRY-RUN=1", "dry-run=1&dry_run=1"):
            with self.assertRaises(BadRequest) as caught:
                self.read(DryRun(), word)
            self.assertIn("write 'dry-run'", caught.exception.message)

    def test_a_word_set_anew_replaces_its_old_value(self):
        query = QueryString("bulk=1&status=a&after=3&status=b&x=%C3%A4%0A&blank=")
        self.assertEqual(
            query.with_word("after", 9), "bulk=1&status=a&status=b&x=%C3%A4%0A&after=9"
        )

    def test_text_is_percent_decoded(self):
        self.assertEqual(self.read(text, "word=a%20b+c%2B"), "a b c+")

    def test_a_choice_may_have_another_name_and_a_default(self):
        kind = choice("hard", "soft", word="type", default="hard")
        self.assertEqual(self.read(kind, "type=soft&word=x"), "soft")
        self.assertEqual(self.read(kind, ""), "hard")
        self.assertRaises(BadRequest, self.read, kind, "type=SOFT")

    def test_tags_keep_their_order_and_lose_repetitions(self):
        self.assertEqual(self.read(tags, "tag=b&tag=a&tag=&tag=b"), ["b", "a"])

    def test_what_is_fixed_has_no_word(self):
        self.assertIs(self.read(Fixed(False), "word=1"), False)

    def test_a_flood_of_words_is_refused(self):
        self.assertRaises(BadRequest, QueryString, "a=1&" * MAX_WORDS + "b=1")

    def test_what_is_no_text_is_refused(self):
        with self.assertRaisesRegex(BadRequest, "not UTF-8"):
            QueryString("tag=ok&reason=%ff%fe")
        self.assertEqual(QueryString("reason=%zz").values("reason"), ["%zz"])


class TestReadIdempotencyKey(unittest.TestCase):
    def assert_refused(self, lines, text):
        with self.assertRaises(BadRequest, msg=lines) as caught:
            read_idempotency_key(lines)
        self.assertIn("Header Idempotency-Key", caught.exception.message)
        self.assertIn(text, caught.exception.message)

    def test_quoted_and_bare_are_the_same(self):
        for line in (
            "8e03-97:8e",
            '"8e03-97:8e"',
            '"8e03-97:8e";a=1',
            '8e03-97:8e ; a; b="x;\\"y"',
        ):
            self.assertEqual(read_idempotency_key([line]), "8e03-97:8e", line)

    def test_escaped_characters_are_read(self):
        self.assertEqual(read_idempotency_key([r'"a \"b\\, c;"']), r'a "b\, c;')

    def test_a_key_has_1_to_255_characters(self):
        for line in ("x" * MAX_KEY, '"' + "x" * MAX_KEY + '"', '"' + r"\\" * MAX_KEY + '"'):
            self.assertEqual(len(read_idempotency_key([line])), MAX_KEY)
        for line in ("x" * (MAX_KEY + 1), '""'):
            self.assert_refused([line], "1 to 255 characters")

    def test_malformed_keys_are_refused(self):
        for line in (
            "",
            '"',
            '"a',
            'a"',
            '"a"b',
            "a b",
            "a,b",
            '"a", "b"',
            r'"\a"',
            '"\xe9"',
            "\xe9",
            '"a\tb"',
            '"a";',
            '"a";B=1',
            ";a=1",
            '"a";x=1, "b"',
        ):
            self.assert_refused([line], "one quoted string")

    def test_a_repeated_header_is_refused(self):
        self.assert_refused(["a", "a"], "more than once")
