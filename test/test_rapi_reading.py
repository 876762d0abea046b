"""Answers of Query as plain values."""

import unittest

from ganeti import errors, luxi
from ganeti.http.errors import NotFound
from ganeti.rapi.baserlib import Exchange
from ganeti.rapi.reading import entries, read, read_one


class Master:
    """Answers everything with the same."""

    def __init__(self, answer):
        self.answer = answer

    def call(self, call):
        self.asked = call
        return self.answer


class TestReading(unittest.TestCase):
    def ask(self, function, data, *args):
        self.master = Master(data if isinstance(data, str) else {"fields": [], "data": data})
        return function(Exchange(master=self.master), *args)

    def test_what_is_not_normal_is_null(self):
        row = [[status, "x"] for status in (0, 1, 2, 3, 4)]
        self.assertEqual(self.ask(read, [row], "node", list("abcde")),
                         [{"a": "x", "b": None, "c": None, "d": None, "e": None}])

    def test_one_by_name(self):
        self.assertEqual(self.ask(read_one, [[[0, "n1"]]], "node", ["name"], "n"),
                         {"name": "n1"})
        self.assertEqual(self.master.asked, luxi.Query("node", ["name"], ["==", "name", "n"]))

    def test_nothing_found(self):
        with self.assertRaises(NotFound) as caught:
            self.ask(read_one, [], "node", ["name"], "n")
        self.assertEqual(caught.exception.detail, "there is no node 'n'")

    def test_names_in_uris_are_quoted(self):
        self.assertEqual(self.ask(entries, [[[0, "a b"]]], "group", "/2/groups"),
                         [{"id": "a b", "name": "a b", "uri": "/2/groups/a%20b"}])

    def test_answers_that_are_no_table(self):
        for data in ("text", [["short"]], [5], [[5, 5]], [[[0], [0]]]):
            with self.assertRaises(errors.RequestError, msg=data):
                self.ask(read, data, "node", ["a", "b"])
