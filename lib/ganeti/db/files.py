"""The database as files: read without a change, copied, installed.

A database that replaces another must never meet the log of the old one: SQLite would
apply it. So it first gets the name ``master.db.next``. From then on it is the database,
whatever happens: the old log is removed, then it gets its name, and the next start
finishes an installation that was interrupted.
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

#: What SQLite keeps beside a database: its log, the index of that.
LOG, INDEX = "-wal", "-shm"
#: What reading a damaged database raises: SQLite's words may quote bytes that are no text.
UNREADABLE = (sqlite3.Error, UnicodeError)


class NotSafe(errors.ConfigurationError):
    """Of a damaged database too much is lost to go on with the rest."""


def check_readable(path: str) -> None:
    """Raise the ``OSError`` that tells why a database cannot be read; SQLite's words do not."""
    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))


def connect(path: str) -> sqlite3.Connection:
    """A connection that changes nothing: log and file stay as they are, also when it closes."""
    connection = sqlite3.connect(
        f"file:{urllib.parse.quote(path)}?mode=ro",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )
    prepare(connection)
    return connection


def prepare(connection: sqlite3.Connection) -> None:
    """Have a connection read what may be damaged.

    Bytes that are no UTF-8 do not end a query, with words that quote them: the sum of
    their row tells.
    """
    connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    schema.prepare(connection)


def file_names(path: str) -> tuple[str, ...]:
    """Return the names of a database, of its log and of the log's index."""
    return path, path + LOG, path + INDEX


def size(path: str) -> int:
    """Bytes of a database with its log; what is missing has none."""
    return sum(os.path.getsize(name) for name in (path, path + LOG) if os.path.exists(name))


def has_log(path: str) -> bool:
    """Return whether there is a log that is not empty."""
    return os.path.exists(path + LOG) and os.path.getsize(path + LOG) > 0


def has_orphaned_log(paths: pathutils.Paths) -> bool:
    """Return whether there is a log without its database, which a new one would meet."""
    return (
        has_log(paths.master_db)
        and not os.path.exists(paths.master_db)
        and not os.path.exists(paths.next_db)
    )


def free_kept_name(paths: pathutils.Paths, why: str, now: float) -> str:
    """Return a free name for a kept database, also for the second one in one second."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    for number in itertools.count(1):
        name = paths.kept_db(why, stamp if number == 1 else f"{stamp}-{number}")
        if not os.path.lexists(name) and not os.path.lexists(name + LOG):
            break
    return name


def copy(path: str, target: str) -> None:
    """Copy a database with its log, what there is of them; on the disk when this returns."""
    if has_log(path):
        io.copy_file(path + LOG, target + LOG)
    if os.path.exists(path):
        io.copy_file(path, target)
    io.fsync_directory(os.path.dirname(os.path.abspath(target)))


def discard(path: str) -> None:
    """Remove a database with everything beside it."""
    for suffix in (INDEX, LOG, "-journal", ""):
        io.remove_file(path + suffix)


def install(paths: pathutils.Paths) -> None:
    """Replace ``master_db`` by ``unfinished_db``, which is closed and has no log."""
    io.replace_file(paths.unfinished_db, paths.next_db)
    finish_install(paths)


def finish_install(paths: pathutils.Paths) -> bool:
    """Finish an interrupted install of ``next_db``; return False if there is no such file."""
    if not os.path.exists(paths.next_db):
        return False
    for suffix in (INDEX, LOG):  # an index without its log would look like damage
        io.remove_file(paths.master_db + suffix)
    io.fsync_directory(paths.lib_dir)
    os.rename(paths.next_db, paths.master_db)
    io.fsync_directory(paths.lib_dir)
    io.remove_file(paths.damage_mark)
    return True
