"""The database as files: opened read-only, copied, installed.

A database that replaces another one must never meet the other one's log, because SQLite would
apply it. So the new file is first renamed to ``master.db.next``, and from then on it is the
database, whatever happens: the old log is removed, then the file gets its final name. If that is
interrupted, the next start finishes it.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import time
import urllib.parse

from ganeti import errors, pathutils
from ganeti.db import schema
from ganeti.utils import io

#: Suffixes of the files that SQLite keeps beside a database: its log, and the log's index.
LOG, INDEX = "-wal", "-shm"
#: Exceptions from reading a damaged database; UnicodeError because SQLite's messages may quote
#: bytes that are not text.
UNREADABLE = (sqlite3.Error, UnicodeError)


class NotSafe(errors.ConfigurationError):
    """Too much of a damaged database is lost to continue with the rest."""


def check_readable(path: str) -> None:
    """Raise the ``OSError`` that says why a database cannot be read: SQLite's error does not."""
    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))


def connect(path: str) -> sqlite3.Connection:
    """Return a read-only connection. It leaves file and log unchanged, even when it is closed."""
    connection = sqlite3.connect(
        f"file:{urllib.parse.quote(path)}?mode=ro",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )
    prepare(connection)
    return connection


def prepare(connection: sqlite3.Connection) -> None:
    """Prepare a connection for reading a database that may be damaged.

    Bytes that are not UTF-8 do not abort a query, with a message that quotes them; instead, the
    checksum of their row reveals the damage.
    """
    connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    schema.prepare(connection)


def file_names(path: str) -> tuple[str, ...]:
    """Return the names of a database, of its log and of the log's index."""
    return path, path + LOG, path + INDEX


def size(path: str) -> int:
    """Return the size of a database with its log, in bytes; a missing file has none."""
    return sum(os.path.getsize(name) for name in (path, path + LOG) if os.path.exists(name))


def has_log(path: str) -> bool:
    """Return whether a database has a log that is not empty."""
    return os.path.exists(path + LOG) and os.path.getsize(path + LOG) > 0


def has_orphaned_log(paths: pathutils.Paths) -> bool:
    """Return whether there is a log without its database: a new database would meet it."""
    return (
        has_log(paths.master_db)
        and not os.path.exists(paths.master_db)
        and not os.path.exists(paths.next_db)
    )


def free_kept_name(paths: pathutils.Paths, why: str, now: float) -> str:
    """Return an unused name for a database that is kept, even for two in the same second."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    for number in itertools.count(1):
        name = paths.kept_db(why, stamp if number == 1 else f"{stamp}-{number}")
        if not os.path.lexists(name) and not os.path.lexists(name + LOG):
            break
    return name


def copy(path: str, target: str) -> None:
    """Copy those of database and log that exist; the copies are on disk when this returns."""
    if has_log(path):
        io.copy_file(path + LOG, target + LOG)
    if os.path.exists(path):
        io.copy_file(path, target)
    io.fsync_directory(os.path.dirname(os.path.abspath(target)))


def discard(path: str) -> None:
    """Remove a database with its log, the log's index and its journal."""
    for suffix in (INDEX, LOG, "-journal", ""):
        io.remove_file(path + suffix)


def install(paths: pathutils.Paths) -> None:
    """Replace ``master_db`` by ``unfinished_db``, which must be closed and have no log."""
    io.replace_file(paths.unfinished_db, paths.next_db)
    finish_install(paths)


def finish_install(paths: pathutils.Paths) -> bool:
    """Finish an interrupted install of ``next_db``; return False if there is no such file."""
    if not os.path.exists(paths.next_db):
        return False
    for suffix in (INDEX, LOG):  # in this order: an index without its log would look like damage
        io.remove_file(paths.master_db + suffix)
    io.fsync_directory(paths.lib_dir)
    os.rename(paths.next_db, paths.master_db)
    io.fsync_directory(paths.lib_dir)
    io.remove_file(paths.damage_mark)
    return True
