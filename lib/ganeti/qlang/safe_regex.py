"""Compiling of clients' search patterns, with refusal of those that could run for minutes.

Python matches by backtracking and holds the interpreter's lock meanwhile: a pattern such as
``(a+)+$`` would stop the whole master. So the length of a pattern is limited, and the ways in which
it may match are counted before it is used: a repetition may end in many places, an optional part
may be present or not, one alternative of several is taken, and these choices multiply. The count is
not exact, but it bounds a search in a name of 250 characters, the longest possible, to a fraction
of a second. Choices within an unbounded repetition have no such bound, nor have references to a
group.

    allowed    ^(web|db)[0-9]{2}\\.     inst[^.]*(\\..*)?$     (?i)a.*b.*c
    refused    (a+)+    (a|b)*    (.)\\1    .*a.*b.*c.*

The patterns that ``gnt-*`` make of names with ``*`` may have any number of stars. There the first
place where a part fits is as good as any other, so only the last star needs backtracking.

A real luxid reads PCRE. Of PCRE's own syntax, named classes within brackets, ``(?<name>...)`` and
``\\Q...\\E`` are understood.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar

#: Longest pattern in characters.
LENGTH_MAX = 256

_GROUP = re.compile(r"\((?:\?(?:P<\w+>|[aimsu-]*:|=|!|<=|<!|>))?", re.ASCII)
_FLAGS = re.compile(r"\(\?[aims]+\)", re.ASCII)
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.ASCII | re.DOTALL)
#: Name of a class within brackets -> its characters in Python's syntax.
_NAMED = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\s",
    "blank": r" \t",
    "xdigit": "0-9A-Fa-f",
    "word": r"\w",
    "punct": r"!-/:-@\[-`{-~",
}
_BRACKETS = re.compile(r"\[\^?\]?(?:\[:[a-z]+:\]|\\.|[^\]\\])*\]", re.ASCII | re.DOTALL)
_NAME = re.compile(r"\[:([a-z]+):\]", re.ASCII)
_QUOTED = re.compile(r"\\Q(.*?)(?:\\E|\Z)", re.ASCII | re.DOTALL)
_NAMED_GROUP = re.compile(r"\(\?<(?![=!])", re.ASCII)
#: Patterns that Ganeti's ``utils.DnsNameGlobPattern`` makes: ``*`` and ``?`` match no dot.
_GLOB = re.compile(r"\^((?:\[\^\.\]\*?|\\[^\w]|[\w-])*)\(\\\.\.\*\)\?\$", re.ASCII)
_STAR = "[^.]*"
_TIMES = re.compile(r"(?:[*+?]|\{(?!\})([0-9]*)(,?)([0-9]*)\})[?+]?", re.ASCII)


@dataclass
class _Group:
    """The choices in a group, as far as it has been read, in bits (2 ** bits ways to match)."""

    choice: bool = False
    branches: int = 1
    bits: int = 0
    widest: int = 0

    def add(self, bits: int) -> None:
        """Add choices of this many bits."""
        self.choice |= bits > 0
        self.bits += bits

    def branch(self) -> None:
        """Begin another alternative; only the one with the most choices counts."""
        self.choice = True
        self.branches += 1
        self.widest, self.bits = max(self.widest, self.bits), 0

    def total(self) -> int:
        """Return the bits of all choices."""
        return max(self.widest, self.bits) + (self.branches - 1).bit_length()


@dataclass
class _ChoiceCounter:
    """Counts, as a power of two, how many ways of matching may have to be tried."""

    #: Bits that are allowed: three unbounded repetitions, and three bits more.
    LIMIT: ClassVar[int] = 21
    REPETITION: ClassVar[int] = 6

    groups: list[_Group] = field(default_factory=lambda: [_Group()])
    inner: _Group = field(default_factory=_Group)

    def problem(self, pattern: str) -> str | None:
        """Return why a pattern, which compiles, is refused, or None."""
        position = 0
        while position < len(pattern):
            times = _TIMES.match(pattern, position)
            if times is not None:
                if not self._add_quantifier(times):
                    return "has a choice within an unbounded repetition"
                position = times.end()
                continue
            length = self._read_atom(pattern, position)
            if length is None:
                return "has a group or reference of a kind that is not allowed"
            position += length
        if self.groups[0].total() > self.LIMIT:
            return "has too many repetitions and choices"
        return None

    def _add_quantifier(self, times: re.Match[str]) -> bool:
        """Count a quantifier's choices; False if it is not allowed there."""
        low, high = _bounds(times)
        if high is None and self.inner.choice:
            return False
        bits = self.REPETITION if high is None else min(self.REPETITION, (high - low).bit_length())
        if high is not None and high > 1:
            bits += (high - 1) * self.inner.total()
        self.groups[-1].add(bits)
        return True

    def _read_atom(self, pattern: str, position: int) -> int | None:
        """Read an element that is not a quantifier; return its length, None if it is refused."""
        char = pattern[position]
        self.inner = _Group()
        if char == "\\":
            return None if pattern[position + 1] in "123456789" else 2
        if char == "[":
            found = _CLASS.match(pattern, position)
            return None if found is None else len(found[0])
        if char == "(":
            return self._open_group(pattern, position)
        if char == ")":
            self.inner = self.groups.pop()
            self.groups[-1].add(self.inner.total())
        if char == "|":
            self.groups[-1].branch()
        return 1

    def _open_group(self, pattern: str, position: int) -> int | None:
        flags = _FLAGS.match(pattern, position)
        if flags is not None:
            return len(flags[0])
        group = _GROUP.match(pattern, position)
        if group is None or pattern.startswith("?", group.end()):
            return None
        self.groups.append(_Group())
        return len(group[0])


def _bounds(times: re.Match[str]) -> tuple[int, int | None]:
    """Return how often a quantifier repeats, at least and at most (None: without a limit)."""
    char = times[0][0]
    if char == "*":
        return 0, None
    if char == "+":
        return 1, None
    if char == "?":
        return 0, 1
    low = int(times[1] or 0)
    if not times[2]:
        return low, low
    return low, int(times[3]) if times[3] else None


def _without_backtracking(parts: list[str]) -> str:
    """Return a pattern with a star before each part but the first.

    All stars but the last match as little as possible and are not tried again.
    """
    first, *others = parts
    tails = [f"(?>{_STAR}?{part})" for part in others[:-1]]
    tails += [_STAR + part for part in others[-1:]]
    return f"^{first}{''.join(tails)}(\\..*)?$"


def _from_pcre(text: str) -> str:
    """Translate PCRE syntax to Python's; raises ``ValueError`` for an unknown class name."""

    def named(found: re.Match[str]) -> str:
        if found[1] not in _NAMED:
            raise ValueError(f"Pattern '{text}' has a class of an unknown name, {found[1]}")
        return _NAMED[found[1]]

    text = _QUOTED.sub(lambda found: re.escape(found[1]), text)
    text = _BRACKETS.sub(lambda found: _NAME.sub(named, found[0]), text)
    return _NAMED_GROUP.sub("(?P<", text)


def compile_pattern(text: str) -> re.Pattern[str]:
    """Return a compiled pattern with ASCII classes; raises ``ValueError`` if it is refused."""
    if len(text) > LENGTH_MAX:
        raise ValueError(f"A pattern must not be longer than {LENGTH_MAX} characters")
    glob = _GLOB.fullmatch(text)
    if glob is not None:
        return re.compile(_without_backtracking(glob[1].split(_STAR)), re.ASCII)
    ours = _from_pcre(text)
    try:
        compiled = re.compile(ours, re.ASCII)
    except (re.error, OverflowError, RecursionError) as err:
        raise ValueError(f"Pattern '{text}' cannot be read: {err}") from None
    problem = _ChoiceCounter().problem(ours)
    if problem:
        raise ValueError(f"Pattern '{text}' {problem}")
    return compiled
