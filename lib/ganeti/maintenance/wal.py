"""SQLite's log (WAL) as bytes: was all of it applied, and can what is damaged be put right?

SQLite applies a log up to the first frame that does not fit, and drops the rest without a
word. A power cut in the middle of a commit looks like that: then the last transaction is
incomplete, and nobody was told of it. Complete ones further on, or an index that knows of more
than there is, are damage of what was acknowledged; then the log is to be made fit, so that it
is applied. So it is looked at before anybody opens the database.

Format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log and
https://www.sqlite.org/walformat.html (the index). The checksum of a frame continues
that of the frame before, and is linear. So it often tells where a single wrong word is,
and what it was. What stays in doubt is applied as it is: the sums of rows tell.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ganeti.db import files
from ganeti.db.files import NotSafe

logger = logging.getLogger(__name__)

# -- the log as bytes ------------------------------------------------------------------


HEADER, FRAME_HEADER, INDEX_HEADER = 32, 24, 136
#: The lowest bit says in which order the bytes of a word are added up.
_MAGIC = 0x377F0682
_VERSION = 3007000
_WORD = 1 << 32
#: So many times at most a log has begun anew since a frame in it was written.
_GENERATIONS = 1 << 24

Sums = tuple[int, int]


class Frame(NamedTuple):
    """One page in the log; ``commit``: pages of the database after it, if it ends a transaction."""

    page: int
    commit: int
    salts: bytes
    sums: Sums


class Index(NamedTuple):
    """What the log's index says: frames that are committed, and those in the database already."""

    frames: int
    done: int
    salts: bytes


def read_index(data: bytes) -> Index | None:
    """What the index of a log (file ``-shm``) says; None when it says nothing valid."""
    if len(data) < INDEX_HEADER or data[:48] != data[48:96] or data[12] != 1:
        return None
    order = "<" if struct.pack("=I", 1)[0] else ">"
    if checksum(data[:40], (0, 0), order) != struct.unpack_from("=II", data, 40):
        return None
    (frames,) = struct.unpack_from("=I", data, 16)
    (done,) = struct.unpack_from("=I", data, 96)
    return Index(frames, min(done, frames), data[32:40])


@dataclass
class Log:
    """A log; ``salts`` are those that its frames must have."""

    data: bytes
    page_size: int
    order: str
    salts: bytes
    frames: list[Frame]

    @classmethod
    def read(cls, path: str, page_size: int = 4096) -> Log | None:
        """None when there is none. ``page_size`` is that of the database."""
        try:
            with open(path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return None
        if not data:
            return None
        frames = []
        for offset in range(
            HEADER, len(data) - FRAME_HEADER - page_size + 1, FRAME_HEADER + page_size
        ):
            page, commit, salts, *sums = struct.unpack_from(">II8sII", data, offset)
            frames.append(Frame(page, commit, salts, (sums[0], sums[1])))
        header = data[:HEADER].ljust(HEADER, b"\0")
        return cls(
            data,
            page_size,
            ">" if header[3] & 1 and _header_fits(header) else "<",
            _salts(header, frames),
            frames,
        )

    @property
    def header_fits(self) -> bool:
        """Is its header whole? If not, SQLite applies nothing of the log."""
        return _header_fits(self.data[:HEADER])

    def committed(self) -> int:
        """How many frames there are up to the last one that ends a transaction."""
        return max(
            (
                index + 1
                for index, frame in enumerate(self.frames)
                if frame.commit and frame.salts == self.salts
            ),
            default=0,
        )

    def is_torn(self, first: int) -> bool:
        """Is there anything behind the first so many frames but older ones (SQLite overwrites)?

        Each time it begins anew it counts the first of the salts up.
        """
        generation = int.from_bytes(self.salts[:4], "big")
        rest = self.frames[first:]
        end = HEADER + len(self.frames) * (FRAME_HEADER + self.page_size)
        return (
            not self.header_fits
            or len(self.data) > end
            or any(
                not 0 < (generation - int.from_bytes(frame.salts[:4], "big")) % _WORD < _GENERATIONS
                for frame in rest
            )
        )

    def commits(self, first: int) -> int:
        """How many transactions end behind the first so many frames."""
        return sum(frame.commit > 0 and frame.salts == self.salts for frame in self.frames[first:])

    def content(self, index: int) -> bytes:
        """The page of a frame."""
        start = HEADER + index * (FRAME_HEADER + self.page_size) + FRAME_HEADER
        return self.data[start : start + self.page_size]

    def mended(self, first: int, last: int, pages: int) -> Mended | None:
        """How to have SQLite apply the frames from ``first`` to before ``last``, damaged or not.

        ``first`` is the number of frames that it applies as they are, ``pages`` how many the
        database can have at most. None when it is not known which page a frame holds.
        """
        patches: dict[int, bytes] = {}
        torn = []
        if first > 0:
            bases = {self.frames[first - 1].sums}
            written = self.frames[first - 1].sums
        else:
            header = self._header()
            written = _sums(header, 24)
            bases = {written, _sums(self.data[:HEADER].ljust(HEADER), 24)}
            if header != self.data[:HEADER]:
                patches[0] = header
        for index in range(first, last):
            start = HEADER + index * (FRAME_HEADER + self.page_size)
            frame = self.data[start : start + FRAME_HEADER + self.page_size]
            found = self._body(index, frame[:8] + frame[FRAME_HEADER:], bases, pages)
            if found is None:
                return None
            body, sure = found
            if not sure:
                torn.append(index)
            bases = {
                self.frames[index].sums,
                *(checksum(body, base, self.order) for base in bases),
            } - {(0, 0)}
            written = checksum(body, written, self.order)
            right = body[:8] + self.salts + struct.pack(">II", *written) + body[8:]
            if right != frame:
                patches[start] = right
        return Mended(patches, torn)

    def _header(self) -> bytes:
        """The header as it must have been; the words that nobody reads are kept."""
        if self.header_fits:
            return self.data[:HEADER]
        start = struct.pack(
            ">III4s8s",
            _MAGIC | (self.order == ">"),
            _VERSION,
            self.page_size,
            self.data[12:16].ljust(4, b"\0"),
            self.salts,
        )
        return start + struct.pack(">II", *checksum(start, (0, 0), self.order))

    def _body(
        self, index: int, body: bytes, bases: set[Sums], pages: int
    ) -> tuple[bytes, bool] | None:
        """Page number, size and page of a frame, put right; is that sure? None: which page?"""

        def plausible(body: bytes) -> bool:
            page, commit = struct.unpack_from(">II", body)
            return bool(1 <= page <= pages and commit <= pages)

        sums = self.frames[index].sums
        if any(checksum(body, base, self.order) == sums for base in bases):
            return body, True
        found = {
            fixed
            for base in bases
            for fixed in fixes(body, base, sums, self.order)
            if plausible(fixed)
        }
        if len(found) == 1:
            return found.pop(), True
        if (
            self.frames[index].salts != self.salts
            or not plausible(body)
            or any(fixed[:8] != body[:8] for fixed in found)
        ):
            return None
        return body, False


class Mended(NamedTuple):
    """What must be written where; frames of which it is not known whether they are whole."""

    patches: dict[int, bytes]
    torn: list[int]


def _header_fits(header: bytes) -> bool:
    if len(header) < HEADER:
        return False
    magic, version = struct.unpack_from(">II", header)
    return (
        magic & ~1 == _MAGIC
        and version == _VERSION
        and checksum(header[:24], (0, 0), ">" if magic & 1 else "<")
        == struct.unpack_from(">II", header, 24)
    )


def _salts(header: bytes, frames: Sequence[Frame]) -> bytes:
    """The header's, or where that is damaged those of most of the first frames."""
    if not _header_fits(header) and frames:
        return collections.Counter(frame.salts for frame in frames[:5]).most_common(1)[0][0]
    return header[16:24]


def checksum(data: bytes, before: Sums, order: str) -> Sums:
    """SQLite's checksum of whole pairs of words."""
    first, second = before
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for even, odd in zip(words, words):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second


def fixes(data: bytes, before: Sums, sums: Sums, order: str) -> list[bytes]:
    """What ``data`` may have been if one word of it is wrong."""
    first, second = checksum(data, before, order)
    off = ((sums[0] - first) % _WORD, (sums[1] - second) % _WORD)
    if 0 in off:
        return []  # rather a word of the checksum itself
    found = []
    # How a word counts in both sums: through each further pair (a, b) -> (a + b, a + 2b).
    even, odd = (1, 1), (0, 1)
    for place in range(len(data) // 4 - 2, -1, -2):
        for word, weight in ((place, even), (place + 1, odd)):
            change = _solve(weight, off)
            if change is not None:
                (value,) = struct.unpack_from(f"{order}I", data, word * 4)
                found.append(
                    data[: word * 4]
                    + struct.pack(f"{order}I", (value + change) % _WORD)
                    + data[word * 4 + 4 :]
                )
        even, odd = _next_weight(even), _next_weight(odd)
    return found


def _next_weight(weight: Sums) -> Sums:
    return (weight[0] + weight[1]) % _WORD, (weight[0] + 2 * weight[1]) % _WORD


def _solve(weight: Sums, off: Sums) -> int | None:
    """What a word with this weight must grow by; None if it is not the one."""
    which = 0 if weight[0] & 1 else 1  # never are both even
    change = off[which] * pow(weight[which], -1, _WORD) % _WORD
    fits = weight[1 - which] * change % _WORD == off[1 - which]
    return change if fits else None


def _sums(data: bytes, offset: int) -> Sums:
    first, second = struct.unpack_from(">II", data, offset)
    return first, second


def page_size_of(database: str) -> int:
    """The size of pages that a database's header names; 4096 where it makes no sense."""
    with open(database, "rb") as file:
        (size,) = struct.unpack(">H", file.read(18)[16:18].ljust(2, b"\x10"))
    size = 65536 if size == 1 else size
    return size if size >= 512 and size & (size - 1) == 0 else 4096


# -- does SQLite apply all of it? ------------------------------------------------------


class WalProblem(NamedTuple):
    """A log of which something is not applied; ``patches`` have it applied."""

    words: str
    patches: dict[int, bytes]
    doubt: bool  # is some page of it not what it was?
    incomplete: bool = False  # only its last transaction, which is dropped


def find_problem(path: str) -> WalProblem | None:
    """Does SQLite apply all of the log? ``NotSafe`` when what it does not cannot be applied."""
    before = read_index(_start_of(path + files.INDEX))
    log = Log.read(path + files.LOG, page_size_of(path)) if os.path.exists(path) else None
    if log is None or not (log.header_fits or log.frames):
        # What begins a log is on the disk before the first frame is written.
        if before is not None and before.frames > before.done:
            raise NotSafe(f"its log is gone, and changes with it ({path + files.LOG})")
        return None
    applied = _applied(path, log)
    known = before.frames if before is not None and before.salts == log.salts else None
    if before is not None and known and before.done >= max(known, log.committed()):
        return None  # all of it is in the database
    if known is not None and known > len(log.frames):
        raise NotSafe(f"its log ends early ({len(log.frames)} of {known} frames are there)")
    last = max(log.committed(), known or 0)
    if last > applied:
        return _problem(path, log, applied, last, known)
    if not log.header_fits:
        raise NotSafe("its log is damaged from its beginning on")
    if known != applied and log.is_torn(applied):
        return WalProblem(
            "what follows the transactions that could be read makes no sense",
            {},
            doubt=True,
            incomplete=True,
        )
    return None


def _problem(path: str, log: Log, applied: int, last: int, known: int | None) -> WalProblem | None:
    lost = max(1, log.commits(applied))
    words = (
        f"frame {applied + 1} of its log does not fit, and {lost} transaction"
        f"{'s' if lost > 1 else ''} from there on"
    )
    pages = os.path.getsize(path) // log.page_size + len(log.frames)
    mended = log.mended(applied, last, pages)
    incomplete = lost == 1 and (known or 0) <= applied
    if mended is not None and not (incomplete and mended.torn):
        return WalProblem(words, mended.patches, bool(mended.torn))
    if not incomplete or not log.header_fits:
        raise NotSafe(f"{words} cannot be applied")
    if known == applied:
        return None  # the index tells: it was being written
    return WalProblem(words, {}, doubt=True, incomplete=True)


def _start_of(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(INDEX_HEADER)
    except FileNotFoundError:
        return b""


def _applied(path: str, log: Log) -> int:
    """How many frames of its log SQLite applies when it opens a database."""
    connection = files.connect(path)
    with contextlib.ExitStack() as stack:
        # Closed last: who closes a file gives up its locks, also those of SQLite.
        stack.callback(connection.close)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except files.UNREADABLE:
            logger.debug("%s cannot be read as it is", path)
        index = read_index(_start_of(path + files.INDEX))
    return index.frames if index is not None and index.salts == log.salts else 0
