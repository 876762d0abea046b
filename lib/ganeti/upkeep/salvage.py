"""Before the master opens its database: is it sound? If not, is what is left enough?

What is found is said; the damaged files are kept as they were, under another name; and
the master starts on what can be proved to be whole. Where the configuration is not, or
acknowledged changes are gone without a trace of what they were, it refuses in one line,
and nothing was changed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator

from ganeti import errors, pathutils
from ganeti.db import files, schema
from ganeti.db.files import NotSafe
from ganeti.jqueue import id_gaps, rows
from ganeti.upkeep import rebuild, verify, walcheck
from ganeti.upkeep.walcheck import Trouble
from ganeti.utils import io


def make_sound(paths: pathutils.Paths, clock: Callable[[], float] = time.time) -> bool:
    """See above; ``ConfigurationError`` in one line when it is not safe to start.

    False: the database is large, and was not checked in full.
    """
    files.settle(paths)
    if not os.path.exists(paths.master_db):
        return True
    with _in_words(paths.master_db):
        _discard(paths)
        try:
            return _make_sound(paths, clock())
        finally:
            _discard(paths)


def _discard(paths: pathutils.Paths) -> None:
    for path in (paths.unfinished_db, paths.work_db):
        files.discard(path)


def _make_sound(paths: pathutils.Paths, now: float) -> bool:
    source = paths.master_db
    if os.path.getsize(source) == 0:
        raise NotSafe("it is empty")
    trouble = walcheck.look(source)
    complete = (
        trouble is not None
        or os.path.exists(paths.suspicion)
        or files.size(source) <= verify.AT_START
    )
    if trouble is not None and trouble.patches:
        source = paths.work_db
        files.copy(paths.master_db, source)
        io.patch_file(source + files.LOG, trouble.patches)
    with contextlib.closing(files.connect(source)) as connection:
        damage = _check(connection, complete)
        if damage and not complete:
            damage = list(dict.fromkeys(damage + verify.full(connection)))
            complete = True
        if damage:
            _rebuild(paths, connection, damage, trouble, now)
    if trouble is not None and not damage:
        _apply(paths, trouble, now)
    if complete:
        io.remove_file(paths.suspicion)
    return complete


def suspect(paths: pathutils.Paths, damage: list[str]) -> None:
    """A running master found damage: it is said once, and the next start looks closely."""
    if os.path.exists(paths.suspicion):
        return
    for words in damage:
        logging.error("The database %s is damaged: %s", paths.master_db, words)
    logging.error("The damage will be dealt with when ganeti-masterd starts again")
    io.write_file(paths.suspicion, "".join(f"{words}\n" for words in damage), mode=0o600)


@contextlib.contextmanager
def _in_words(path: str) -> Iterator[None]:
    """Whatever stops a start, in one line that says what to do."""
    try:
        yield
    except NotSafe as err:
        words = str(err)
    except files.UNREADABLE as err:
        words = f"it cannot be read ({err})"
    else:
        return
    raise errors.ConfigurationError(
        f"the database {path} is damaged: {words}; nothing was changed; "
        "restore a backup: ganeti-cluster restore FILE"
    ) from None


def _check(connection: sqlite3.Connection, complete: bool) -> list[str]:
    """What is wrong; nothing where that is for ``Store.open`` to say, or not known yet."""
    found = []
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except files.UNREADABLE as err:
        # Perhaps only its end is missing: this has the rest read.
        connection.execute("PRAGMA writable_schema=ON")
        found = [f"it cannot be read as it is ({err})"]
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if mark != schema.APPLICATION_ID:
        raise NotSafe(f"it is none of this program, or its header is damaged (mark {mark:#x})")
    if version > schema.VERSION:
        return []
    if version < schema.VERSION:  # its rows have no sums yet
        for words in found + (verify.structure(connection) if complete else []):
            raise NotSafe(words)
        return []
    return found + (verify.full(connection) if complete else verify.cheap(connection))


# -- going on -----------------------------------------------------------------------


@contextlib.contextmanager
def _kept(paths: pathutils.Paths, now: float, *, only_log: bool = False) -> Iterator[str]:
    """A copy of the files as they are; it stays if what is then done succeeds."""
    kept = files.name_to_keep(paths, "damaged", now)
    try:
        if only_log:
            io.copy_file(paths.master_db + files.LOG, kept + files.LOG)
        else:
            files.copy(paths.master_db, kept)
        yield kept + (files.LOG if only_log else "")
    except FileExistsError:
        raise
    except BaseException:
        files.discard(kept)
        raise


def _rebuild(
    paths: pathutils.Paths,
    source: sqlite3.Connection,
    damage: list[str],
    trouble: Trouble | None,
    now: float,
) -> None:
    """Start on a new database with what is whole."""
    with _kept(paths, now) as kept:
        os.close(os.open(paths.unfinished_db, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with contextlib.closing(
            sqlite3.connect(paths.unfinished_db, isolation_level=None)
        ) as target:
            losses = rebuild.build(source, target, now, ahead=trouble is not None and trouble.doubt)
            left = verify.full(target)
            if left:
                raise NotSafe(f"{damage[0]}; what could be saved is not whole either: {left[0]}")
        files.install(paths)
    for words in [*damage, *([trouble.words] if trouble is not None else [])]:
        logging.error("The database %s was damaged: %s", paths.master_db, words)
    for words in losses.words() or ["nothing that it held is lost"]:
        logging.error("Of the damaged database %s: %s", paths.master_db, words)
    logging.error(
        "The master goes on with what was whole; the damaged database is kept as %s", kept
    )


def _apply(paths: pathutils.Paths, trouble: Trouble, now: float) -> None:
    """The log alone was damaged; what it held is whole, but perhaps for its last transaction."""
    with _kept(paths, now, only_log=trouble.incomplete) as kept:
        path = paths.master_db if trouble.incomplete else paths.work_db
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            schema.prepare(connection)
            if trouble.incomplete:
                connection.execute("BEGIN IMMEDIATE")
                last = rows.last_id(connection) + rebuild.AHEAD
                id_gaps.skip_to(connection, last)
                connection.execute("COMMIT")
            else:
                connection.execute("PRAGMA journal_mode=DELETE")
        if not trouble.incomplete:
            os.rename(paths.work_db, paths.unfinished_db)
            files.install(paths)
    if trouble.incomplete:
        logging.info(
            "The last transaction in the log of %s is incomplete (a power cut?) and not "
            "applied: %s; the log is kept as %s; ids of jobs go on at %d",
            paths.master_db,
            trouble.words,
            kept,
            last + 1,
        )
    else:
        logging.error(
            "The log of the database %s was damaged (%s) and was put right; nothing "
            "is lost; the damaged files are kept as %s",
            paths.master_db,
            trouble.words,
            kept,
        )
