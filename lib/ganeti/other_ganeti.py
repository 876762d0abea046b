"""Signs that this machine belongs to a real Ganeti cluster.

Our master and Ganeti's keep their files and sockets in the same places. On a machine with a real
Ganeti, creating, restoring or serving a cluster of ours would break that one. Programs that do so
look for these signs first, and stop at the first one:

    files that only Ganeti makes (config.data, server.pem, its job queue, ...)
    ssconf files that our own master did not write
    a running daemon of Ganeti, found by its pid file
    a process that serves one of Ganeti's sockets, other than our own master

A sign that cannot be examined counts as present. Looking changes nothing: no file is opened for
writing, no lock is taken, and nothing is sent to a socket.

With GANETI_ROOTDIR set, only that tree is examined, so that ``devel/run`` and the tests work on a
machine that belongs to Ganeti. Otherwise the usual places of Ganeti are examined as well, wherever
this copy was configured to keep its files.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ganeti import pathutils
from ganeti.utils import procfs, unix_socket

#: Local state directories of Ganeti: Debian's, and the default of Ganeti's configure.
USUAL_STATE_DIRS = ("/var", "/usr/local/var")

#: Files of Ganeti 1.2 to 3.1 below lib/ganeti that no program of ours makes.
FILES = (
    "config.data",
    "server.pem",
    "client.pem",
    "cluster-domain-secret",
    "hmac.key",
    "known_hosts",
    "locks.data",
    "tempres.data",
    "spice.pem",
    "spice-ca.pem",
    "ssconf_node_pass",
    "watcher.data",
    "config.data.backup",
)
#: Entries below lib/ganeti/queue. The directory alone is made by installing the package.
QUEUE_FILES = ("serial", "version", "lock")

#: Daemons that only Ganeti has (``ganeti-rapi`` and ``ganeti-masterd`` are our names, too).
DAEMONS = (
    "ganeti-luxid",
    "ganeti-wconfd",
    "ganeti-noded",
    "ganeti-confd",
    "ganeti-mond",
    "ganeti-metad",
    "ganeti-kvmd",
    "ganeti-maintd",
    "ganeti-queryd",
)
#: Sockets of Ganeti's masters: 3.x's luxid and wconfd, 2.x's masterd.
SOCKETS = ("ganeti-query", "ganeti-wconfd", "ganeti-master")

#: Advice for an administrator of such a machine.
SERVE_IT = "ganeti-rapi can serve that cluster without changing it"

#: The ssconf file that is empty in our clusters only: since 2.12, Ganeti lists nodes in it.
_CERTIFICATES = "master_candidates_certs"


class Sign(NamedTuple):
    """A sign of a real Ganeti, and the paths under which it was found.

    If there is an ``error``, the sign could not be examined.
    """

    location: pathutils.Paths
    words: str
    error: OSError | None = None

    def refusal(self, reason: str) -> str:
        """Return a message for a program that changes nothing, for this reason."""
        if self.error is not None:
            return (
                f"cannot tell whether this machine belongs to a Ganeti cluster ({self.words}), "
                "so nothing was changed: run it as root"
            )
        return (
            f"this machine belongs to a Ganeti cluster ({self.words}), so nothing was "
            f"changed: {reason}"
        )


def find(paths: pathutils.Paths) -> Sign | None:
    """Return the first sign that this machine belongs to a real Ganeti, or None.

    A sign that is certain is preferred to one that could not be examined.
    """
    unclear = None
    for location in _locations(paths):
        for path, check in _checks(location):
            try:
                words = check()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as err:
                error = OSError(err.errno, err.strerror, path)
                unclear = unclear or Sign(
                    location, f"{path} cannot be examined: {err.strerror}", error
                )
                continue
            if words:
                return Sign(location, words)
    return unclear


def _checks(paths: pathutils.Paths) -> Iterator[tuple[str, Callable[[], str]]]:
    """Yield each path to examine with its check, which returns the sign in words or ''."""
    for name in FILES:
        path = pathutils.inside(paths.lib_dir, name)
        yield path, functools.partial(_exists, path)
    for name in QUEUE_FILES:
        path = pathutils.inside(paths.ganeti_queue_dir, name)
        yield path, functools.partial(_exists, path)
    yield paths.lib_dir, functools.partial(_foreign_ssconf, paths)
    for name in DAEMONS:
        path = paths.pid_file(name)
        yield path, functools.partial(_live_daemon, name, path)
    for name in SOCKETS:
        path = pathutils.inside(paths.socket_dir, name)
        yield path, functools.partial(_served_socket, paths, path)


def _locations(paths: pathutils.Paths) -> Iterator[pathutils.Paths]:
    yield paths
    if not paths.root:
        for directory in USUAL_STATE_DIRS:
            if directory != paths.localstatedir:
                yield pathutils.Paths("", directory, paths.sysconfdir)


def _exists(path: str) -> str:
    os.lstat(path)  # a dangling link is a sign, too
    return f"{path} exists"


def _foreign_ssconf(paths: pathutils.Paths) -> str:
    """Return the sign if there are ssconf files that our master did not write; else ''.

    Without a database, ours may be left from a creation that was interrupted, or be left behind
    by an administrator who removed the database to start again.
    """
    if any(os.path.lexists(path) for path in (paths.master_db, paths.next_db, paths.unfinished_db)):
        return ""
    names = sorted(name for name in os.listdir(paths.lib_dir) if name.startswith("ssconf_"))
    if not names:
        return ""
    certificates = paths.ssconf(_CERTIFICATES)
    with contextlib.suppress(FileNotFoundError):
        if os.stat(certificates).st_size == 0:
            return ""
        return f"{certificates} names nodes"
    return f"{pathutils.inside(paths.lib_dir, names[0])} exists"


def _live_daemon(name: str, path: str) -> str:
    with open(path, "rb", opener=procfs.open_at_once) as file:
        text = file.read(20).decode("ascii", "replace").strip()
        # Ganeti's Haskell daemons lock their pid files in fcntl's way. Its Python daemons use
        # flock, which can be probed only by taking it: that would fail one that starts just now.
        lock = fcntl.fcntl(
            file, fcntl.F_GETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        )
    locked = struct.unpack("hhqqi4x", lock)[0] != fcntl.F_UNLCK
    pid = int(text) if text.isdecimal() else 0
    if locked or pid and procfs.name_of(pid) == name[:15]:
        return f"{name} (pid {text or 'unknown'}) runs"
    return ""


def _served_socket(paths: pathutils.Paths, path: str) -> str:
    listener = unix_socket.find_listener(path)
    if listener is None or _is_own_master(paths, path, listener):
        return ""
    return f"{listener} serves {path}"


def _is_own_master(paths: pathutils.Paths, path: str, listener: unix_socket.Listener) -> bool:
    """Return whether the process that serves the socket is our own master.

    It then has our database's lock file open, or our pid file names it.
    """
    if path != paths.query_socket or not listener.pid or not os.path.exists(paths.master_db):
        return False
    return (
        procfs.has_open(listener.pid, paths.master_lock)
        or procfs.pid_in(paths.pid_file("ganeti-masterd")) == listener.pid
    )
