"""Upgrade of the master's database: one of an older schema is copied first, then upgraded.

Older versions of this program refuse the upgraded database, so the copy is the only way back.
It is complete and on the disk before the upgrade begins, and nothing removes it. The upgrade is
one transaction: a start that is killed leaves either the old database or the new one, and the
next start continues from there.
"""

from __future__ import annotations

import contextlib
import filecmp
import logging
import os
import sqlite3
import time
from collections.abc import Callable

from ganeti import errors, layout, pathutils
from ganeti.db import files, schema
from ganeti.db.store import Store
from ganeti.layout import Owners
from ganeti.utils import io, ownership
from ganeti.utils.text import describe_os_error

logger = logging.getLogger(__name__)

#: The part of the copy's name that says why it is kept.
COPY_REASON = "before-upgrade"
#: How many times the size of the database must be free: for the copy, for the log of the
#: upgrade, which may rewrite every row, and for the growth of the rows.
NEEDED_SIZES = 3
#: The first schema whose programs have ``ganeti-cluster restore``.
_FIRST_TO_RESTORE = 2


def _free_bytes(directory: str) -> int:
    """Return how many bytes this process may still write in a directory."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize


def open_store(
    paths: pathutils.Paths,
    *,
    clock: Callable[[], float] = time.time,
    free: Callable[[str], int] = _free_bytes,
) -> tuple[Store, str | None]:
    """Open the database; return it and, if it was upgraded, a sentence that tells the way back.

    ``ConfigurationError`` if there is no space for copy and upgrade; nothing is changed then.
    """
    version = _older_version(paths.master_db)
    if version is None:
        return Store.open(paths.master_db), None
    kept = _keep(paths, version, clock(), free)
    logger.info("Copied %s, which has schema %d, to %s", paths.master_db, version, kept)
    return Store.open(paths.master_db, upgrade=True), _notice(paths, version, kept)


def _older_version(path: str) -> int | None:
    """Return the schema of a database that needs an upgrade; None for any other one.

    If the database is unusable, ``Store.open`` says why.
    """
    if not os.path.exists(path):
        return None
    try:
        with contextlib.closing(files.connect(path)) as connection:
            application_id, version = schema.identify(connection)
    except files.UNREADABLE:
        return None
    is_older = application_id == schema.APPLICATION_ID and 1 <= version < schema.VERSION
    return version if is_older else None


def _keep(paths: pathutils.Paths, version: int, now: float, free: Callable[[str], int]) -> str:
    """Copy the database, log included, into one file that is on the disk; return its name."""
    refusal = f"{paths.master_db} has schema {version} and must be upgraded to {schema.VERSION}"
    needed, there = NEEDED_SIZES * files.size(paths.master_db), free(paths.lib_dir)
    if there < needed:
        raise errors.ConfigurationError(
            f"{refusal}, which needs {_mib(needed)} MiB in {paths.lib_dir}, but only "
            f"{_mib(there)} MiB are free; nothing was changed; free some space there and start "
            "ganeti-masterd again"
        )
    copy = paths.unfinished_db
    try:
        files.discard(copy)
        files.copy(paths.master_db, copy)
        with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")  # applies the log
        _set_owner(paths, copy)
        for name in _copies(paths):  # perhaps an earlier start made the copy and was killed
            if filecmp.cmp(name, copy, shallow=False):
                return name
        kept = files.free_kept_name(paths, COPY_REASON, now)
        io.replace_file(copy, kept)
        return kept
    except OSError as err:
        words = describe_os_error(err)
    except sqlite3.Error as err:
        words = f"{copy}: {err}"
    finally:
        files.discard(copy)
    raise errors.ConfigurationError(
        f"{refusal}, but the copy before that failed: {words}; nothing was changed"
    )


def _mib(size: int) -> int:
    return -(-size // (1 << 20))


def _set_owner(paths: pathutils.Paths, copy: str) -> None:
    """Give a copy to the owner of the database, which is another user if root runs this."""
    found = os.stat(paths.master_db)
    if (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
        ownership.apply(list(layout.database(copy, Owners(found.st_uid, -1, found.st_gid))))


def _copies(paths: pathutils.Paths) -> list[str]:
    """Return the copies that earlier upgrades have kept, the newest first."""
    start = os.path.basename(paths.kept_db(COPY_REASON, ""))
    return [
        pathutils.inside(paths.lib_dir, name)
        for name in sorted(os.listdir(paths.lib_dir), reverse=True)
        if name.startswith(start)
    ]


def _notice(paths: pathutils.Paths, version: int, kept: str) -> str:
    way = (
        f"run: ganeti-cluster restore {kept}"
        if version >= _FIRST_TO_RESTORE
        else f"copy that file to {paths.master_db}"
    )
    return (
        f"the database was upgraded from schema {version} to {schema.VERSION}, which older "
        f"versions cannot open; to go back to the previous version, stop ganeti-masterd, "
        f"install that version and {way}"
    )
