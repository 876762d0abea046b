"""Renewal of the API's certificate: a new rapi.pem, while the old file is kept."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ganeti import certificate, errors, other_ganeti, pathutils
from ganeti.db import files
from ganeti.layout import Owners
from ganeti.maintenance import check
from ganeti.utils import host, io
from ganeti.utils.text import describe_os_error


class RenewalError(errors.Error):
    """The certificate was not renewed, for the reason in the message."""


@dataclass(frozen=True)
class Renewed:
    """Facts about the new certificate; ``kept`` is the path of the old one, if there was one."""

    names: Sequence[str]
    end: str
    fingerprint: str
    kept: str | None = None


def renew(
    paths: pathutils.Paths,
    owners: Owners = Owners(),
    *,
    force: bool = False,
    clock: Callable[[], float] = time.time,
) -> Renewed:
    """Make a new key and a self-signed certificate for the current names and addresses.

    ``RenewalError`` on a real Ganeti, without a cluster, and, unless ``force``, if the present
    certificate was issued by an authority or is a symbolic link.
    """
    sign = other_ganeti.find(paths)
    if sign is not None:
        raise RenewalError(
            sign.refusal("gnt-cluster renew-crypto --new-rapi-certificate makes a new certificate")
        )
    refusal = check.no_cluster(paths)
    if refusal is not None:
        raise RenewalError(refusal)
    try:
        old = _check_present(paths, force)
        names = _names(paths)
        content = certificate.generate(names)
        kept = None if old is None else _keep(paths, clock())
        mode = 0o600 if old is None else stat.S_IMODE(old.st_mode) & 0o640 | 0o600
        has_no_user = owners.rapi == -1 and os.geteuid() == 0
        if old is not None and has_no_user:
            owners = Owners(rapi=old.st_uid, group=old.st_gid)
        io.write_file(paths.rapi_cert, content, mode=mode, uid=owners.rapi, gid=owners.group)
        facts = certificate.facts(content)
    except OSError as err:
        raise RenewalError(f"the certificate was not renewed: {describe_os_error(err)}") from None
    except errors.CommandError as err:
        raise RenewalError(f"the certificate was not renewed: {err}") from None
    return Renewed(names, facts.get("end", ""), facts.get("fingerprint", ""), kept)


def _check_present(paths: pathutils.Paths, force: bool) -> os.stat_result | None:
    """Return the status of the present file; None if there is none, or only a link.

    ``RenewalError`` if it may not be replaced.
    """
    try:
        found = os.lstat(paths.rapi_cert)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(found.st_mode):
        if not force:
            raise RenewalError(
                f"{paths.rapi_cert} is a symbolic link to "
                f"{os.readlink(paths.rapi_cert)}; --force replaces it"
            )
        return None
    if not stat.S_ISREG(found.st_mode):
        raise RenewalError(f"{paths.rapi_cert} is not a regular file; move it away")
    # O_NOFOLLOW, because the owner of the directory may replace the file meanwhile.
    fd = os.open(paths.rapi_cert, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        if not force and not certificate.is_replaceable(file.read()):
            raise RenewalError(
                f"the certificate in {paths.rapi_cert} was issued by an authority, "
                "which must renew it; --force replaces it by a self-signed one"
            )
        return os.fstat(fd)


def _names(paths: pathutils.Paths) -> list[str]:
    """Return the names of the cluster, of its master and of this machine, in that order."""
    return list(
        dict.fromkeys(
            [*(_names_in_database(paths) or _names_in_ssconf(paths)), *sorted(host.own_names())]
        )
    )


def _names_in_database(paths: pathutils.Paths) -> list[str]:
    with contextlib.suppress(*files.UNREADABLE, LookupError):
        with contextlib.closing(files.connect(paths.master_db)) as connection:
            found = check.load_objects(connection)
        return [found.clusters[0].name, found.master_name]
    return []


def _names_in_ssconf(paths: pathutils.Paths) -> list[str]:
    """Return the names from the ssconf files, for a database that cannot be read."""
    names = []
    for key in ("cluster_name", "master_node"):
        with open(paths.ssconf(key), encoding="utf-8", errors="replace") as file:
            names.append(file.read().strip())
    return names


def _keep(paths: pathutils.Paths, now: float) -> str:
    """Copy the present file, with its key, to a new name; return that name.

    Only the owner can read the copy.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    for number in itertools.count(1):
        kept = paths.kept_certificate(stamp if number == 1 else f"{stamp}-{number}")
        with contextlib.suppress(FileExistsError):
            io.copy_file(paths.rapi_cert, kept)
            break
    return kept
