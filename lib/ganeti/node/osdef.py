"""OS definitions: directories with scripts that install a system on an instance's disks.

Layout, files and environment are those of ganeti-os-interface(7), API versions 10, 15
and 20. An OS with variants is named ``name+variant``.

A script gets a documented environment and no other variable. If it fails or its job is
canceled, all processes that it started are ended too. The end of its output becomes part
of an error message, without the values of private and secret parameters.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from ganeti import constants, errors, ht, pathutils
from ganeti.constants import DiskTemplate, ErrorCode
from ganeti.jqueue.live import JobContext
from ganeti.objects import Instance
from ganeti.utils import process
from ganeti.utils.redaction import redact
from ganeti.utils.text import nice_key

SCRIPTS = ("create", "export", "import", "rename")
VERIFY_SCRIPT = "verify"  # from version 20 on
#: A create script that Ganeti 3.0 runs in a helper virtual machine.
UNTRUSTED_SCRIPT = "create_untrusted"
VERSION_FILE = "ganeti_api_version"
VARIANTS_FILE = "variants.list"  # from version 15 on, may be missing
PARAMETERS_FILE = "parameters.list"  # from version 20 on

#: Lines of a failed script's output that its error quotes.
QUOTED_LINES = 10
#: Time limit of a verify script; Ganeti's nodes have as long to answer.
VERIFY_SECONDS = 300.0
#: The checks that a verify script is told to make: all those of API version 20.
VERIFY_CHECKS = ("parameters",)

#: Maximum length of a file name, in bytes.
_NAME_MAX = 255
#: Maximum length of an OS name within the name of a log file.
_OS_NAME_MAX = 64
#: The first API version whose definitions list their parameters and check the values.
_VERSION_WITH_PARAMETERS = 20


@dataclass(frozen=True)
class OsDefinition:
    """An OS definition; if it is broken, ``problem`` says why it cannot be used."""

    name: str
    path: str
    problem: str = ""
    api_versions: tuple[int, ...] = ()
    variants: tuple[str, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()  # name, description
    untrusted: bool = False

    @property
    def valid(self) -> bool:
        """Return whether instances can be created with it."""
        return not self.problem

    @property
    def api_version(self) -> int:
        """Return the newest API version that both the definition and this program know."""
        return max(set(self.api_versions) & constants.OS_API_VERSIONS)

    @property
    def names_parameters(self) -> bool:
        """Return whether it lists its parameters; older definitions accept any."""
        return self.api_version >= _VERSION_WITH_PARAMETERS

    @property
    def full_names(self) -> list[str]:
        """Return the OS names for instances: ``name``, or ``name+variant`` for each variant."""
        return [f"{self.name}+{variant}" for variant in self.variants] or [self.name]

    def script(self, name: str) -> str:
        """Return the path of one of its scripts."""
        return pathutils.inside(self.path, name)


def split_name(os_name: str) -> tuple[str, str]:
    """Return the name of the definition and the variant ("" for none) of an OS."""
    name, _, variant = os_name.partition("+")
    return name, variant


# -- reading ----------------------------------------------------------------------


class _InvalidDefinition(Exception):
    """The defect of a definition, in words."""


def scan(search_path: Sequence[str]) -> list[OsDefinition]:
    """Return all definitions, sorted by name; the first directory that has a name wins."""
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
    """Return the definition of an OS, whatever its variant, or None."""
    name, _ = split_name(os_name)
    if not ht.is_os_name(name):
        return None
    for directory in search_path:
        path = pathutils.inside(directory, name)
        if os.path.isdir(path):
            return load(name, path)
    return None


def load(name: str, path: str) -> OsDefinition:
    """Return one definition; a defect makes it invalid and raises nothing."""
    versions: tuple[int, ...] = ()
    untrusted = os.path.exists(pathutils.inside(path, UNTRUSTED_SCRIPT))
    try:
        versions = _versions(path)
        newest = max(versions)
        if untrusted:
            raise _InvalidDefinition(
                f"its script {UNTRUSTED_SCRIPT} must run in a virtual machine, which this "
                "version does not support; remove it, or rename it to create if it may run on "
                "the node"
            )
        scripts = [*SCRIPTS]
        if newest >= _VERSION_WITH_PARAMETERS:
            scripts.append(VERIFY_SCRIPT)
        for script in scripts:
            _check_script(pathutils.inside(path, script))
        variants = _lines(path, VARIANTS_FILE, required=False) if newest >= 15 else []
        parameters = (
            _lines(path, PARAMETERS_FILE, required=True)
            if newest >= _VERSION_WITH_PARAMETERS
            else []
        )
    except _InvalidDefinition as err:
        return OsDefinition(name, path, str(err), versions, untrusted=untrusted)
    return OsDefinition(
        name, path, "", versions, tuple(variants), tuple(_parameter(line) for line in parameters)
    )


def _versions(path: str) -> tuple[int, ...]:
    """Return the API versions that both sides know; raise ``_InvalidDefinition`` for none."""
    lines = _lines(path, VERSION_FILE, required=True)
    if not lines or not all(line.isdecimal() and line.isascii() for line in lines):
        raise _InvalidDefinition(f"{VERSION_FILE} must contain only numbers")
    versions = tuple(int(line) for line in lines)
    if not set(versions) & constants.OS_API_VERSIONS:
        raise _InvalidDefinition(f"its API versions ({', '.join(lines)}) are not supported")
    return tuple(version for version in versions if version in constants.OS_API_VERSIONS)


def _lines(path: str, name: str, *, required: bool) -> list[str]:
    try:
        with open(pathutils.inside(path, name), encoding="utf-8") as file:
            stripped = [line.strip() for line in file]
    except FileNotFoundError:
        if required:
            raise _InvalidDefinition(f"{name} is missing") from None
        return []
    except OSError as err:
        raise _InvalidDefinition(f"{name} cannot be read: {err.strerror}") from None
    except UnicodeDecodeError as err:
        raise _InvalidDefinition(f"{name} cannot be read: {err}") from None
    return [line for line in stripped if line and not line.startswith("#")]


def _check_script(path: str) -> None:
    name = os.path.basename(path)
    if not os.path.isfile(path):
        raise _InvalidDefinition(f"the script {name} is missing")
    if not os.access(path, os.X_OK):
        raise _InvalidDefinition(f"the script {name} is not executable")


def _parameter(line: str) -> tuple[str, str]:
    name, *words = line.split(maxsplit=1)
    return name, words[0] if words else ""


# -- checks -----------------------------------------------------------------------


def check_variant(definition: OsDefinition, os_name: str, *, force: bool = False) -> None:
    """Raise ``OpPrereqError`` if the variant of an OS name does not fit the definition.

    ``force`` accepts any well-formed variant, or none, because a definition may know more
    variants than it lists.
    """
    _, variant = split_name(os_name)
    if variant and not ht.is_os_name(f"{definition.name}+{variant}"):
        raise errors.OpPrereqError(
            f"Invalid variant {ht.shorten(variant)} of OS '{definition.name}'", ErrorCode.INVAL
        )
    if force:
        return
    if not definition.variants:
        if variant:
            raise errors.OpPrereqError(
                f"OS '{definition.name}' has no variants ('{variant}' was given)", ErrorCode.INVAL
            )
        return
    if not variant:
        raise errors.OpPrereqError(
            f"OS name '{os_name}' must include a variant, one of "
            + ", ".join(definition.full_names),
            ErrorCode.INVAL,
        )
    if variant not in definition.variants:
        raise errors.OpPrereqError(
            f"Unknown variant '{variant}' of OS '{definition.name}'", ErrorCode.INVAL
        )


def check_parameters(definition: OsDefinition, given: Iterable[str]) -> None:
    """Raise ``OpPrereqError`` for a parameter that the definition does not have."""
    unknown = unknown_parameters(definition, given)
    if unknown:
        raise errors.OpPrereqError(
            f"OS '{definition.name}' has no parameter named " + ", ".join(unknown), ErrorCode.INVAL
        )


def unknown_parameters(definition: OsDefinition, names: Iterable[str]) -> list[str]:
    """Return the names, sorted, that the definition's list of parameters lacks.

    A definition without a list accepts all names. Case matters, as in Ganeti.
    """
    if not definition.names_parameters:
        return []
    return sorted(set(names).difference(name for name, _ in definition.parameters))


def variable_of(parameter: str) -> str:
    """Return the name of the environment variable with a parameter's value."""
    return "OSP_" + parameter.upper().replace("-", "_")


def check_variables(*kinds: Collection[str]) -> None:
    """Raise ``OpPrereqError`` if two parameters have the same environment variable.

    Each kind is a collection of names: of the public, private or secret parameters.
    """
    seen: dict[str, str] = {}
    for name in (name for kind in kinds for name in kind):
        variable = variable_of(name)
        other = seen.get(variable)
        if other == name:
            raise errors.OpPrereqError(
                f"The OS parameter '{name}' is given more than once; it must be "
                "either public, private or secret",
                ErrorCode.INVAL,
            )
        if other is not None:
            raise errors.OpPrereqError(
                f"The OS parameters '{other}' and '{name}' cannot be used together: "
                f"both are passed in the environment variable {variable}",
                ErrorCode.INVAL,
            )
        seen[variable] = name


def text_of(name: str, value: object) -> str:
    """Return a parameter's value as a script sees it, or raise ``OpPrereqError``.

    Opcodes accept only strings and integers, but older versions did not check, so a stored
    value may have any type.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and ht.fits_environment(value):
        return value
    raise errors.OpPrereqError(
        f"The value of the OS parameter '{name}' must be a string without NUL; set it again",
        ErrorCode.INVAL,
    )


# -- environment of scripts -------------------------------------------------------


@dataclass(frozen=True)
class ScriptInput:
    """An instance as a script sees it, with lists in the order of its disks and NICs."""

    instance: Instance
    beparams: Mapping[str, object] = field(default_factory=dict)
    hvparams: Mapping[str, object] = field(default_factory=dict)
    osparams: Mapping[str, object] = field(default_factory=dict)
    disk_paths: Sequence[str] = ()
    nicparams: Sequence[Mapping[str, object]] = ()
    debug_level: int = 0


def core_environment(
    definition: OsDefinition,
    os_name: str,
    parameters: Mapping[str, object],
    *,
    debug_level: int = 0,
) -> dict[str, str]:
    """Return the variables of every script; a verify script gets no others."""
    result = {
        "PATH": process.SAFE_PATH,
        "OS_API_VERSION": str(definition.api_version),
        "OS_NAME": definition.name,
        "OS_VARIANT": _variant(definition, os_name),
        "DEBUG_LEVEL": str(debug_level),
    }
    result.update({variable_of(name): text_of(name, value) for name, value in parameters.items()})
    return result


def _variant(definition: OsDefinition, os_name: str) -> str:
    """Return the variant, empty without variants even if one was forced (as Ganeti 3.0)."""
    if not definition.variants:
        return ""
    return split_name(os_name)[1] or definition.variants[0]


def environment(definition: OsDefinition, script_input: ScriptInput) -> dict[str, str]:
    """Return the whole environment of a script that runs for an instance.

    Nodes appear as uuids, as in Ganeti 3.0.
    """
    instance = script_input.instance
    result = {
        **core_environment(
            definition, instance.os, script_input.osparams, debug_level=script_input.debug_level
        ),
        "INSTANCE_NAME": instance.name,
        "INSTANCE_OS": instance.os,
        "INSTANCE_UUID": instance.uuid,
        "INSTANCE_CTIME": str(instance.ctime),
        "INSTANCE_MTIME": str(instance.mtime),
        "INSTANCE_PRIMARY_NODE": instance.primary_node,
        "INSTANCE_SECONDARY_NODES": " ".join(instance.secondary_nodes),
        "HYPERVISOR": instance.hypervisor,
        "DISK_COUNT": str(len(instance.disks)),
        "NIC_COUNT": str(len(instance.nics)),
    }
    result.update(_disks(script_input))
    result.update(_nics(script_input))
    for kind, values in (("BE", script_input.beparams), ("HV", script_input.hvparams)):
        result.update({f"INSTANCE_{kind}_{name}": str(value) for name, value in values.items()})
    return result


def _disks(script_input: ScriptInput) -> dict[str, str]:
    result: dict[str, str] = {}
    for index, (disk, path) in enumerate(zip(script_input.instance.disks, script_input.disk_paths)):
        values = {"ACCESS": disk.mode, "UUID": disk.uuid, "SIZE": str(disk.size), "PATH": path}
        if disk.name:
            values["NAME"] = disk.name
        if "disk_type" in script_input.hvparams:
            values["FRONTEND_TYPE"] = str(script_input.hvparams["disk_type"])
        file_based = disk.dev_type in (DiskTemplate.FILE, DiskTemplate.SHARED_FILE)
        values["BACKEND_TYPE"] = f"file:{disk.logical_id[0]}" if file_based else "block"
        result.update({f"DISK_{index}_{name}": value for name, value in values.items()})
    return result


def _nics(script_input: ScriptInput) -> dict[str, str]:
    result: dict[str, str] = {}
    for index, (nic, nicparams) in enumerate(
        zip(script_input.instance.nics, script_input.nicparams)
    ):
        values = {"MAC": nic.mac, "UUID": nic.uuid, "MODE": str(nicparams["mode"])}
        if nic.name:
            values["NAME"] = nic.name
        if nic.ip:
            values["IP"] = nic.ip
        if nicparams["mode"] == "bridged":
            values["BRIDGE"] = str(nicparams["link"])
        if nicparams["link"]:
            values["LINK"] = str(nicparams["link"])
        if "nic_type" in script_input.hvparams:
            values["FRONTEND_TYPE"] = str(script_input.hvparams["nic_type"])
        result.update({f"NIC_{index}_{name}": value for name, value in values.items()})
    return result


# -- running ----------------------------------------------------------------------


def run_create(
    definition: OsDefinition,
    script_input: ScriptInput,
    paths: pathutils.Paths,
    run: JobContext,
    *,
    reinstall: bool,
    hidden: Mapping[str, object],
) -> None:
    """Run a definition's create script to its end.

    Raise ``OpExecError`` with the end of the log, without the values in ``hidden``, if it
    fails. If the job is canceled, end the script and raise ``JobCanceled``.
    """
    instance = script_input.instance
    variables = environment(definition, script_input)
    if reinstall:
        variables["INSTANCE_REINSTALL"] = "1"
    log = log_of("reinstall" if reinstall else "add", instance.os, instance.name, paths, run.job_id)
    with _as_execution_error():
        ended = process.run_logged(
            process.Program(
                [definition.script("create")],
                variables,
                definition.path,
                mark="INSTANCE_UUID",
                limits=process.Limits(cancelled=run.cancelled),
            ),
            log,
        )
    if ended.cancelled:
        run.stop_if_cancelled()
    if ended.status != 0:
        quoted = _quote(process.tail(log), hidden)
        raise errors.OpExecError(
            f"The create script of OS '{instance.os}' failed for '{instance.name}' ({ended}); "
            f"its log is {log}" + (f", last lines:\n{quoted}" if quoted else " (empty)")
        )


def run_verify(
    definition: OsDefinition,
    os_name: str,
    parameters: Mapping[str, object],
    run: JobContext | None,
    *,
    hidden: Mapping[str, object],
) -> None:
    """Run a definition's verify script, if its API version has one, to check parameters.

    Raise ``OpExecError`` with the end of the output, without the values in ``hidden``, if
    it fails. If the job is canceled, end the script and raise ``JobCanceled``.
    """
    if not definition.names_parameters:
        return
    limits = process.Limits(seconds=VERIFY_SECONDS)
    if run is not None:
        limits = process.Limits(seconds=VERIFY_SECONDS, cancelled=run.cancelled)
    with _as_execution_error():
        ended, output = process.run_captured(
            process.Program(
                [definition.script(VERIFY_SCRIPT), *VERIFY_CHECKS],
                core_environment(definition, os_name, parameters),
                definition.path,
                limits=limits,
            )
        )
    if run is not None and ended.cancelled:
        run.stop_if_cancelled()
    if ended.status != 0:
        quoted = _quote(output, hidden)
        raise errors.OpExecError(
            f"The script verify of OS '{os_name}', which checks its parameters, failed ({ended})"
            + (f", last lines:\n{quoted}" if quoted else " without any output")
        )


@contextmanager
def _as_execution_error() -> Iterator[None]:
    """Raise ``OpExecError``, as Ganeti does, if the node cannot run the script."""
    try:
        yield
    except errors.CommandError as err:
        raise errors.OpExecError(str(err)) from err


def _quote(output: str, hidden: Mapping[str, object]) -> str:
    lines = redact(output, map(str, hidden.values())).splitlines()
    return "\n".join(lines[-QUOTED_LINES:])


def log_of(action: str, os_name: str, instance: str, paths: pathutils.Paths, job_id: int) -> str:
    """Return the path of a run's log: ``ACTION-OS-INSTANCE-TIME-jobID.log``.

    Long names are shortened: each may be as long as a file name, and both must fit in one.
    """
    stamp = f"{time.strftime('%Y-%m-%d_%H_%M_%S')}-job{job_id}"
    os_name = _shorten(os_name, _OS_NAME_MAX)
    others = len(f"{action}-{os_name}--{stamp}.log")
    return paths.os_log(action, os_name, _shorten(instance, _NAME_MAX - others), stamp)


def _shorten(name: str, length: int) -> str:
    """Return a name of at most ``length`` characters that stays unique, by a hash at its end."""
    if len(name) <= length:
        return name
    tail = "~" + hashlib.sha256(name.encode()).hexdigest()[:8]
    return name[: length - len(tail)] + tail
