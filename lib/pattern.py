"""Search patterns that strangers send: read, and refused when they could run for minutes.

Python matches by trying, and holds the interpreter's lock meanwhile: a pattern
such as ``(a+)+$`` would stop the whole master. So a pattern must not be longer
than ``LENGTH_MAX`` characters, and the ways in which it may match are counted
before it is used: a repetition may end in many places, an optional part is
there or not, of alternatives one is taken, and choices multiply. That is no
exact measure, but it bounds a search in a name of 250 characters, the longest
there is, to a fraction of a second. Choices within something that is repeated
without end have no such bound, nor have references back to a group.

    allowed    ^(web|db)[0-9]{2}\\.     inst[^.]*(\\..*)?$     (?i)a.*b.*c
    refused    (a+)+    (a|b)*    (.)\\1    .*a.*b.*c.*    [[:digit:]]
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar

#: Characters of a pattern.
LENGTH_MAX = 256

_GROUP = re.compile(r"\((?:\?(?:P<\w+>|[aimsu-]*:|=|!|<=|<!|>))?", re.ASCII)
_FLAGS = re.compile(r"\(\?[aims]+\)", re.ASCII)
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.ASCII | re.DOTALL)
_TIMES = re.compile(r"(?:[*+?]|\{(?!\})([0-9]*)(,?)([0-9]*)\})[?+]?", re.ASCII)


@dataclass
class _Group:
    """What was read of a group: is there a choice in it, and how many bits of choices."""

    choice: bool = False
    branches: int = 1
    bits: int = 0
    widest: int = 0

    def add(self, bits: int) -> None:
        """More choices, if any."""
        self.choice |= bits > 0
        self.bits += bits

    def branch(self) -> None:
        """Another alternative begins: only one of them is taken."""
        self.choice = True
        self.branches += 1
        self.widest, self.bits = max(self.widest, self.bits), 0

    def total(self) -> int:
        """Bits of choices in all."""
        return max(self.widest, self.bits) + (self.branches - 1).bit_length()


@dataclass
class _Ways:
    """Counts, as a power of two, how many ways of matching may have to be tried."""

    #: Bits: three repetitions without end, and three choices more.
    LIMIT: ClassVar[int] = 21
    REPETITION: ClassVar[int] = 6

    groups: list[_Group] = field(default_factory=lambda: [_Group()])
    inner: _Group = field(default_factory=_Group)

    def problem(self, pattern: str) -> str | None:
        """Why a pattern is refused, or None; it is known to be a correct one."""
        place = 0
        while place < len(pattern):
            times = _TIMES.match(pattern, place)
            if times is not None:
                if not self._repeat(times):
                    return "has a choice within a repetition without end"
                place = times.end()
                continue
            step = self._atom(pattern, place)
            if step is None:
                return "has a group or reference of a kind that is not allowed"
            place += step
        if self.groups[0].total() > self.LIMIT:
            return "has too many repetitions and choices"
        return None

    def _repeat(self, times: re.Match[str]) -> bool:
        """Take up a quantifier, if it may be there."""
        low, high = _bounds(times)
        if high is None and self.inner.choice:
            return False
        bits = self.REPETITION if high is None else min(self.REPETITION,
                                                        (high - low).bit_length())
        if high is not None and high > 1:
            bits += (high - 1) * self.inner.total()
        self.groups[-1].add(bits)
        return True

    def _atom(self, pattern: str, place: int) -> int | None:
        """Take up what is no quantifier; its length, None if it must not be there."""
        char = pattern[place]
        self.inner = _Group()
        if char == "\\":
            return None if pattern[place + 1] in "123456789" else 2
        if char == "[":
            found = _CLASS.match(pattern, place)
            return None if found is None else len(found[0])
        if char == "(":
            return self._open(pattern, place)
        if char == ")":
            self.inner = self.groups.pop()
            self.groups[-1].add(self.inner.total())
        if char == "|":
            self.groups[-1].branch()
        return 1

    def _open(self, pattern: str, place: int) -> int | None:
        flags = _FLAGS.match(pattern, place)
        if flags is not None:
            return len(flags[0])
        group = _GROUP.match(pattern, place)
        if group is None or pattern.startswith("?", group.end()):
            return None
        self.groups.append(_Group())
        return len(group[0])


def _bounds(times: re.Match[str]) -> tuple[int, int | None]:
    """How often a quantifier repeats, at least and at most."""
    char = times[0][0]
    if char != "{":
        return (1 if char == "+" else 0), (1 if char == "?" else None)
    low = int(times[1] or 0)
    if not times[2]:
        return low, low
    return low, int(times[3]) if times[3] else None


def read(text: str) -> re.Pattern[str]:
    """A pattern ready to search with, its classes ASCII; ``ValueError`` in words."""
    if len(text) > LENGTH_MAX:
        raise ValueError(f"A pattern must not be longer than {LENGTH_MAX} characters")
    if "[[:" in text:                       # means something else to Python
        raise ValueError(f"Pattern '{text}' has a named class: write [0-9] or the like")
    try:
        compiled = re.compile(text, re.ASCII)
    except (re.error, OverflowError, RecursionError) as err:
        raise ValueError(f"Pattern '{text}' cannot be read: {err}") from None
    problem = _Ways().problem(text)
    if problem:
        raise ValueError(f"Pattern '{text}' {problem}")
    return compiled
