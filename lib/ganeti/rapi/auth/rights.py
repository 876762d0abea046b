"""What a user may do: the third field of a line of the users file.

    jobs.list,instances.query          named rights, and nothing else
    @readonly                          a role: all rights of its list
    @readonly,+jobs.cancel,-tags.get   a role with changes, in any order
    read    write    all               options of Ganeti 2.x, which are roles here

That is the grammar of Ganeti's release after 3.1. Ours are:

    instances.startup:web*             a right on objects of such names
    expires=2027-01-31                 a user until the end of that day (UTC)

What is taken away counts, wherever it stands. A word that is not known gives
nothing; what takes away a known right by a pattern that is none takes it as a whole.
A right with a pattern gives nothing where the request is about no object. A
pattern is compared with the object's full name, in any case of letters: ``*``
stands for any characters, points too, ``?`` for one.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass

#: More than any pattern that a person writes.
MAX_PATTERN = 128
_PATTERN = re.compile(r"[a-z0-9_.*?-]+", re.ASCII)
_EXPIRES = "expires="


@dataclass(frozen=True)
class Vocabulary:
    """The words that there are: rights, and roles with theirs."""

    rights: frozenset[str] = frozenset()
    roles: Mapping[str, frozenset[str]] | None = None

    def role(self, word: str) -> frozenset[str] | None:
        """The rights of a role; None when the word is none."""
        return (self.roles or {}).get(word)


@dataclass(frozen=True)
class Rights:
    """Rights as a set, what is given and taken by pattern, and until when.

    ``unsaid``: the line has no third field; such a user reads what is open, as in Ganeti.
    """

    whole: frozenset[str] = frozenset()
    given: frozenset[tuple[str, str]] = frozenset()
    taken: frozenset[tuple[str, str]] = frozenset()
    unsaid: bool = False
    expires: datetime.date | None = None

    def allow(self, right: str, name: str | None) -> bool:
        """May it be done to the object of this name (None: to nothing that has one)?"""
        for taken, pattern in self.taken:
            if taken == right and (name is None or matches(pattern, name)):
                return False
        return right in self.whole or (
            name is not None
            and any(given == right and matches(pattern, name) for given, pattern in self.given)
        )

    def ask_for_names(self, right: str) -> bool:
        """Does it depend on the object's name?"""
        return any(word == right for word, _ in self.taken) or (
            right not in self.whole and any(word == right for word, _ in self.given)
        )

    def may_allow(self, right: str) -> bool:
        """Is there any object that it may be done to?"""
        return right in self.whole or any(given == right for given, _ in self.given)

    def has_expired(self, today: datetime.date) -> bool:
        """Is the user's last day over?"""
        return self.expires is not None and today > self.expires


UNSAID = Rights(unsaid=True)


def parse_rights(field: str, vocabulary: Vocabulary) -> tuple[Rights, list[str]]:
    """The rights that a third field gives, and what is wrong with it, in words."""
    complaints: list[str] = []
    whole: set[str] = set()
    removed: set[str] = set()
    given: set[tuple[str, str]] = set()
    taken: set[tuple[str, str]] = set()
    expires: datetime.date | None = None
    words = [word for word in (part.strip().lower() for part in field.split(",")) if word]
    for word in words:
        if word.startswith(_EXPIRES):
            expires = _date(word.removeprefix(_EXPIRES), complaints)
            continue
        role = vocabulary.role(word)
        if role is not None:
            whole |= role
            continue
        name, colon, pattern = word.lstrip("+-").partition(":")
        if name not in vocabulary.rights or word[:2] in ("++", "+-", "-+", "--"):
            complaints.append(f"there is no right or role '{word}'")
        elif colon and (len(pattern) > MAX_PATTERN or _PATTERN.fullmatch(pattern) is None):
            complaints.append(f"'{pattern}' is no pattern for names")
            if word[0] == "-":
                removed.add(name)
        elif colon:
            (taken if word[0] == "-" else given).add((name, pattern))
        else:
            (removed if word[0] == "-" else whole).add(name)
    unsaid = all(word.startswith(_EXPIRES) for word in words)
    return Rights(
        frozenset(whole - removed),
        frozenset(item for item in given if item[0] not in removed),
        frozenset(taken),
        unsaid,
        expires,
    ), complaints


def _date(text: str, complaints: list[str]) -> datetime.date:
    """The last day; one that cannot be read is over."""
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        complaints.append(f"'{text}' is no date like 2027-01-31, so that the user has expired")
        return datetime.date.min


def matches(pattern: str, name: str) -> bool:
    """Does the whole name fit? In time that grows with the product of both lengths at most."""
    name, place, star, mark = name.lower(), 0, -1, 0
    index = 0
    while index < len(name):
        if place < len(pattern) and pattern[place] == "*":
            star, mark = place, index
            place += 1
        elif place < len(pattern) and pattern[place] in ("?", name[index]):
            place, index = place + 1, index + 1
        elif star >= 0:
            mark += 1
            place, index = star + 1, mark
        else:
            return False
    return not pattern[place:].strip("*")
