"""What a user may do: the third field of a line of the users file.

    jobs.list,instances.query          named rights, and nothing else
    @readonly                          a role: all rights of its list
    @readonly,+jobs.cancel,-tags.get   a role with changes, in any order
    read    write    all               options of Ganeti 2.x, which are roles here

That is the grammar of Ganeti's release after 3.1. Ours are:

    instances.startup:web*             a right on objects of such names
    expires=2027-01-31                 a user until the end of that day (UTC)

A removal counts whatever its position. An unknown word gives nothing;
``-right:pattern`` with an invalid pattern removes the right entirely.
A right with a pattern gives nothing if the request is about no object. A
pattern is compared with the object's full name, ignoring case: ``*``
matches any characters including dots, ``?`` matches one.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

#: More than any pattern that a person writes.
MAX_PATTERN = 128
_PATTERN = re.compile(r"[a-z0-9_.*?-]+", re.ASCII)
_EXPIRES = "expires="


@dataclass(frozen=True)
class Vocabulary:
    """The known words: rights, and roles with their rights."""

    rights: frozenset[str] = frozenset()
    roles: Mapping[str, frozenset[str]] | None = None

    def role(self, word: str) -> frozenset[str] | None:
        """Return the rights of a role; None if the word is not a role."""
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
    #: Rights that no pattern limits: they cover every object, and requests about no object.
    unconditional: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        limited = {right for right, _ in self.taken}
        object.__setattr__(self, "unconditional", self.whole - limited)

    def allow(self, right: str, name: str | None) -> bool:
        """Return whether the right covers the object of this name (None: no named object)."""
        if right in self.unconditional:
            return True
        if name is None:  # a pattern that takes away might cover it, one that gives might not
            return False
        if any(taken == right and matches(pattern, name) for taken, pattern in self.taken):
            return False
        if right in self.whole:
            return True
        return any(given == right and matches(pattern, name) for given, pattern in self.given)

    def ask_for_names(self, right: str) -> bool:
        """Return whether ``allow`` depends on the object's name."""
        if any(word == right for word, _ in self.taken):
            return True
        return right not in self.whole and any(word == right for word, _ in self.given)

    def may_allow(self, right: str) -> bool:
        """Return whether there may be an object that the right covers."""
        return right in self.whole or any(given == right for given, _ in self.given)

    def has_expired(self, today: datetime.date) -> bool:
        """Return whether the user's last day is over."""
        return self.expires is not None and today > self.expires


UNSAID = Rights(unsaid=True)


def parse_rights(field: str, vocabulary: Vocabulary) -> tuple[Rights, list[str]]:
    """Return the rights that a third field gives, and complaints about it."""
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
    """Return the last day; an invalid date counts as past."""
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        complaints.append(f"'{text}' is no date like 2027-01-31, so that the user has expired")
        return datetime.date.min


def matches(pattern: str, name: str) -> bool:
    """Return whether the whole name matches; takes time of the product of both lengths at most."""
    name, position, star, resume_at = name.lower(), 0, -1, 0
    index = 0
    while index < len(name):
        if position < len(pattern) and pattern[position] == "*":
            star, resume_at = position, index
            position += 1
        elif position < len(pattern) and pattern[position] in ("?", name[index]):
            position, index = position + 1, index + 1
        elif star >= 0:
            resume_at += 1
            position, index = star + 1, resume_at
        else:
            return False
    return not pattern[position:].strip("*")
