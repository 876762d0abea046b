"""Answers of Query as plain values."""

import unittest

from ganeti import errors, luxi
from ganeti.http.errors import NotFound
from ganeti.rapi.baserlib import ResourceRequest
from ganeti.rapi.reading import StreamedList, entries, read, read_one


class QueryMaster:
    """Answers everything with the same."""

    def __init__(self, answer):
        self.answer = answer

    def call(self, call):
        self.asked = call
        return self.answer


class TestReading(unittest.TestCase):
    def ask(self, function, data, *args):
        self.master = QueryMaster(data if isinstance(data, str) else {"fields": [], "data": data})
        return function(ResourceRequest(master=self.master), *args)

    def test_what_is_not_normal_is_null(self):
        row = [[status, "x"] for status in (0, 1, 2, 3, 4)]
        self.assertEqual(
            self.ask(read, [row], "node", list("abcde")),
            [{"a": "x", "b": None, "c": None, "d": None, "e": None}],
        )

    def test_one_object_is_asked_for_by_name(self):
        self.assertEqual(self.ask(read_one, [[[0, "n1"]]], "node", ["name"], "n"), {"name": "n1"})
        self.assertEqual(self.master.asked, luxi.Query("node", ["name"], ["==", "name", "n"]))

    def test_a_uuid_is_asked_for_as_one_where_no_name_is(self):
        uuid = "DA4B9D1F-2b31-4059-8388-d9b4f50ee654"
        asked = []

        def answer(call):
            asked.append(call.qfilter)
            return {"fields": [], "data": [[[0, "n1"]]] if call.qfilter[1] == "uuid" else []}

        master = QueryMaster(None)
        master.call = answer
        found = read_one(ResourceRequest(master=master), "node", ["name"], uuid)
        self.assertEqual(found, {"name": "n1"})
        self.assertEqual(asked, [["==", "name", uuid], ["==", "uuid", uuid.lower()]])

    def test_an_empty_answer_is_not_found(self):
        with self.assertRaises(NotFound) as caught:
            self.ask(read_one, [], "node", ["name"], "n")
        self.assertEqual(caught.exception.detail, "there is no node 'n'")

    def test_names_in_uris_are_quoted(self):
        self.assertEqual(
            self.ask(entries, [[[0, "a b"]]], "group", "/2/groups"),
            [{"id": "a b", "name": "a b", "uri": "/2/groups/a%20b"}],
        )

    def test_answers_that_are_no_table_are_errors(self):
        for data in ("text", [["short"]], [5], [[5, 5]], [[[0], [0]]]):
            with self.assertRaises(errors.RequestError, msg=data):
                self.ask(read, data, "node", ["a", "b"])


class MasterWithSlowReplies:
    """A master that tells what it is asked, and when its answers are fetched."""

    def __init__(self):
        self.seen = []

    def begin(self, call):
        self.seen.append(f"ask {call.what}")

        def finish():
            self.seen.append(f"fetch {call.what}")
            return luxi.pack({"success": True, "result": call.what})[:-1]

        return finish


class TestRows(unittest.TestCase):
    def rows(self, words, take=None):
        self.master = MasterWithSlowReplies()
        take = take or (lambda _, answer: [answer().result])
        return StreamedList(
            ResourceRequest(master=self.master),
            3,
            (luxi.Query(word, [], None) for word in words),
            take,
        ).pieces

    def test_the_next_answer_is_asked_for_before_one_is_read(self):
        pieces = self.rows(
            "abc", lambda _, answer: [self.master.seen.append("read"), answer().result][1:]
        )
        self.assertEqual(self.master.seen, ["ask a", "fetch a", "ask b", "read", "fetch b"])
        self.assertEqual(next(pieces), b'["a"')
        self.assertEqual(len(self.master.seen), 5)  # a slow client has nothing asked
        self.assertEqual(b"".join(pieces), b',"b","c"]\n')
        self.assertEqual(self.master.seen[5:], ["ask c", "read", "fetch c", "read"])

    def test_parts_may_be_empty(self):
        for kept, text in (("", b"[]\n"), ("b", b'["b"]\n'), ("ac", b'["a","c"]\n')):
            pieces = self.rows(
                "abc",
                lambda question, answer: [answer().result for _ in range(question.what in kept)],
            )
            self.assertEqual(b"".join(pieces), text)

    def test_what_was_asked_is_fetched_whatever_happens(self):
        def fail(question, answer):
            raise errors.RequestError(question.what)

        with self.assertRaisesRegex(errors.RequestError, "a"):
            self.rows("ab", fail)
        self.assertEqual(self.master.seen, ["ask a", "fetch a", "ask b", "fetch b"])
