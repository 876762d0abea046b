"""Sets owners and modes of everything that a cluster has on this machine (``layout``)."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from ganeti import errors, layout, other_ganeti, pathutils
from ganeti.layout import Owners
from ganeti.utils import ownership, procfs

#: Where Ganeti's own program of this purpose is.
_THEIRS = "Ganeti's own ensure-dirs looks after its files: /usr/lib/ganeti/ensure-dirs --full-run"


class EnsureDirsError(errors.Error):
    """Nothing was set, in words."""


@dataclass
class Ensured(ownership.OwnershipReport):
    """What was done; ``running`` has a line for each daemon of another user."""

    running: list[str] = field(default_factory=list)


def ensure(paths: pathutils.Paths, owners: Owners, *, dry_run: bool = False) -> Ensured:
    """Make missing directories, set owners and modes; ``EnsureDirsError`` says why not.

    Only root can. What is not safe to change is left alone and named (``odd``).
    """
    if os.geteuid() != 0:
        raise EnsureDirsError("only root can set owners; run it as root")
    sign = other_ganeti.find(paths)
    if sign is not None:
        raise EnsureDirsError(sign.refusal(_THEIRS))
    if not os.path.exists(paths.master_db) and not os.path.exists(paths.next_db):
        raise EnsureDirsError(f"there is no cluster on this machine ({paths.master_db} is missing)")
    if owners == Owners() and not paths.root:
        owners = Owners(0, 0, 0)  # without users of their own the daemons are root
    entries = [*layout.directories(paths, owners, paths.file_storage_dir)]
    report = ownership.apply(entries, dry_run=dry_run)
    files = ownership.apply(list(layout.files(paths, owners)), dry_run=dry_run)
    return Ensured(report.changed + files.changed, report.odd + files.odd, _running(paths, owners))


def _running(paths: pathutils.Paths, owners: Owners) -> list[str]:
    """Return a line for each daemon that runs as another user than its files belong to."""
    lines = []
    for name, uid in (("ganeti-masterd", owners.master), ("ganeti-rapi", owners.rapi)):
        pid = procfs.pid_in(paths.pid_file(name))
        user = procfs.user_of(pid) if pid else None
        if uid != -1 and user is not None and user != uid:
            lines.append(f"{name} (pid {pid}) still runs as another user: restart it")
    return lines
