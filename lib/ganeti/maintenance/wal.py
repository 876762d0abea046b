"""SQLite's log (WAL) as bytes: detection and repair of frames that SQLite would not apply.

SQLite applies a log up to the first frame with a wrong checksum, and silently drops the rest. A
power cut in the middle of a commit looks like that: the last transaction is incomplete, but it
was never acknowledged. If complete transactions follow, or if the log's index knows of more
frames than there are, then acknowledged changes are damaged, and the log is repaired so that
SQLite applies them. This must happen before anything opens the database.

Format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log and
https://www.sqlite.org/walformat.html (the index). The checksum of a frame continues that of the
frame before it, and it is linear. So it often tells which single word is wrong, and the right
value. Frames that remain doubtful are applied unchanged; the checksums of rows find the damage.
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
#: The lowest bit tells the byte order of the words that are summed: 1 is big-endian.
_MAGIC = 0x377F0682
_VERSION = 3007000
_WORD = 1 << 32
#: A frame whose salt is at most so many restarts of the log behind is an old one.
_GENERATIONS = 1 << 24

Sums = tuple[int, int]


class Frame(NamedTuple):
    """One page in the log; ``commit`` is the size of the database in pages after a commit.

    It is 0 in a frame that does not end a transaction.
    """

    page: int
    commit: int
    salts: bytes
    sums: Sums


class Index(NamedTuple):
    """The log's index: how many frames are committed, and how many are in the database already."""

    frames: int
    done: int
    salts: bytes


def read_index(data: bytes) -> Index | None:
    """Parse the index of a log (file ``-shm``); return None if it is invalid."""
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
    """A log; valid frames have its ``salts``, others are left from before it was restarted."""

    data: bytes
    page_size: int
    order: str
    salts: bytes
    frames: list[Frame]

    @classmethod
    def read(cls, path: str, page_size: int = 4096) -> Log | None:
        """Read a log; return None if it is missing or empty.

        ``page_size`` is the database's: the log's own header may be damaged.
        """
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
        # SQLite writes little-endian sums on most machines, so that is the guess.
        big_endian = _header_fits(header) and header[3] & 1
        return cls(data, page_size, ">" if big_endian else "<", _salts(header, frames), frames)

    @property
    def header_fits(self) -> bool:
        """Return whether the header is undamaged; if not, SQLite applies nothing of the log."""
        return _header_fits(self.data[:HEADER])

    def committed(self) -> int:
        """Return the number of frames up to the last one that ends a transaction."""
        return max(
            (
                index + 1
                for index, frame in enumerate(self.frames)
                if frame.commit and frame.salts == self.salts
            ),
            default=0,
        )

    def is_torn(self, first: int) -> bool:
        """Return whether a transaction was cut off after the first ``first`` frames.

        Otherwise only old frames follow there. SQLite increments the first salt each time it
        restarts the log, and then overwrites the old frames.
        """
        end = HEADER + len(self.frames) * (FRAME_HEADER + self.page_size)
        if not self.header_fits or len(self.data) > end:
            return True  # a part of a frame follows, or nothing is certain
        generation = int.from_bytes(self.salts[:4], "big")
        for frame in self.frames[first:]:
            restarts = (generation - int.from_bytes(frame.salts[:4], "big")) % _WORD
            if not 0 < restarts < _GENERATIONS:
                return True
        return False

    def commits(self, first: int) -> int:
        """Return how many transactions end after the first ``first`` frames."""
        return sum(frame.commit > 0 and frame.salts == self.salts for frame in self.frames[first:])

    def content(self, index: int) -> bytes:
        """Return the page in a frame."""
        start = HEADER + index * (FRAME_HEADER + self.page_size) + FRAME_HEADER
        return self.data[start : start + self.page_size]

    def mended(self, first: int, last: int, pages: int) -> Mended | None:
        """Return patches that make SQLite apply the frames from ``first`` to before ``last``.

        ``first`` is the number of frames that SQLite applies unpatched, ``pages`` the maximum
        size of the database. Return None if it is not known which page a frame holds.
        """
        patches: dict[int, bytes] = {}
        torn = []
        # ``bases`` are the sums from which SQLite may have continued when it wrote the next
        # frame; ``written`` are the sums that the patched frame before it has.
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
            # Zero sums mean a wiped frame. As a base they would make a wiped next frame look
            # right, since the checksum of zeroes is zero then.
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
        """Return the right header; the checkpoint number, which is not verified, is kept."""
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
        """Return page number, commit and page of a frame, repaired, and whether that is certain.

        Return None if it is not known which page it holds.
        """

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
        if self.frames[index].salts != self.salts or not plausible(body):
            return None
        # Several repairs are possible. As long as none of them changes the page number, damage
        # is confined to this page, and the checksums of its rows will show it.
        same_page = all(fixed[:8] == body[:8] for fixed in found)
        return (body, False) if same_page else None


class Mended(NamedTuple):
    """Bytes to write by their offset; indexes of the frames that may still be damaged."""

    patches: dict[int, bytes]
    torn: list[int]


def _header_fits(header: bytes) -> bool:
    if len(header) < HEADER:
        return False
    magic, version = struct.unpack_from(">II", header)
    if magic & ~1 != _MAGIC or version != _VERSION:
        return False
    order = ">" if magic & 1 else "<"
    return checksum(header[:24], (0, 0), order) == _sums(header, 24)


def _salts(header: bytes, frames: Sequence[Frame]) -> bytes:
    """Return the salts of the header; if it is damaged, those of most of the first frames."""
    if not _header_fits(header) and frames:
        return collections.Counter(frame.salts for frame in frames[:5]).most_common(1)[0][0]
    return header[16:24]


def checksum(data: bytes, before: Sums, order: str) -> Sums:
    """Return SQLite's checksum of pairs of words, continued from ``before``."""
    first, second = before
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for even, odd in zip(words, words):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second


def fixes(data: bytes, before: Sums, sums: Sums, order: str) -> list[bytes]:
    """Return the values that ``data`` can have had if a single word of it is wrong."""
    first, second = checksum(data, before, order)
    off = ((sums[0] - first) % _WORD, (sums[1] - second) % _WORD)
    if 0 in off:
        return []  # a wrong word changes both sums: the checksum itself is damaged
    found = []
    # The weight of a word in both sums. Each further pair of words turns (a, b) into
    # (a + b, a + 2b), so the weights are computed from the last pair backwards.
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
    """Return what must be added to a word of this weight; None if no value explains both sums."""
    which = 0 if weight[0] & 1 else 1  # an odd weight has an inverse; they are never both even
    change = off[which] * pow(weight[which], -1, _WORD) % _WORD
    fits = weight[1 - which] * change % _WORD == off[1 - which]
    return change if fits else None


def _sums(data: bytes, offset: int) -> Sums:
    first, second = struct.unpack_from(">II", data, offset)
    return first, second


def page_size_of(database: str) -> int:
    """Return the page size from the header of a database, in bytes; 4096 if it is invalid."""
    with open(database, "rb") as file:
        header = file.read(18)
    size = int.from_bytes(header[16:].ljust(2, b"\0"), "big")
    if size == 1:
        return 65536  # the field has only 16 bits
    is_power_of_two = size & (size - 1) == 0
    return size if size >= 512 and is_power_of_two else 4096


# -- does SQLite apply all of it? ------------------------------------------------------


class WalProblem(NamedTuple):
    """A log that SQLite would not apply completely; ``patches`` make it do so."""

    words: str
    patches: dict[int, bytes]
    doubt: bool  # some pages may still be damaged
    incomplete: bool = False  # only the last transaction is affected, which is dropped


def find_problem(path: str) -> WalProblem | None:
    """Return the problem of a database's log; None if SQLite applies all of it.

    ``NotSafe`` if acknowledged transactions would not be applied, and cannot be repaired.
    """
    before = read_index(_start_of(path + files.INDEX))
    log = Log.read(path + files.LOG, page_size_of(path)) if os.path.exists(path) else None
    if log is None or not (log.header_fits or log.frames):
        # The header is on the disk before the first frame is written, so a log without either
        # never had a transaction, unless the index knows better.
        if before is not None and before.frames > before.done:
            raise NotSafe(f"its log is lost, and with it committed changes ({path + files.LOG})")
        return None
    applied = _applied(path, log)
    known = before.frames if before is not None and before.salts == log.salts else None
    if before is not None and known and before.done >= max(known, log.committed()):
        return None  # all frames are in the database already
    if known is not None and known > len(log.frames):
        raise NotSafe(f"its log ends early ({len(log.frames)} of {known} frames are there)")
    last = max(log.committed(), known or 0)
    if last > applied:
        return _problem(path, log, applied, last, known)
    if not log.header_fits:
        raise NotSafe("its log is damaged from the start")
    if known != applied and log.is_torn(applied):
        return WalProblem(
            "its log is unreadable after the last complete transaction",
            {},
            doubt=True,
            incomplete=True,
        )
    return None


def _problem(path: str, log: Log, applied: int, last: int, known: int | None) -> WalProblem | None:
    lost = max(1, log.commits(applied))
    noun = "transaction" if lost == 1 else "transactions"
    words = f"frame {applied + 1} of its log is damaged ({lost} {noun} from there on)"
    pages = os.path.getsize(path) // log.page_size + len(log.frames)
    mended = log.mended(applied, last, pages)
    incomplete = lost == 1 and (known or 0) <= applied
    if mended is not None and not (incomplete and mended.torn):
        return WalProblem(words, mended.patches, bool(mended.torn))
    if not incomplete or not log.header_fits:
        raise NotSafe(f"{words} and cannot be repaired")
    if known == applied:
        return None  # the index has no more frames: the transaction was never committed
    return WalProblem(words, {}, doubt=True, incomplete=True)


def _start_of(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(INDEX_HEADER)
    except FileNotFoundError:
        return b""


def _applied(path: str, log: Log) -> int:
    """Return how many frames of its log SQLite applies when it opens the database."""
    connection = files.connect(path)
    with contextlib.ExitStack() as stack:
        # The connection is of no use after the index was read: closing that descriptor drops
        # all POSIX locks of this process on the file, SQLite's included.
        stack.callback(connection.close)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except files.UNREADABLE:
            logger.debug("%s cannot be read", path)
        index = read_index(_start_of(path + files.INDEX))
    return index.frames if index is not None and index.salts == log.salts else 0
