"""Checks which node is the master, and redirects to it.

The file ``ssconf_master_node`` names the master. Ganeti writes it on every node when the master
changes; our master writes it on its own node. ganeti-rapi runs on the master only, or with
``--redirect`` on any node that may become the master, and then redirects clients meanwhile.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Collection

from ganeti import constants, daemon, other_ganeti, pathutils
from ganeti.http.errors import ServiceUnavailable, TemporaryRedirect
from ganeti.http.message import Request
from ganeti.utils import host
from ganeti.utils.host import own_names
from ganeti.utils.text import describe_os_error

logger = logging.getLogger(__name__)

#: Seconds until the file is read again.
CACHE_SECONDS = 1.0
#: Seconds after which a client may ask for a master again: an election takes about as long.
RETRY_AFTER = 10

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9])?", re.ASCII)
_AUTHORITY = re.compile(r"https?://[^/?]*", re.ASCII | re.IGNORECASE)


def check_master(paths: pathutils.Paths, *, socket_given: bool = False) -> None:
    """Raise ``DaemonError`` unless this machine is the master of a cluster.

    Without the cluster's files, a socket named by the administrator will do.
    """
    file = paths.ssconf("master_node")
    try:
        with open(file, encoding="utf-8", errors="replace") as lines:
            master = lines.read(1000).strip().lower()
    except FileNotFoundError:
        if socket_given:
            return
        raise _no_cluster(paths) from None
    except OSError as err:
        raise daemon.DaemonError(
            f"cannot tell which node is the master: {describe_os_error(err)}"
        ) from None
    names = own_names()
    if master in names:
        return
    if not master:
        raise daemon.DaemonError(f"cannot tell which node is the master: {file} is empty")
    if os.path.exists(paths.master_db):
        sign = other_ganeti.find(paths)
        if sign is None or sign.error is not None:
            raise daemon.DaemonError(host.renamed(master, names))
    raise daemon.DaemonError(
        f"this is not the master, {master} is (this machine is {' or '.join(sorted(names))})",
        constants.EXIT_NOTMASTER,
    )


def _no_cluster(paths: pathutils.Paths) -> daemon.DaemonError:
    """Return the error for a missing file.

    Its advice must be harmless where Ganeti itself is installed: nothing is initialized there.
    """
    file = paths.ssconf("master_node")
    sign = other_ganeti.find(paths)
    if sign is None:
        return daemon.DaemonError(
            f"there is no cluster on this machine ({file} is missing); "
            "create one with: ganeti-cluster init NAME",
            constants.EXIT_NODESETUP_ERROR,
        )
    if sign.error is not None:
        return daemon.DaemonError(
            f"{file} is missing, and {sign.words}", constants.EXIT_NODESETUP_ERROR
        )
    if sign.location is paths:
        return daemon.DaemonError(
            f"{file} is missing, although this machine belongs to a Ganeti cluster "
            f"({sign.words}); on its master: gnt-cluster redist-conf",
            constants.EXIT_NODESETUP_ERROR,
        )
    return daemon.DaemonError(
        f"there is no cluster below {paths.localstatedir}, but one of Ganeti below "
        f"{sign.location.localstatedir} ({sign.words}); configure ganeti-rapi with "
        f"--localstatedir={sign.location.localstatedir} to serve that one"
    )


class MasterRedirect:
    """Redirects clients to the master while this node is not the master; from any thread.

    ``path`` is the file that names the master. ``base`` is the beginning of the API's URLs with a
    place for a name: ``https://{}:5080``.
    """

    def __init__(
        self,
        path: str,
        base: str,
        *,
        names: Collection[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._base = base
        self._names = own_names() if names is None else names
        self._clock = clock
        self._read_at = float("-inf")
        #: None if no node is the master.
        self._master: str | None = None
        self._logged_master: object = self

    def check(self, request: Request) -> None:
        """Raise ``TemporaryRedirect`` unless this node is the master, 503 if no node is."""
        master = self._current_master()
        if master in self._names:
            return
        if master is None:
            raise ServiceUnavailable(
                "The cluster has no master at the moment", retry_after=RETRY_AFTER
            )
        raise TemporaryRedirect(self._base.format(master) + _path_and_query(request.target))

    def _current_master(self) -> str | None:
        now = self._clock()
        if now - self._read_at >= CACHE_SECONDS:
            self._master = self._read_master()
            self._read_at = now
            if self._master != self._logged_master:
                self._logged_master = self._master
                self._log_master()
        return self._master

    def _log_master(self) -> None:
        if self._master in self._names:
            logger.info("This node is the master")
        elif self._master is None:
            logger.info("No node is the master")
        else:
            logger.info("The master is %s; clients are sent there", self._master)

    def _read_master(self) -> str | None:
        try:
            with open(self._path, encoding="ascii", errors="replace") as file:
                name = file.read(300).strip().lower()
        except OSError:
            return None
        return name if _NAME.fullmatch(name) else None


def _path_and_query(target: str) -> str:
    """Return path and query of a request's target as they were sent."""
    found = _AUTHORITY.match(target)
    rest = target if found is None else target[found.end() :]
    return rest if rest.startswith("/") else "/" + rest
