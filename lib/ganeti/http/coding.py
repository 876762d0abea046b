"""Content coding: gzip, for clients that ask for it (RFC 9110, 12.5.3)."""

from __future__ import annotations

import re
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator

#: Shorter bodies fit into one packet anyway.
LEAST = 1400
#: Of JSON like ours the fastest level leaves a tenth; higher ones take twice the time and more.
LEVEL = 1

_ITEM = re.compile(
    r"([!#$%&'*+.^_`|~0-9a-z-]+)(?:[ \t]*;[ \t]*q=(0(?:\.[0-9]{0,3})?|"
    r"1(?:\.0{0,3})?))?",
    re.ASCII,
)


def accepts_gzip(value: str | None) -> bool:
    """Does an ``Accept-Encoding`` allow gzip, and not prefer the plain body?

    Nothing said, or something that cannot be read, means plain. So does ``*`` that does not
    name gzip beside it (RFC 9110, 12.5.3): such a client takes any coding, plain included, and
    may be unable to unpack gzip.
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
    wanted, plain = quality.get("gzip", others), quality.get("identity", others)
    return wanted > plain or "gzip" in quality and wanted == plain > 0


def gzip_pieces(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same for a body that comes in pieces; some become none."""
    packer = zlib.compressobj(LEVEL, wbits=31)
    for piece in pieces:
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()


def gzip(body: bytes) -> bytes:
    """The body in gzip's format; the same bytes for the same body."""
    packer = zlib.compressobj(LEVEL, wbits=31)
    return packer.compress(body) + packer.flush()


#: Bytes that are unpacked at a time.
_UNPACKED = 64 * 1024


class Spool:
    """A body that comes in pieces, kept as a whole in gzip's format until it is sent.

    ``look`` sees each piece, as it came.
    """

    def __init__(self, pieces: Iterable[bytes], look: Callable[[bytes], object]) -> None:
        def seen() -> Iterator[bytes]:
            for piece in pieces:
                look(piece)
                yield piece

        self._packed = deque(gzip_pieces(seen()))

    def packed(self) -> Iterator[bytes]:
        """The body in gzip's format; what was sent is forgotten."""
        while self._packed:
            yield self._packed.popleft()

    def plain(self) -> Iterator[bytes]:
        """The body as it came, in other pieces; what was sent is forgotten."""
        unpacker = zlib.decompressobj(wbits=31)
        for packed in self.packed():
            while packed:
                if piece := unpacker.decompress(packed, _UNPACKED):
                    yield piece
                packed = unpacker.unconsumed_tail
        if piece := unpacker.flush():
            yield piece
