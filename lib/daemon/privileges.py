"""Whom a daemon runs as, and the directories that it makes while it is root."""

from __future__ import annotations

import contextlib
import grp
import logging
import os
import pwd

from ganeti import pathutils
from ganeti.utils import io, log


def run_directories(paths: pathutils.Paths) -> tuple[tuple[str, int], ...]:
    """Where daemons keep what does not survive a reboot, and modes as in Ganeti 3.0."""
    return (paths.run_dir, 0o775), (paths.socket_dir, 0o750)


def make_directories(paths: pathutils.Paths) -> None:
    """Make what is missing: where /run is in memory, a reboot has removed it."""
    missing = [(path, mode) for path, mode in run_directories(paths)
               if not os.path.isdir(path)]
    uid, gid = -1, -1
    user = paths.user(pathutils.MASTERD_USER)
    if os.geteuid() == 0 and user:
        with contextlib.suppress(KeyError):
            uid, gid = pwd.getpwnam(user).pw_uid, grp.getgrnam(pathutils.DAEMONS_GROUP).gr_gid
    for path, mode in missing:
        io.ensure_dir(path, mode, uid, gid)


def become_user(user: str, group: str) -> None:
    """Root becomes the configured user, with all of that user's groups.

    Whoever is not root stays who he is, and so does root where no user is named
    (below a root directory of its own). Where the user does not exist, as in a
    container made for this alone, root stays root and the log says so.
    """
    if os.geteuid() != 0 or not user:
        return
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        logging.warning("There is no user %s on this machine; going on as root", user)
        return
    try:
        gid = grp.getgrnam(group).gr_gid
    except KeyError:
        gid = entry.pw_gid
    log.own_files(entry.pw_uid, gid)
    os.initgroups(user, gid)
    os.setgid(gid)
    os.setuid(entry.pw_uid)
    logging.info("Now running as %s", user)


def stays_root(user: str) -> bool:
    """Does a daemon that root starts go on as root, as there is no such user?"""
    if os.geteuid() != 0 or not user:
        return False
    try:
        return pwd.getpwnam(user) is None
    except KeyError:
        return True
