"""Ganeti's hooks, which this version does not run: what an administrator is told of them.

Ganeti runs the scripts in ``hooks/OPERATION-pre.d`` and ``OPERATION-post.d`` below its
configuration. Sites keep firewalls, name servers and backups up to date by them, so that
a cluster whose hooks are silently left out is not the same cluster.
"""

from __future__ import annotations

import os
import re

from ganeti import pathutils
from ganeti.utils.text import describe_os_error

_FOLDER = re.compile(r"[a-z-]+-(pre|post)\.d", re.ASCII)
#: Other names are passed over by Ganeti: backups of editors, files of packages.
_SCRIPT = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
#: Scripts that are told by name.
_NAMED = 3


def notice(paths: pathutils.Paths) -> str | None:
    """A line that says which hooks are there and not run; None when there are none."""
    folder = pathutils.inside(paths.conf_dir, "hooks")
    try:
        scripts = _scripts(folder)
    except FileNotFoundError:
        return None
    except OSError as err:
        return f"Cannot see whether there are hooks ({describe_os_error(err)}); none are run"
    if not scripts:
        return None
    count = "1 script" if len(scripts) == 1 else f"{len(scripts)} scripts"
    names = ", ".join(scripts[:_NAMED]) + (", ..." if len(scripts) > _NAMED else "")
    return (
        f"{folder} holds {count} ({names}) that Ganeti would run as hooks; this version runs "
        "no hooks"
    )


def _scripts(folder: str) -> list[str]:
    """``FOLDER.d/SCRIPT`` of each hook that Ganeti would run, sorted."""
    found = []
    for name in sorted(filter(_FOLDER.fullmatch, os.listdir(folder))):
        below = pathutils.inside(folder, name)
        if os.path.isdir(below):
            found += [
                f"{name}/{script}"
                for script in sorted(os.listdir(below))
                if _SCRIPT.fullmatch(script) and _is_program(pathutils.inside(below, script))
            ]
    return found


def _is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)
