"""Opcodes about instances: creation, life, removal, detailed data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from ganeti import constants, ht, params
from ganeti.opcodes.base import Array, Object, OpCode, opcode

_DISK_STRINGS = ("name", "vg", "metavg", "adopt", "access", "provider")
#: Keys of a network card that luxid reads as strings that may be empty.
_MAY_BE_EMPTY = ("ip", "vlan")


def disk_problem(disk: Object) -> str | None:
    """Return which key of a disk luxid cannot read, and why; None if it can read all of them.

    A key whose value is null counts as not given.
    """
    size, mode, spindles = map(disk.get, ("size", "mode", "spindles"))
    if size is not None and not ht.is_size(size):
        return f"'size' must be in MiB or a string such as \"1G\", not {ht.shorten(size)}"
    if mode not in (None, *constants.DISK_ACCESS):
        return (
            f"'mode' must be one of {', '.join(sorted(constants.DISK_ACCESS))}, "
            f"not {ht.shorten(mode)}"
        )
    if spindles is not None and not ht.check_for(int).fits(spindles):
        return f"'spindles' must be an integer, not {ht.shorten(spindles)}"
    for key in _DISK_STRINGS:
        value = disk.get(key)
        if value is not None and not ht.check_for(ht.NonEmptyString).fits(value):
            return f"'{key}' must be a non-empty string, not {ht.shorten(value)}"
        if value is not None and not ht.fits_environment(value):
            return (
                f"'{key}' holds characters that cannot be passed to a script: {ht.shorten(value)}"
            )
    return None


def nic_problem(nic: Object) -> str | None:
    """Return which key of a network card luxid cannot read, and why; None if it can read all."""
    for key, value in nic.items():
        if key not in constants.NIC_KEYS:
            return f"{ht.shorten(key)} is not one of {', '.join(sorted(constants.NIC_KEYS))}"
        text = ht.check_for(str if key in _MAY_BE_EMPTY else ht.NonEmptyString)
        if value is not None and not text.fits(value):
            return f"'{key}' must be {text.expects}, not {ht.shorten(value)}"
        if value is not None and not ht.fits_environment(value):
            return (
                f"'{key}' holds characters that cannot be passed to a script: {ht.shorten(value)}"
            )
    return None


def _listed(what: str, expects: str, problem: Callable[[Object], str | None]) -> ht.Refinement:
    """Return the refinement of lists of objects in which ``problem`` finds nothing wrong."""

    def first(entries: list[Object]) -> str | None:
        found = ((index, problem(entry)) for index, entry in enumerate(entries))
        return next((f"{what} {index}: {words}" for index, words in found if words), None)

    return ht.without_problem(f"a list of objects {expects}", first)


#: Disks and NICs as the caller wrote them; the logical unit reads them further.
DiskSpecs = Annotated[
    list[Object],
    _listed(
        "disk",
        'with size (MiB, or a string such as "1G"), mode (ro or rw), spindles (an integer) and '
        + ", ".join(_DISK_STRINGS)
        + " (strings)",
        disk_problem,
    ),
]
NicSpecs = Annotated[
    list[Object],
    _listed(
        "NIC", "with strings for keys among " + ", ".join(sorted(constants.NIC_KEYS)), nic_problem
    ),
]


def _are_os_params(parameters: Object) -> bool:
    """Return whether each parameter can become a variable of a script; integers are allowed."""
    for name, value in parameters.items():
        if "=" in name or not ht.fits_environment(name):
            return False
        if isinstance(value, str):
            if not ht.fits_environment(value):
                return False
        elif not ht.check_for(int).fits(value):
            return False
    return True


#: Parameters of an OS. Ganeti accepts any value, but its job fails unless it is one of these.
OsParams = Annotated[
    Object,
    ht.Refinement(
        "an object with keys without = and NUL, and values that are strings without NUL or "
        "integers",
        _are_os_params,
    ),
]
#: Changes of these: null removes a parameter.
OsParamChanges = Annotated[
    Object,
    ht.Refinement(
        "an object with keys without = and NUL, and values that are strings without NUL, "
        "integers or null",
        lambda given: _are_os_params(
            {name: value for name, value in given.items() if value is not None}
        ),
    ),
]


def parameters(
    what: str,
    problem: Callable[[Object, tuple[object, ...]], str | None],
    unset: tuple[object, ...],
) -> ht.Refinement:
    """Return the refinement of parameters whose values have the right types, or are ``unset``.

    In Ganeti another type ends the job in ``TypeEnforcementError``. Names are left to the job.
    """
    return ht.without_problem(
        f"an object with {what} parameters", lambda given: problem(given, unset)
    )


BeParams = Annotated[Object, parameters("backend", params.beparams_problem, ())]
HvParams = Annotated[Object, parameters("hypervisor", params.hvparams_problem, ())]
NewBeParams = Annotated[Object, parameters("backend", params.beparams_problem, params.AT_CREATION)]


def _one_of(words: frozenset[str]) -> ht.Refinement:
    return ht.Refinement("one of " + ", ".join(sorted(words)), lambda word: word in words)


def _has_templates(parameters: Object) -> bool:
    return parameters.keys() <= frozenset(constants.DISK_TEMPLATES)


# luxid refuses other words when it reads the opcode, before there is a job.
DiskTemplate = Annotated[str, _one_of(frozenset(constants.DISK_TEMPLATES))]
DiskParams = Annotated[
    dict[str, Object],
    ht.Refinement(
        "an object with keys among " + ", ".join(sorted(constants.DISK_TEMPLATES)), _has_templates
    ),
]
NicParams = Annotated[
    Object,
    ht.without_problem(
        "an object with strings for keys among " + ", ".join(sorted(constants.NIC_KEYS)),
        nic_problem,
    ),
]
FileDriver = Annotated[str, _one_of(constants.FILE_DRIVERS)]
Hypervisor = Annotated[str, _one_of(constants.HYPERVISORS)]


class InstanceOpCode(OpCode):
    """Base of the opcodes about one instance that exists."""

    SUMMARY_FIELD = "instance_name"

    instance_name: ht.NonEmptyString
    #: Refuse the job if the instance of this name has another UUID by then.
    instance_uuid: ht.NonEmptyString | None = None


@opcode
class OpInstanceCreate(OpCode):
    """Create an instance, and start it unless ``start`` is false."""

    SUMMARY_FIELD = "instance_name"
    SECRET = frozenset({"osparams_private", "osparams_secret"})

    instance_name: ht.NewHostName
    disks: DiskSpecs
    nics: NicSpecs
    mode: ht.CreateMode
    beparams: NewBeParams = {}
    commit: bool = False
    compress: str = "none"
    conflicts_check: bool = True
    disk_template: DiskTemplate | None = None
    file_driver: FileDriver | None = None
    file_storage_dir: ht.NonEmptyString | None = None
    force_variant: bool = False
    forthcoming: bool = False
    group_name: ht.NonEmptyString | None = None
    helper_shutdown_timeout: int = 7200
    helper_startup_timeout: int = 300
    hvparams: HvParams = {}
    hypervisor: Hypervisor | None = None
    iallocator: ht.NonEmptyString | None = None
    identify_defaults: bool = False
    ignore_ipolicy: bool = False
    instance_communication: bool = False
    ip_check: bool = False
    name_check: bool = False
    no_install: bool | None = None
    opportunistic_locking: bool = False
    os_type: ht.NonEmptyString | None = None
    osparams: OsParams = {}
    osparams_private: OsParams | None = None
    osparams_secret: OsParams | None = None
    pnode: ht.NonEmptyString | None = None
    pnode_uuid: ht.NonEmptyString | None = None
    snode: ht.NonEmptyString | None = None
    snode_uuid: ht.NonEmptyString | None = None
    source_handshake: Array | None = None
    source_instance_name: ht.NonEmptyString | None = None
    source_shutdown_timeout: ht.NonNegativeInt = 120
    source_x509_ca: ht.NonEmptyString | None = None
    src_node: ht.NonEmptyString | None = None
    src_node_uuid: ht.NonEmptyString | None = None
    src_path: ht.NonEmptyString | None = None
    start: bool = True
    tags: list[ht.NonEmptyString] = []
    wait_for_sync: bool = True


@opcode
class OpInstanceRemove(InstanceOpCode):
    """Stop an instance and remove it with its disks."""

    shutdown_timeout: ht.NonNegativeInt = 120
    ignore_failures: bool = False


@opcode
class OpInstanceStartup(InstanceOpCode):
    """Start an instance on its primary node, and unless ``no_remember`` mark it as running."""

    force: bool = False
    ignore_offline_nodes: bool = False
    hvparams: HvParams = {}
    beparams: BeParams = {}
    no_remember: bool = False
    startup_paused: bool = False
    shutdown_timeout: ht.NonNegativeInt = 120


@opcode
class OpInstanceShutdown(InstanceOpCode):
    """Stop an instance: ask its guest, and kill it after ``timeout`` seconds.

    Unless ``no_remember`` the instance is marked as stopped.
    """

    force: bool = False
    ignore_offline_nodes: bool = False
    timeout: ht.NonNegativeInt = 120
    no_remember: bool = False
    admin_state_source: Literal["admin", "user"] = "admin"


@opcode
class OpInstanceReboot(InstanceOpCode):
    """Reboot an instance: ask its guest (soft), reset it (hard), or stop and start it (full)."""

    reboot_type: ht.RebootType
    shutdown_timeout: ht.NonNegativeInt = 120
    ignore_secondaries: bool = False


@opcode
class OpInstanceReinstall(InstanceOpCode):
    """Run the OS create script again on a stopped instance."""

    SECRET = frozenset({"osparams_private", "osparams_secret"})

    force_variant: bool = False
    os_type: ht.NonEmptyString | None = None
    osparams: OsParams | None = None
    osparams_private: OsParams | None = None
    osparams_secret: OsParams | None = None


@opcode
class OpInstanceQueryData(OpCode):
    """Report everything about the named instances, or about all if none is named.

    The result is an object: name of the instance -> its configuration and its state.
    """

    use_locking: bool = False
    instances: list[ht.NonEmptyString] = []
    static: bool = False
