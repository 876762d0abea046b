"""Does this machine belong to a real Ganeti cluster, and how do we know?

Our master and Ganeti's keep their files and sockets in the same places. Where Ganeti's
are, creating or restoring a cluster of ours, or serving one, would break theirs. So those
programs ask here first, and stop at the first sign:

    files that only Ganeti makes (config.data, server.pem, its job queue, ...)
    ssconf files that our own master did not write
    a daemon of Ganeti that runs, by its pid file
    a process that serves one of Ganeti's sockets, other than our own master

A sign that cannot be examined counts as one. Looking changes nothing: no file is opened
for writing, no lock is taken, and nothing is sent to a socket.

Below GANETI_ROOTDIR only that tree counts, so that ``devel/run`` and the tests work on a
machine that belongs to Ganeti. Otherwise the usual places of Ganeti are looked at as well,
wherever this copy was configured to keep its own files.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ganeti import pathutils
from ganeti.utils import running, unix_socket

#: Local state directories of Ganeti: Debian's, and the default of its own configure.
USUAL_PLACES = ("/var", "/usr/local/var")

#: Files below lib/ganeti that no program of ours makes (Ganeti 1.2 to 3.1).
FILES = ("config.data", "server.pem", "client.pem", "cluster-domain-secret", "hmac.key",
         "known_hosts", "locks.data", "tempres.data", "spice.pem", "spice-ca.pem",
         "ssconf_node_pass", "watcher.data", "config.data.backup")
#: Entries below lib/ganeti/queue. The directory alone is made by installing the package.
QUEUE_FILES = ("serial", "version", "lock")

#: Daemons that only Ganeti has (``ganeti-rapi`` and ``ganeti-masterd`` are our names, too).
DAEMONS = ("ganeti-luxid", "ganeti-wconfd", "ganeti-noded", "ganeti-confd", "ganeti-mond",
           "ganeti-metad", "ganeti-kvmd", "ganeti-maintd", "ganeti-queryd")
#: Sockets of its masters: 3.x's luxid and wconfd, 2.x's masterd.
SOCKETS = ("ganeti-query", "ganeti-wconfd", "ganeti-master")

#: What to do on such a machine instead.
SERVE_IT = "ganeti-rapi can serve that cluster as it is"

#: What an ssconf file of every Ganeti since 2.12 names, and ours leaves empty.
_CERTIFICATES = "master_candidates_certs"


class Sign(NamedTuple):
    """The first sign of a real Ganeti, and the paths under which it was found."""

    place: pathutils.Paths
    words: str


def evidence(paths: pathutils.Paths) -> str:
    """Return the sign that this machine belongs to a real Ganeti, in words; '' without one."""
    sign = find(paths)
    return "" if sign is None else sign.words


def find(paths: pathutils.Paths) -> Sign | None:
    """Return the first sign that this machine belongs to a real Ganeti, or None."""
    for place in _places(paths):
        for look in (_made_by_ganeti, _foreign_ssconf, _live_daemon, _served_socket):
            words = look(place)
            if words:
                return Sign(place, words)
    return None


def refusal(found: str, reason: str) -> str:
    """Return the line of a program that changed nothing: the sign ``found``, then why not."""
    return (f"this machine belongs to a Ganeti cluster ({found}), so nothing was changed: "
            f"{reason}")


def _places(paths: pathutils.Paths) -> Iterator[pathutils.Paths]:
    yield paths
    if not paths.root:
        for directory in USUAL_PLACES:
            if directory != paths.localstatedir:
                yield pathutils.Paths("", directory, paths.sysconfdir)


def _made_by_ganeti(paths: pathutils.Paths) -> str:
    for name in FILES:
        words = _exists(pathutils.inside(paths.lib_dir, name))
        if words:
            return words
    for name in QUEUE_FILES:
        words = _exists(pathutils.inside(paths.ganeti_queue_dir, name))
        if words:
            return words
    return ""


def _foreign_ssconf(paths: pathutils.Paths) -> str:
    """Find ssconf files of Ganeti where none of its other files are.

    A creation of ours that broke off leaves its own, beside the unfinished database; so
    does an administrator who removed the database to begin anew.
    """
    if any(os.path.lexists(path) for path in (paths.master_db, paths.next_db,
                                              paths.unfinished_db)):
        return ""
    return _examine(paths.lib_dir, lambda: _first_foreign(paths))


def _first_foreign(paths: pathutils.Paths) -> str:
    names = sorted(name for name in os.listdir(paths.lib_dir) if name.startswith("ssconf_"))
    if not names:
        return ""
    certificates = paths.ssconf(_CERTIFICATES)
    with contextlib.suppress(FileNotFoundError):
        if os.stat(certificates).st_size == 0:
            return ""
        return f"{certificates} names nodes"
    return f"{pathutils.inside(paths.lib_dir, names[0])} exists"


def _live_daemon(paths: pathutils.Paths) -> str:
    for name in DAEMONS:
        path = paths.pid_file(name)
        words = _examine(path, lambda: _runs(name, path))
        if words:
            return words
    return ""


def _runs(name: str, path: str) -> str:
    with open(path, "rb") as file:
        text = file.read(20).decode("ascii", "replace").strip()
        # Ganeti's Haskell daemons lock their pid files in fcntl's way. Its Python daemons use
        # flock, which can be probed only by taking it: that would fail one that starts just now.
        lock = fcntl.fcntl(file, fcntl.F_GETLK, struct.pack(
            "hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    locked = struct.unpack("hhqqi4x", lock)[0] != fcntl.F_UNLCK
    pid = int(text) if text.isdecimal() else 0
    if locked or pid and running.name_of(pid) == name[:15]:
        return f"{name} (pid {text or 'unknown'}) runs"
    return ""


def _served_socket(paths: pathutils.Paths) -> str:
    for name in SOCKETS:
        path = pathutils.inside(paths.socket_dir, name)
        listener = unix_socket.find_listener(path)
        if listener is not None and not _is_own_master(paths, path, listener):
            return f"{listener} serves {path}"
    return ""


def _is_own_master(paths: pathutils.Paths, path: str, listener: unix_socket.Listener) -> bool:
    """Tell whether our own master serves the socket: it has our database's lock file open."""
    if path != paths.query_socket or not listener.pid or not os.path.exists(paths.master_db):
        return False
    return (running.has_open(listener.pid, paths.master_lock)
            or running.pid_in(paths.pid_file("ganeti-masterd")) == listener.pid)


def _exists(path: str) -> str:
    def look() -> str:
        os.lstat(path)                  # a dangling link is a sign, too
        return f"{path} exists"
    return _examine(path, look)


def _examine(path: str, look: Callable[[], str]) -> str:
    """Return what ``look`` finds: '' for what is not there; what cannot be seen is a sign."""
    try:
        return look()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as err:
        return f"{path} cannot be examined: {err.strerror}"
