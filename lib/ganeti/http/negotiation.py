"""Content coding and conditional requests: what the client can read, and what it has already.

gzip goes to clients that ask for it (RFC 9110, 12.5.3). Conditions (RFC 9110, 13) are answered
with 304 for what the client has, and 412 for a change whose condition does not hold.

ETags are weak: they say that two answers mean the same, whatever their coding. So
``If-Match``, which compares strongly (13.1.1), holds for ``*`` alone. Answers have no
``Last-Modified``: what a node measures has no date. So ``If-Modified-Since`` never counts
(13.1.3), and ``If-Unmodified-Since`` only on changes, of objects that have a date.
"""

from __future__ import annotations

import datetime
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ganeti.http.errors import BadRequest
from ganeti.http.message import STATE, TOKEN, Headers

# -- content coding --------------------------------------------------------------------


#: Shorter bodies fit into one packet anyway.
MIN_GZIP_SIZE = 1400
#: Of JSON like ours the fastest level leaves a tenth; higher ones take twice the time and more.
GZIP_LEVEL = 1

_ITEM = re.compile(
    rf"({TOKEN.pattern})"
    r"(?:[ \t]*;[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?",
    re.ASCII,
)


def accepts_gzip(value: str | None) -> bool:
    """Return whether an ``Accept-Encoding`` allows gzip, and does not prefer the plain body.

    A missing or malformed value means plain. So does ``*`` without gzip (RFC 9110, 12.5.3):
    such a client takes any coding, plain included, and may be unable to unpack gzip.
    """
    if value is None:
        return False
    quality: dict[str, float] = {}
    for part in value.lower().split(","):
        found = _ITEM.fullmatch(part.strip(" \t"))
        if found is None:
            if part.strip(" \t"):
                return False
            continue
        quality[found[1].removeprefix("x-")] = float(found[2] or 1)
    others = quality.get("*", 0.0)
    packed, plain = quality.get("gzip", others), quality.get("identity", others)
    if packed == plain:
        return packed > 0 and "gzip" in quality
    return packed > plain


def gzip_pieces(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a body that comes in pieces in gzip's format; some pieces yield nothing."""
    packer = zlib.compressobj(GZIP_LEVEL, wbits=31)
    for piece in pieces:
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()


def gzip(body: bytes) -> bytes:
    """Return the body in gzip's format; the same bytes for the same body."""
    packer = zlib.compressobj(GZIP_LEVEL, wbits=31)
    return packer.compress(body) + packer.flush()


#: Bytes that are unpacked at a time.
_UNPACKED = 64 * 1024


class Spool:
    """A body that comes in pieces, kept as a whole in gzip's format until it is sent.

    ``observe`` is called with each piece, as it came.
    """

    def __init__(self, pieces: Iterable[bytes], observe: Callable[[bytes], object]) -> None:
        def observed() -> Iterator[bytes]:
            for piece in pieces:
                observe(piece)
                yield piece

        self._packed = deque(gzip_pieces(observed()))

    def packed(self) -> Iterator[bytes]:
        """Yield the body in gzip's format; pieces that were yielded are forgotten."""
        while self._packed:
            yield self._packed.popleft()

    def plain(self) -> Iterator[bytes]:
        """Yield the body as it came, in other pieces; those that were yielded are forgotten."""
        unpacker = zlib.decompressobj(wbits=31)
        for packed in self.packed():
            while packed:
                if piece := unpacker.decompress(packed, _UNPACKED):
                    yield piece
                packed = unpacker.unconsumed_tail
        if piece := unpacker.flush():
            yield piece


# -- conditional requests --------------------------------------------------------------


_TAG = r'(?:W/)?"[!#-~\x80-\xff]*"'
_LIST = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_OPAQUE = re.compile(r'(?:W/)?("[!#-~\x80-\xff]*")')


def has_state_tag(lines: Sequence[str]) -> bool:
    """Return whether an ``If-None-Match`` of these lines may name an ETag of ``state_tag``."""
    return any('"' + STATE in line for line in lines)


def tag_matches(tag: str, lines: Sequence[str]) -> bool:
    """Return whether an ``If-None-Match`` of these lines names the tag (weakly, 8.8.3.2).

    A value that is malformed matches nothing: the client gets the answer.
    """
    value = ", ".join(lines).strip(" \t")
    if value == "*":
        return True
    if not lines or _LIST.fullmatch(value) is None:
        return False
    return tag.removeprefix("W/") in _OPAQUE.findall(value)


# -- preconditions of a change ---------------------------------------------------------

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
#: The three forms that every recipient must read (RFC 9110, 5.6.7).
_DATES = tuple(
    re.compile(form, re.ASCII)
    for form in (
        rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) "
        rf"{_TIME} GMT",
        rf"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?P<day>[0-9]{{2}})-{_MONTH}-"
        rf"(?P<year>[0-9]{{2}}) {_TIME} GMT",
        rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) {_MONTH} (?P<day>[0-9 ][0-9]) {_TIME} "
        r"(?P<year>[0-9]{4})",
    )
)


def parse_date(text: str, this_year: int | None = None) -> int | None:
    """Return the seconds since 1970 of an HTTP-date; None for anything else."""
    for form in _DATES:
        found = form.fullmatch(text)
        if found is not None:
            break
    else:
        return None
    year = int(found["year"])
    if len(found["year"]) == 2:
        # More than 50 years ahead is the past.
        now = this_year or datetime.datetime.now(datetime.timezone.utc).year
        year += now // 100 * 100
        year -= 100 if year > now + 50 else 0
    try:
        # A leap second is the moment before.
        moment = datetime.datetime(
            year,
            _MONTHS.index(found["month"]) + 1,
            int(found["day"]),
            int(found["hour"]),
            int(found["minute"]),
            min(59, int(found["second"])),
            tzinfo=datetime.timezone.utc,
        )
    except ValueError:
        return None
    return int(moment.timestamp())


class TargetState:
    """The present state of the object that a request is to change."""

    def exists(self) -> bool:
        """Return whether the object exists."""
        raise NotImplementedError

    def modified(self) -> float | None:
        """Return when it was last changed, in seconds since 1970; None if that is not known."""
        raise NotImplementedError

    def tag(self) -> str | None:
        """Return the ETag that a GET would show; None if it would show none."""
        raise NotImplementedError


@dataclass(frozen=True)
class ConditionalRequest:
    """The preconditions of a request. ``match`` and ``none_match`` are the values of their
    headers, well-formed, or None without one; ``unmodified_since`` is in seconds since 1970."""

    match: str | None = None
    none_match: str | None = None
    unmodified_since: int | None = None

    def problem(self, target: TargetState) -> str:
        """Return which condition of a change does not hold; '' if all do (13.2.2)."""
        if self.match is not None:
            if self.match != "*":
                return NEVER_MATCHES
            if not target.exists():
                return "If-Match: * asks for something that exists, and this does not"
        elif self.unmodified_since is not None:
            modified = target.modified()
            # The header's dates are whole seconds.
            if modified is not None and int(modified) > self.unmodified_since:
                return "It was changed after the date of If-Unmodified-Since"
        if self.none_match == "*":
            if target.exists():
                return "If-None-Match: * asks for something that does not exist, and this does"
        elif self.none_match is not None:
            tag = target.tag()
            if tag is not None and tag_matches(tag, [self.none_match]):
                return "If-None-Match names the present ETag"
        return ""


NEVER_MATCHES = (
    "If-Match holds for * alone: each ETag of this server is weak (W/), which this "
    "header does not compare"
)


#: Headers of which each is a precondition of a change (RFC 9110, 13.1).
CONDITIONS_OF_CHANGES = ("If-Match", "If-None-Match", "If-Unmodified-Since")


def read_match(headers: Headers) -> str | None:
    """Return the value of ``If-Match``, None without one; raises ``BadRequest``."""
    return _tags(headers, "If-Match")


def read_conditions(headers: Headers) -> ConditionalRequest:
    """Return the preconditions of a change; raises ``BadRequest`` for a malformed list of tags.

    A malformed date is ignored, as 13.1.4 demands. A malformed list of tags is not: the client
    meant to prevent something.
    """
    since = headers.get("If-Unmodified-Since")
    return ConditionalRequest(
        read_match(headers),
        _tags(headers, "If-None-Match"),
        None if since is None else parse_date(since),
    )


def _tags(headers: Headers, name: str) -> str | None:
    value = headers.get(name)
    if value is None:
        return None
    value = value.strip(" \t")
    if value != "*" and _LIST.fullmatch(value) is None:
        raise BadRequest(f"Header {name} is neither * nor a list of ETags in double quotes")
    return value
