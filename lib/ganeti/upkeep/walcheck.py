"""Does SQLite apply all of a database's log? Looked at before anybody opens it.

A transaction that is incomplete at the end was being written when the power went, and
nobody was told of it. Complete ones that do not fit, or an index that knows of more than
there is, are damage of what was acknowledged.
"""

from __future__ import annotations

import contextlib
import logging
import os
from typing import NamedTuple

from ganeti.db import files
from ganeti.db.files import NotSafe
from ganeti.upkeep import wal


class Trouble(NamedTuple):
    """A log of which something is not applied; ``patches`` have it applied."""

    words: str
    patches: dict[int, bytes]
    doubt: bool  # is some page of it not what it was?
    incomplete: bool = False  # only its last transaction, which is dropped


def look(path: str) -> Trouble | None:
    """Does SQLite apply all of the log? ``NotSafe`` when what it does not cannot be applied."""
    before = wal.read_index(_start_of(path + files.INDEX))
    log = wal.Log.read(path + files.LOG, wal.page_size_of(path)) if os.path.exists(path) else None
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
        return _trouble(path, log, applied, last, known)
    if not log.header_fits:
        raise NotSafe("its log is damaged from its beginning on")
    if known != applied and log.is_torn(applied):
        return Trouble(
            "what follows the transactions that could be read makes no sense",
            {},
            doubt=True,
            incomplete=True,
        )
    return None


def _trouble(path: str, log: wal.Log, applied: int, last: int, known: int | None) -> Trouble | None:
    lost = max(1, log.commits(applied))
    words = (
        f"frame {applied + 1} of its log does not fit, and {lost} transaction"
        f"{'s' if lost > 1 else ''} from there on"
    )
    pages = os.path.getsize(path) // log.page_size + len(log.frames)
    mended = log.mended(applied, last, pages)
    incomplete = lost == 1 and (known or 0) <= applied
    if mended is not None and not (incomplete and mended.torn):
        return Trouble(words, mended.patches, bool(mended.torn))
    if not incomplete or not log.header_fits:
        raise NotSafe(f"{words} cannot be applied")
    if known == applied:
        return None  # the index tells: it was being written
    return Trouble(words, {}, doubt=True, incomplete=True)


def _start_of(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(wal.INDEX_HEADER)
    except FileNotFoundError:
        return b""


def _applied(path: str, log: wal.Log) -> int:
    """How many frames of its log SQLite applies when it opens a database."""
    connection = files.connect(path)
    with contextlib.ExitStack() as stack:
        # Closed last: who closes a file gives up its locks, also those of SQLite.
        stack.callback(connection.close)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except files.UNREADABLE:
            logging.debug("%s cannot be read as it is", path)
        index = wal.read_index(_start_of(path + files.INDEX))
    return index.frames if index is not None and index.salts == log.salts else 0
