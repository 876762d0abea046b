"""OS definitions: directories with scripts that put a system on an instance's disks.

Layout, files and environment are those of ganeti-os-interface(7), API versions
10, 15 and 20. A definition with variants is named ``name+variant``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ganeti import constants, errors, ht, pathutils
from ganeti.constants import DiskTemplate, ErrorCode
from ganeti.objects import Instance
from ganeti.utils import process
from ganeti.utils.text import nice_key

SCRIPTS = ("create", "export", "import", "rename")
VERIFY_SCRIPT = "verify"                # from version 20 on
VERSION_FILE = "ganeti_api_version"
VARIANTS_FILE = "variants.list"         # from version 15 on, may be missing
PARAMETERS_FILE = "parameters.list"     # from version 20 on

#: Lines of a failed script's log that its error quotes.
QUOTED_LINES = 10

#: What stands for a secret in words that others may read.
REDACTED = "<redacted>"
#: Shorter secrets would hide half of any text.
_REDACTED_MIN = 3


@dataclass(frozen=True)
class OsDefinition:
    """One definition, also a broken one: ``problem`` says why it cannot be used."""

    name: str
    path: str
    problem: str = ""
    api_versions: tuple[int, ...] = ()
    variants: tuple[str, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()       # name, description

    @property
    def valid(self) -> bool:
        """Can instances be made with it?"""
        return not self.problem

    @property
    def api_version(self) -> int:
        """The newest version that it and we know."""
        return max(set(self.api_versions) & constants.OS_API_VERSIONS)

    @property
    def full_names(self) -> list[str]:
        """What an instance's OS may be: ``name``, or ``name+variant`` of each variant."""
        return [f"{self.name}+{variant}" for variant in self.variants] or [self.name]

    def script(self, name: str) -> str:
        """Path of one of its scripts."""
        return pathutils.inside(self.path, name)


def split_name(os_name: str) -> tuple[str, str]:
    """Definition and variant ("" for none) of an instance's OS."""
    name, _, variant = os_name.partition("+")
    return name, variant


# -- reading ----------------------------------------------------------------------

class _Broken(Exception):
    """A definition's defect, in words."""


def scan(search_path: Sequence[str]) -> list[OsDefinition]:
    """All definitions, by name; one that stands earlier on the path hides later ones."""
    found: dict[str, str] = {}
    for directory in search_path:
        try:
            names = os.listdir(directory)
        except OSError:
            continue
        for name in names:
            path = pathutils.inside(directory, name)
            if ht.is_os_name(name) and "+" not in name and os.path.isdir(path):
                found.setdefault(name, path)
    return [load(name, found[name]) for name in sorted(found, key=nice_key)]


def find(search_path: Sequence[str], os_name: str) -> OsDefinition | None:
    """The definition of an OS, its variant left aside."""
    name, _ = split_name(os_name)
    if not ht.is_os_name(name):
        return None
    for directory in search_path:
        path = pathutils.inside(directory, name)
        if os.path.isdir(path):
            return load(name, path)
    return None


def load(name: str, path: str) -> OsDefinition:
    """Read one definition; a defect makes it invalid, never an exception."""
    versions: tuple[int, ...] = ()
    try:
        versions = _versions(path)
        newest = max(versions)
        scripts = SCRIPTS + ((VERIFY_SCRIPT,) if newest >= 20 else ())
        for script in scripts:
            _check_script(pathutils.inside(path, script))
        variants = _lines(path, VARIANTS_FILE, required=False) if newest >= 15 else []
        parameters = _lines(path, PARAMETERS_FILE, required=True) if newest >= 20 else []
    except _Broken as err:
        return OsDefinition(name, path, str(err), versions)
    return OsDefinition(name, path, "", versions, tuple(variants),
                        tuple(_parameter(line) for line in parameters))


def _versions(path: str) -> tuple[int, ...]:
    """The API versions that it and we know; none is a defect."""
    lines = _lines(path, VERSION_FILE, required=True)
    if not lines or not all(line.isdecimal() and line.isascii() for line in lines):
        raise _Broken(f"{VERSION_FILE} holds something else than numbers")
    versions = tuple(int(line) for line in lines)
    if not set(versions) & constants.OS_API_VERSIONS:
        raise _Broken(f"its API versions ({', '.join(lines)}) are none that we know")
    return tuple(version for version in versions if version in constants.OS_API_VERSIONS)


def _lines(path: str, name: str, *, required: bool) -> list[str]:
    try:
        with open(pathutils.inside(path, name), encoding="utf-8") as file:
            stripped = [line.strip() for line in file]
    except FileNotFoundError:
        if required:
            raise _Broken(f"{name} is missing") from None
        return []
    except OSError as err:
        raise _Broken(f"{name} cannot be read: {err.strerror}") from None
    except UnicodeDecodeError as err:
        raise _Broken(f"{name} cannot be read: {err}") from None
    return [line for line in stripped if line and not line.startswith("#")]


def _check_script(path: str) -> None:
    name = os.path.basename(path)
    if not os.path.isfile(path):
        raise _Broken(f"the script {name} is missing")
    if not os.access(path, os.X_OK):
        raise _Broken(f"the script {name} is not executable")


def _parameter(line: str) -> tuple[str, str]:
    name, *words = line.split(maxsplit=1)
    return name.lower(), words[0] if words else ""


# -- may it be used ---------------------------------------------------------------

def check_variant(definition: OsDefinition, os_name: str, *, force: bool = False) -> None:
    """``OpPrereqError`` when an OS name's variant does not fit its definition.

    ``force`` takes a variant that the definition does not list: it may know more.
    """
    _, variant = split_name(os_name)
    if not definition.variants:
        if variant:
            raise errors.OpPrereqError(
                f"OS '{definition.name}' has no variants ('{variant}' was given)",
                ErrorCode.INVAL)
        return
    if not variant:
        raise errors.OpPrereqError(f"OS name '{os_name}' must include a variant, one of "
                                   + ", ".join(definition.full_names), ErrorCode.INVAL)
    if variant not in definition.variants and not force:
        raise errors.OpPrereqError(f"Unknown variant '{variant}' of OS '{definition.name}'",
                                   ErrorCode.INVAL)


def check_parameters(definition: OsDefinition, given: Mapping[str, Any]) -> None:
    """``OpPrereqError`` for a parameter that the definition does not have."""
    known = {name for name, _ in definition.parameters}
    unknown = sorted(set(map(str.lower, given)) - known)
    if unknown:
        raise errors.OpPrereqError(
            f"OS '{definition.name}' has no parameter named " + ", ".join(unknown),
            ErrorCode.INVAL)


# -- what its scripts see ---------------------------------------------------------

@dataclass(frozen=True)
class Subject:
    """An instance as a script sees it; lists are in the order of its disks and NICs."""

    instance: Instance
    primary_node: str                               # name
    secondary_nodes: Sequence[str] = ()
    beparams: Mapping[str, Any] = field(default_factory=dict)
    hvparams: Mapping[str, Any] = field(default_factory=dict)
    osparams: Mapping[str, Any] = field(default_factory=dict)
    disk_paths: Sequence[str] = ()
    nicparams: Sequence[Mapping[str, Any]] = ()


def environment(definition: OsDefinition, subject: Subject) -> dict[str, str]:
    """The whole environment of a script run for an instance; nothing else is passed on."""
    instance = subject.instance
    result = {
        "PATH": process.SAFE_PATH,
        "OS_API_VERSION": str(definition.api_version),
        "OS_NAME": definition.name,
        "DEBUG_LEVEL": "0",
        "INSTANCE_NAME": instance.name,
        "INSTANCE_OS": instance.os,
        "INSTANCE_UUID": instance.uuid,
        "INSTANCE_CTIME": str(instance.ctime),
        "INSTANCE_MTIME": str(instance.mtime),
        "INSTANCE_PRIMARY_NODE": subject.primary_node,
        "INSTANCE_SECONDARY_NODES": " ".join(subject.secondary_nodes),
        "HYPERVISOR": instance.hypervisor,
        "DISK_COUNT": str(len(instance.disks)),
        "NIC_COUNT": str(len(instance.nics)),
    }
    if definition.api_version >= 15:
        # Without variants the name stands here too (Ganeti 3.0).
        result["OS_VARIANT"] = split_name(instance.os)[1] or definition.name
    result.update(_disks(subject))
    result.update(_nics(subject))
    for kind, values in (("BE", subject.beparams), ("HV", subject.hvparams)):
        result.update({f"INSTANCE_{kind}_{name}": str(value) for name, value in values.items()})
    result.update({f"OSP_{name.upper().replace('-', '_')}": str(value)
                   for name, value in subject.osparams.items()})
    return result


def _disks(subject: Subject) -> dict[str, str]:
    result: dict[str, str] = {}
    for index, (disk, path) in enumerate(zip(subject.instance.disks, subject.disk_paths)):
        values = {"ACCESS": disk.mode, "UUID": disk.uuid, "SIZE": str(disk.size), "PATH": path}
        if disk.name:
            values["NAME"] = disk.name
        if "disk_type" in subject.hvparams:
            values["FRONTEND_TYPE"] = str(subject.hvparams["disk_type"])
        file_based = disk.dev_type in (DiskTemplate.FILE, DiskTemplate.SHARED_FILE)
        values["BACKEND_TYPE"] = f"file:{disk.logical_id[0]}" if file_based else "block"
        result.update({f"DISK_{index}_{name}": value for name, value in values.items()})
    return result


def _nics(subject: Subject) -> dict[str, str]:
    result: dict[str, str] = {}
    for index, (nic, nicparams) in enumerate(zip(subject.instance.nics, subject.nicparams)):
        values = {"MAC": nic.mac, "UUID": nic.uuid, "MODE": str(nicparams["mode"])}
        if nic.name:
            values["NAME"] = nic.name
        if nic.ip:
            values["IP"] = nic.ip
        if nicparams["mode"] == "bridged":
            values["BRIDGE"] = str(nicparams["link"])
        if nicparams["link"]:
            values["LINK"] = str(nicparams["link"])
        if "nic_type" in subject.hvparams:
            values["FRONTEND_TYPE"] = str(subject.hvparams["nic_type"])
        result.update({f"NIC_{index}_{name}": value for name, value in values.items()})
    return result


# -- running ----------------------------------------------------------------------

class Run(Protocol):
    """What is needed of a job to run a script for it."""

    @property
    def job_id(self) -> int: ...

    def cancelled(self) -> bool: ...

    def stop_if_cancelled(self) -> None: ...


def run_create(definition: OsDefinition, subject: Subject, paths: pathutils.Paths, run: Run, *,
               reinstall: bool, hidden: Mapping[str, Any]) -> None:
    """Run a definition's create script to its end.

    ``OpExecError`` quotes the end of its log, without the values in ``hidden``.
    When the job is canceled the script is ended and ``JobCanceled`` raised.
    """
    instance = subject.instance
    variables = environment(definition, subject)
    if reinstall:
        variables["INSTANCE_REINSTALL"] = "1"
    stamp = f"{time.strftime('%Y-%m-%d_%H_%M_%S')}-job{run.job_id}"
    log = paths.os_log("reinstall" if reinstall else "add", instance.os, instance.name, stamp)
    ended = process.run_logged([definition.script("create")], environment=variables, log=log,
                               directory=definition.path, cancelled=run.cancelled)
    if ended.cancelled:
        run.stop_if_cancelled()
    if ended.status != 0:
        lines = redact(process.last_lines(log, QUOTED_LINES), hidden)
        raise errors.OpExecError(
            f"The create script of OS '{instance.os}' failed for '{instance.name}' ({ended}); "
            f"its log is {log}" + (", last lines:\n" + "\n".join(lines) if lines else " (empty)"))


def redact(lines: Sequence[str], secrets: Mapping[str, Any]) -> list[str]:
    """Lines of a script's output without the values of secret parameters."""
    values = sorted((str(value) for value in secrets.values()
                     if len(str(value)) >= _REDACTED_MIN), key=len, reverse=True)
    result = []
    for line in lines:
        for value in values:
            line = line.replace(value, REDACTED)
        result.append(line)
    return result
