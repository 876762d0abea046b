"""Rights: the third field of a line of the users file.

    jobs.list,instances.query          named rights, and nothing else
    @readonly                          a role: all rights of its list
    @readonly,+jobs.cancel,-tags.get   a role with changes, in any order
    read    write    all               options of Ganeti 2.x, which are roles here

That is the grammar of the Ganeti release after 3.1. We add:

    instances.startup:web*             a right on objects with such names
    expires=2027-01-31                 a user until the end of that day (UTC)

A removal takes effect wherever it is in the list. An unknown word gives nothing;
``-right:pattern`` with an invalid pattern removes the right entirely. A right with a pattern
gives nothing if the request is not about an object.

A pattern is compared with the object's full name, ignoring case: ``*`` matches any characters
including dots, ``?`` matches one. ``fnmatch`` does the comparison, but its ``[...]`` is not part
of the grammar: a pattern with a bracket is invalid.
"""

from __future__ import annotations

import datetime
import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

#: Characters. No name that a person writes a pattern for is longer.
MAX_PATTERN = 128
_PATTERN = re.compile(r"[a-z0-9_.*?-]+", re.ASCII)
_EXPIRES = "expires="


@dataclass(frozen=True)
class Vocabulary:
    """The words that are known: rights, and roles with their rights."""

    rights: frozenset[str] = frozenset()
    roles: Mapping[str, frozenset[str]] | None = None

    def role(self, word: str) -> frozenset[str] | None:
        """Return the rights of a role; None if the word is not a role."""
        return (self.roles or {}).get(word)


@dataclass(frozen=True)
class Rights:
    """Rights that the third field of a user's line gives."""

    #: Rights without a pattern.
    whole: frozenset[str] = frozenset()
    #: Pairs of right and pattern that are given and taken away.
    given: frozenset[tuple[str, str]] = frozenset()
    taken: frozenset[tuple[str, str]] = frozenset()
    #: The line has no third field. Such a user may read what is open, as in Ganeti.
    unsaid: bool = False
    #: Last day of the user.
    expires: datetime.date | None = None
    #: Rights that no pattern limits: they cover every object, and requests about no object.
    unconditional: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        limited = {right for right, _ in self.taken}
        object.__setattr__(self, "unconditional", self.whole - limited)

    def allow(self, right: str, name: str | None) -> bool:
        """Return whether the right covers the object of this name (None: not about an object)."""
        if right in self.unconditional:
            return True
        # Without a name, a pattern that takes away might match, and one that gives might not.
        if name is None or _covered(self.taken, right, name):
            return False
        return right in self.whole or _covered(self.given, right, name)

    def ask_for_names(self, right: str) -> bool:
        """Return whether ``allow`` depends on the object's name."""
        if any(word == right for word, _ in self.taken):
            return True
        return right not in self.whole and any(word == right for word, _ in self.given)

    def may_allow(self, right: str) -> bool:
        """Return whether there may be an object that the right covers."""
        return right in self.whole or any(given == right for given, _ in self.given)

    def has_expired(self, today: datetime.date) -> bool:
        """Return whether the user's last day is before today."""
        return self.expires is not None and today > self.expires


UNSAID = Rights(unsaid=True)


def _covered(pairs: frozenset[tuple[str, str]], right: str, name: str) -> bool:
    """Return whether a pattern of this right matches the name."""
    # fnmatch remembers 32,768 compiled patterns. Only the users file brings new ones.
    return any(
        word == right and fnmatch.fnmatchcase(name.lower(), pattern) for word, pattern in pairs
    )


def parse_rights(field: str, vocabulary: Vocabulary) -> tuple[Rights, list[str]]:
    """Parse a third field; return the rights that it gives, and complaints about it."""
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
            complaints.append(f"'{pattern}' is not a valid pattern for names")
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
    """Parse a last day; an invalid date counts as past and adds to ``complaints``."""
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        complaints.append(
            f"'{text}' is not a valid date (expected YYYY-MM-DD) and counts as expired"
        )
        return datetime.date.min
