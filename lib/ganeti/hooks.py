"""A warning about Ganeti's hooks, which this version does not run.

Ganeti runs the scripts in ``hooks/OPERATION-pre.d`` and ``OPERATION-post.d`` below its
configuration directory. Sites use them to keep firewalls, name servers and backups up to date, so
administrators must know that they are not run.
"""

from __future__ import annotations

import os
import re

from ganeti import pathutils
from ganeti.utils.text import describe_os_error

_FOLDER = re.compile(r"[a-z-]+-(pre|post)\.d", re.ASCII)
#: Ganeti ignores files with other names, such as editors' backups.
_SCRIPT = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
#: The most scripts that the warning names.
_NAMED = 3


def notice(paths: pathutils.Paths) -> str | None:
    """Return a line that names the hooks that exist and are not run; None without hooks."""
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
    """Return ``OPERATION-PHASE.d/SCRIPT`` of each hook that Ganeti would run, sorted."""
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
