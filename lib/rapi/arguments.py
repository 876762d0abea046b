"""Words of the query: how each is read.

A word that is blank counts as absent and one that nobody asked for is passed
over, as Ganeti has it since 2.0. Of a repeated word the first counts, except
for tags. Flags take any integer (0 is no), as in Ganeti, and true, false, yes
and no, since the page of the 2.0 API writes them so.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from typing import Any

from ganeti import ht
from ganeti.http import errors as http_errors

#: More words than this are an attack; a client that sets many tags uses the body.
MAX_WORDS = 1000

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_FLAG_WORDS = {"true": True, "yes": True, "false": False, "no": False}


class Query:
    """The words after the question mark, percent-decoded."""

    def __init__(self, raw: str) -> None:
        try:
            self._words: Mapping[str, list[str]] = urllib.parse.parse_qs(
                raw, max_num_fields=MAX_WORDS)
        except ValueError:
            raise http_errors.BadRequest(
                f"The query has more than {MAX_WORDS} words") from None

    def __contains__(self, word: str) -> bool:
        return word in self._words

    def values(self, word: str) -> list[str]:
        """All values of a word that are not blank, in the order of the query."""
        return self._words.get(word, [])


class Argument:
    """One word of the query; reads its values, or has a value without being there."""

    #: What the reference calls it.
    kind: str

    def __init__(self, *, word: str = "", default: Any = None, shared: bool = False) -> None:
        #: The word, where it differs from the name it is declared under.
        self.word = word
        self.default = default
        #: May the body give it, when the query does not?
        self.shared = shared

    def read(self, name: str, query: Query) -> Any:
        """Its value, or the default; raises ``BadRequest`` that names the word."""
        word = self.word or name
        values = query.values(word)
        if not values:
            return self.default
        try:
            return self.parse(values)
        except ValueError as err:
            raise http_errors.BadRequest(
                f"Invalid value for the '{word}' parameter: {err}") from None

    def parse(self, values: list[str]) -> Any:
        """The value that the texts stand for; raises ``ValueError`` in words for people."""
        raise NotImplementedError


def _integer(text: str) -> int | None:
    text = text.strip()
    return int(text) if _INTEGER.fullmatch(text) else None


class Flag(Argument):
    kind = "flag"

    def parse(self, values: list[str]) -> bool:
        number = _integer(values[0])
        if number is not None:
            return number != 0
        found = _FLAG_WORDS.get(values[0].strip().lower())
        if found is None:
            raise ValueError(f"give 0, 1, true or false, not {ht.shorten(values[0])}")
        return found


class Integer(Argument):
    kind = "integer"

    def parse(self, values: list[str]) -> int:
        number = _integer(values[0])
        if number is None:
            raise ValueError(f"give an integer, not {ht.shorten(values[0])}")
        return number


class Text(Argument):
    kind = "text"

    def parse(self, values: list[str]) -> str:
        return values[0]


class Choice(Argument):
    def __init__(self, choices: tuple[str, ...], word: str, default: str | None) -> None:
        super().__init__(word=word, default=default)
        self.choices = choices
        self.kind = "one of " + ", ".join(choices)

    def parse(self, values: list[str]) -> str:
        if values[0] not in self.choices:
            raise ValueError(f"give {self.kind}, not {ht.shorten(values[0])}")
        return values[0]


class Tags(Argument):
    kind = "text, repeated"

    def parse(self, values: list[str]) -> list[str]:
        return list(dict.fromkeys(values))


class Fixed(Argument):
    """A field that has one value and that nobody can change: no word at all."""

    kind = "fixed"

    def __init__(self, value: Any) -> None:
        super().__init__(default=value)

    def read(self, name: str, query: Query) -> Any:
        return self.default


flag = Flag()
integer = Integer()
text = Text()
tags = Tags(word="tag")


def choice(*choices: str, word: str = "", default: str | None = None) -> Argument:
    """One of some words."""
    return Choice(choices, word, default)
