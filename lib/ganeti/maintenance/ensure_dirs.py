"""Owners and modes of everything that a cluster has on this machine (``layout``), set again."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from ganeti import errors, layout, other_ganeti, pathutils
from ganeti.layout import Owners
from ganeti.maintenance import check
from ganeti.utils import ownership, procfs

#: The advice on a machine that belongs to a real Ganeti cluster.
_ADVICE = "Ganeti has its own program for this: /usr/lib/ganeti/ensure-dirs --full-run"


class EnsureDirsError(errors.Error):
    """Nothing was changed, for the reason in the message."""


@dataclass
class Ensured(ownership.OwnershipReport):
    """The changes; ``running`` has a line for each daemon that runs as the wrong user."""

    running: list[str] = field(default_factory=list)


def ensure(paths: pathutils.Paths, owners: Owners, *, dry_run: bool = False) -> Ensured:
    """Make missing directories, and set owners and modes.

    What is not safe to change is left alone and named in ``odd``. ``EnsureDirsError`` if this
    process is not root, on a real Ganeti, and without a cluster.
    """
    if os.geteuid() != 0:
        raise EnsureDirsError("only root can set owners; run it as root")
    sign = other_ganeti.find(paths)
    if sign is not None:
        raise EnsureDirsError(sign.refusal(_ADVICE))
    refusal = check.no_cluster(paths)
    if refusal is not None:
        raise EnsureDirsError(refusal)
    if owners == Owners() and not paths.root:
        owners = Owners(0, 0, 0)  # without dedicated users the daemons run as root
    entries = [*layout.directories(paths, owners, paths.file_storage_dir)]
    report = ownership.apply(entries, dry_run=dry_run)
    files = ownership.apply(list(layout.files(paths, owners)), dry_run=dry_run)
    return Ensured(report.changed + files.changed, report.odd + files.odd, _running(paths, owners))


def _running(paths: pathutils.Paths, owners: Owners) -> list[str]:
    """Return a line for each running daemon whose user does not own its files."""
    lines = []
    for name, uid in (("ganeti-masterd", owners.master), ("ganeti-rapi", owners.rapi)):
        pid = procfs.pid_in(paths.pid_file(name))
        user = procfs.user_of(pid) if pid else None
        if uid != -1 and user is not None and user != uid:
            lines.append(f"{name} (pid {pid}) still runs as another user: restart it")
    return lines
