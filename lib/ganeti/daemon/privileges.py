"""The users that daemons run as and that own their files, and messages about permissions.

``ganeti-cluster`` and both daemons, started by root without GANETI_ROOTDIR, decide in this way:

    both users and the group exist  each daemon becomes its user, who owns its files
    none of them exists             everything remains root's, as in a container for one service
    some of them exist              ``DaemonError``: the installation is incomplete

A daemon needs its own user and the group; creating or restoring a cluster needs both users.
"""

from __future__ import annotations

import grp
import logging
import os
import pwd
import stat
from collections.abc import Sequence

from ganeti import pathutils
from ganeti.daemon.base import DaemonError
from ganeti.utils import io, log
from ganeti.utils.text import describe_os_error

logger = logging.getLogger(__name__)


def run_directories(paths: pathutils.Paths) -> tuple[tuple[str, int], ...]:
    """Return the directories below /run, with the modes that they have in Ganeti 3.0."""
    return (paths.run_dir, 0o775), (paths.socket_dir, 0o750)


def make_directories(paths: pathutils.Paths) -> None:
    """Create missing directories below /run, which is empty after a reboot."""
    uid, gid = -1, -1
    user = paths.user(pathutils.MASTERD_USER)
    if os.geteuid() == 0 and user:
        # The front may run on a machine that has no user of the master.
        found_uid, found_gid = _uid(user), _gid(pathutils.DAEMONS_GROUP)
        uid = -1 if found_uid is None else found_uid
        gid = -1 if found_gid is None else found_gid
    for path, mode in run_directories(paths):
        io.make_directory(path, mode, uid, gid)


# -- users and group ----------------------------------------------------------------


def find_accounts(
    users: Sequence[str],
    group: str = pathutils.DAEMONS_GROUP,
) -> tuple[tuple[int, ...], int] | None:
    """Return the uids of ``users`` and the gid of ``group``; None if root remains root.

    Raise ``DaemonError`` if only some of the daemons' users and their group exist.
    """
    known = _all_of_them(users)
    uids = {user: _uid(user) for user in known}
    gid = _gid(group)
    if gid is None and all(uid is None for uid in uids.values()):
        return None
    missing = [user for user in users if uids[user] is None]
    if gid is None or missing:
        there = [f"user {user}" for user in known if uids[user] is not None]
        there += [] if gid is None else [f"group {group}"]
        lacking = [f"user {user}" for user in missing]
        lacking += [f"group {group}"] if gid is None else []
        raise DaemonError(
            f"this machine has the {_listed(there)}, but not the {_listed(lacking)}; as root: "
            + commands_to_make(users, group)
        )
    return tuple(uid for user in users if (uid := uids[user]) is not None), gid


def commands_to_make(users: Sequence[str], group: str = pathutils.DAEMONS_GROUP) -> str:
    """Return the shell commands, on one line, that create the missing users and group."""
    commands = [f"groupadd --system {group}"] if _gid(group) is None else []
    commands += [
        f"useradd --system --user-group --groups {group} {user}"
        for user in users
        if _uid(user) is None
    ]
    commands += [
        f"usermod --append --groups {group} {user}"
        for user in users
        if _uid(user) is not None and _gid(group) is None
    ]
    return " && ".join(commands)


def stays_root(user: str) -> bool:
    """Return whether a daemon with the configured ``user`` keeps root's privileges.

    It does if no user is configured ('', below GANETI_ROOTDIR). If only some of the users and
    their group exist, it would not start at all, so that the answer is False.
    """
    if os.geteuid() != 0:
        return False
    if not user:
        return True
    # If only some exist, ``become_user`` raises: no daemon remains root by accident.
    has_group = _gid(pathutils.DAEMONS_GROUP) is not None
    return not has_group and all(_uid(name) is None for name in _all_of_them([user]))


def give_files(user: str, group: str, descriptors: Sequence[int]) -> None:
    """Give the log and these open files to the user whom root is going to become.

    This is done before anything else can fail: a log that a failed start leaves behind must
    not be root's, or the daemon could not be started by its user (as Ganeti's ``daemon-util``
    does).
    """
    found = find_accounts([user], group) if os.geteuid() == 0 and user else None
    if found is None:
        return
    (uid,), gid = found
    log.own_files(uid, gid)
    for fd in descriptors:
        os.fchown(fd, uid, gid)


def become_user(user: str, group: str) -> None:
    """Become the configured user, with all of that user's groups, if started by root.

    Root remains root if no user is configured (below GANETI_ROOTDIR), or, with a warning, if
    neither the users nor the group exist. Raise ``DaemonError`` if only some of them exist.
    """
    if os.geteuid() != 0 or not user:
        return
    found = find_accounts([user], group)
    if found is None:
        logger.warning("There is no user %s on this machine; continuing as root", user)
        return
    (uid,), gid = found
    os.initgroups(user, gid)
    os.setgid(gid)
    os.setuid(uid)
    logger.info("Now running as %s", user)


def _all_of_them(users: Sequence[str]) -> list[str]:
    """Return the users that must exist together: ours, or a foreign one alone."""
    ours = (pathutils.MASTERD_USER, pathutils.RAPI_USER)
    if not set(users) & set(ours):
        return list(dict.fromkeys(users))
    return list(dict.fromkeys((*users, *ours)))


def _uid(user: str) -> int | None:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None


def _gid(group: str) -> int | None:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return None


def _listed(words: Sequence[str]) -> str:
    if len(words) < 3:
        return " and ".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


# -- permissions --------------------------------------------------------------------


def explain_permission(err: OSError, user: str) -> str:
    """Return the message for a file that a daemon may not use: the file, the user, the cure.

    ``user`` is the user whom root would become; '' below GANETI_ROOTDIR.
    """
    me = _user_name(os.geteuid())
    what = describe_os_error(err)
    if os.geteuid() == 0:
        return f"{what}, although this is root: a security module or the file system denies it"
    if user and me != user:
        return f"must be started by root or {user}, not by {me} ({what})"
    owner = _owner_of(err)
    if user:
        return f"{what} for {me}{owner}; as root: ganeti-cluster ensure-dirs"
    return f"{what} for {me}{owner}; start it as the user who created the cluster"


def _owner_of(err: OSError) -> str:
    """Return owner and mode of the file, or of the nearest directory above it that we can see."""
    path = os.fsdecode(err.filename) if isinstance(err.filename, (str, bytes)) else ""
    while path and path != "/":
        try:
            found = os.stat(path)
        except OSError:
            path = os.path.dirname(path)
            continue
        return (
            f" ({path} belongs to {_user_name(found.st_uid)}, mode "
            f"{stat.S_IMODE(found.st_mode):04o})"
        )
    return ""


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
