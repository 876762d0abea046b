"""Backend, hypervisor, NIC, node and disk parameters: name, type, default and rule of each.

There is a table for each kind. ``fill`` overrides defaults with values that were set,
``check_*`` converts and checks the values that a job is to set, and ``*_problem`` finds, before
a job is submitted, values of a type that every job would refuse.

Names, types and defaults are Ganeti 3.0's, measured on its ``/2/info``. A type accepts the values
that Ganeti's ``ForceDictType`` accepts (2.0 is an integer, 1 a boolean). Errors have the classes
that Ganeti's jobs have: ``TypeEnforcementError`` for an unknown name or a wrong type,
``HypervisorError`` for a hypervisor's parameter with a bad value.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ganeti import constants, errors, ht
from ganeti.constants import ErrorCode

Values = dict[str, Any]

#: Values that stand for the cluster's value: when an instance is created, when parameters are
#: modified, and when backend parameters are modified.
AT_CREATION: tuple[object, ...] = (constants.VALUE_AUTO,)
AT_CHANGE: tuple[object, ...] = (constants.VALUE_DEFAULT,)
AT_BACKEND_CHANGE: tuple[object, ...] = (constants.VALUE_DEFAULT, None)
#: The same for network cards, in both cases.
_OF_NIC: tuple[object, ...] = (constants.VALUE_DEFAULT, constants.VALUE_AUTO)

#: Sets both ``minmem`` and ``maxmem``; values given for these two are then ignored.
MEMORY = "memory"
#: The database and luxid hold no larger integers.
_MAX_INT = 2**63 - 1


@dataclass(frozen=True)
class ParameterRule:
    """A condition on values of the right type."""

    expects: str
    fits: Callable[[Any], bool]
    choices: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Parameter:
    """A row of a table. If ``optional``, an empty string is valid whatever the rule."""

    name: str
    kind: str
    default: object
    rule: ParameterRule | None = None
    optional: bool = False


Table = dict[str, Parameter]


def _table(*rows: Parameter) -> Table:
    return {row.name: row for row in rows}


def defaults(table: Table) -> Values:
    """Return the default of every parameter of a table."""
    return {name: row.default for name, row in table.items()}


# -- types ------------------------------------------------------------------------

BOOL, INT, FLOAT, SIZE, STRING, MAYBE_STRING = (
    "boolean",
    "integer",
    "float",
    "size",
    "string",
    "string or null",
)


def _read_bool(value: object) -> bool:
    """Read "true" or "false" in any case, and anything but a string by its truth, as Ganeti
    does."""
    if isinstance(value, str) and value:
        if value.lower() not in ("true", "false"):
            raise ValueError
        return value.lower() == "true"
    return bool(value)


def _read_int(value: object) -> int:
    """Read a number or its decimal form; a fraction is cut off, as Ganeti does."""
    if not isinstance(value, (int, float, str)):
        raise ValueError
    number = int(value)
    if abs(number) > _MAX_INT:
        raise ValueError
    return number


def _read_float(value: object) -> float:
    if not isinstance(value, (int, float, str)):
        raise ValueError
    number = float(value)
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError
    return number


def _read_string(value: object) -> str:
    if value is False:  # Ganeti's clients say false for "nothing here"
        return ""
    if not isinstance(value, str):
        raise ValueError
    return value


#: Type -> function that returns a value with this type, or raises.
_READERS: dict[str, Callable[[object], object]] = {
    BOOL: _read_bool,
    INT: _read_int,
    FLOAT: _read_float,
    SIZE: ht.parse_guest_size,
    STRING: _read_string,
    MAYBE_STRING: lambda value: None if value is None else _read_string(value),
}


def _type_problem(name: str, kind: str, value: object) -> str | None:
    """Return what is wrong with the type of a value, or None."""
    try:
        _READERS[kind](value)
    except (ValueError, TypeError, OverflowError):
        return f"'{name}' (value {ht.shorten(value)}) is not a valid {kind}"
    return None


def _first_problem(
    kinds: Mapping[str, str], given: Mapping[str, object], unset: tuple[object, ...]
) -> str | None:
    """Return what is wrong with the first value of a wrong type, or None.

    Unknown names are not wrong: a later Ganeti may know them.
    """
    for name, value in given.items():
        if name in kinds and value not in unset:
            problem = _type_problem(name, kinds[name], value)
            if problem:
                return problem
    return None


def read(row: Parameter, value: object) -> object:
    """Return a value with its parameter's type; raises ``TypeEnforcementError``."""
    problem = _type_problem(row.name, row.kind, value)
    if problem:
        raise errors.TypeEnforcementError(problem)
    typed = _READERS[row.kind](value)
    if isinstance(typed, str) and ("\0" in typed or "\n" in typed):
        # Values are written to environments and to files that are read line by line.
        raise errors.TypeEnforcementError(
            f"'{row.name}' (value {ht.shorten(value)}) must be one line without NUL characters"
        )
    return typed


def _read_all(table: Table, given: Mapping[str, object], unset: tuple[object, ...]) -> Values:
    """Return the values with their types, without those that stand for the default."""
    result: Values = {}
    for name, value in given.items():
        row = table.get(name)
        if row is None:
            raise errors.TypeEnforcementError(f"Unknown parameter {ht.shorten(name)}")
        choices = row.rule.choices if row.rule else frozenset()
        if value not in unset or value in choices:
            result[name] = read(row, value)
    return result


def _rule_problem(row: Parameter, value: object) -> str | None:
    """Return what is wrong with a value of the right type, or None."""
    if row.optional and value in ("", None):
        return None
    if row.rule is None or row.rule.fits(value):
        return None
    return f"'{row.name}' must be {row.rule.expects}, not {ht.shorten(value)}"


def _check(table: Table, given: Mapping[str, object], unset: tuple[object, ...] = ()) -> Values:
    values = _read_all(table, given, unset)
    for name, value in values.items():
        problem = _rule_problem(table[name], value)
        if problem:
            raise errors.OpPrereqError(f"Parameter {problem}", ErrorCode.INVAL)
    return values


def fill(base: Mapping[str, object], *given: Mapping[str, object]) -> Values:
    """Return ``base`` overridden by the values of each further mapping in turn."""
    result: Values = dict(base)
    for values in given:
        result.update(values)
    return result


# -- rules ------------------------------------------------------------------------


def _one_of(*choices: str) -> ParameterRule:
    return ParameterRule(
        "one of " + ", ".join(choices), lambda value: value in choices, frozenset(choices)
    )


def _is_normal_path(value: str) -> bool:
    return value.startswith("/") and os.path.normpath(value) == value


def _is_cpu_set(value: str) -> bool:
    """Return whether a text is a list of CPUs such as "0,2-3", or several with colons between, one
    for each virtual CPU; "all" may take the place of a CPU."""
    for mask in value.split(":"):
        for item in mask.split(","):
            if item != "all" and not _is_cpu_range(item):
                return False
    return True


def _is_cpu_range(text: str) -> bool:
    """Return whether a text is a number, or a first and a last number that is not below it."""
    first, dash, last = text.partition("-")
    if not _is_number(first):
        return False
    if not dash:
        return True
    return _is_number(last) and int(last) >= int(first)


def _is_number(text: str) -> bool:
    return text.isdecimal() and text.isascii()


_NOT_NEGATIVE = ParameterRule("0 or more", lambda value: value >= 0)
_POSITIVE = ParameterRule("1 or more", lambda value: value >= 1)
_PORT = ParameterRule("a port number", lambda value: 0 < value < 65535)
_PATH = ParameterRule("an absolute normalized path", _is_normal_path)
_PATH_OR_URL = ParameterRule(
    "an absolute normalized path or a URL",
    lambda value: _is_normal_path(value) or value.startswith(("http://", "https://", "ftp://")),
)
_CPU_SET = ParameterRule("all, or a list of CPUs such as 0,2-3", _is_cpu_set)
_MIGRATION_MODE = _one_of("live", "non-live")
_LOSSY = _one_of("auto", "never", "always")


def _row(name: str, kind: str, default: object, rule: ParameterRule | None = None) -> Parameter:
    """Return a parameter that may be empty if its default is empty."""
    return Parameter(name, kind, default, rule, optional=default in ("", None))


# -- backend, NIC, node, disk -----------------------------------------------------

BACKEND = _table(
    _row("minmem", SIZE, 128, _POSITIVE),
    _row("maxmem", SIZE, 128, _POSITIVE),
    _row("vcpus", INT, 1, _POSITIVE),
    _row("auto_balance", BOOL, True),
    _row("always_failover", BOOL, False),
    _row("spindle_use", INT, 1, _NOT_NEGATIVE),
)

NIC = _table(
    _row("mode", STRING, "bridged", _one_of("bridged", "routed", "openvswitch")),
    _row("link", STRING, "br0"),
    _row("vlan", STRING, ""),
)

NODE = _table(
    _row("oob_program", STRING, "", _PATH),
    _row("spindle_count", INT, 1, _NOT_NEGATIVE),
    _row("exclusive_storage", BOOL, False),
    _row("ovs", BOOL, False),
    _row("ovs_name", MAYBE_STRING, "switch1"),
    _row("ovs_link", MAYBE_STRING, ""),
    _row("ssh_port", INT, 22, _PORT),
    _row("cpu_speed", FLOAT, 1, _NOT_NEGATIVE),
)

_ACCESS = _one_of("kernelspace", "userspace")
DISK: dict[str, Table] = {
    "blockdev": {},
    "diskless": {},
    "file": {},
    "sharedfile": {},
    "drbd": _table(
        _row("c-delay-target", INT, 1),
        _row("c-fill-target", INT, 0),
        _row("c-max-rate", INT, 61440),
        _row("c-min-rate", INT, 4096),
        _row("c-plan-ahead", INT, 20),
        _row("data-stripes", INT, 1, _POSITIVE),
        _row("disk-barriers", STRING, "n"),
        _row("disk-custom", STRING, ""),
        _row("dynamic-resync", BOOL, False),
        _row("meta-barriers", BOOL, False),
        _row("meta-stripes", INT, 1, _POSITIVE),
        _row("metavg", STRING, "xenvg"),
        _row("net-custom", STRING, ""),
        _row("protocol", STRING, "C", _one_of("A", "B", "C")),
        _row("resync-rate", INT, 61440),
    ),
    "ext": _table(_row("access", STRING, "kernelspace", _ACCESS)),
    "gluster": _table(
        _row("access", STRING, "kernelspace", _ACCESS),
        _row("host", STRING, "127.0.0.1"),
        _row("port", INT, 24007, _PORT),
        _row("volume", STRING, "gv0"),
    ),
    "plain": _table(_row("stripes", INT, 1, _POSITIVE)),
    "rbd": _table(_row("access", STRING, "kernelspace", _ACCESS), _row("pool", STRING, "rbd")),
}


def _without_memory(given: Mapping[str, object], unset: tuple[object, ...] = ()) -> Values:
    """Replace ``memory`` by ``minmem`` and ``maxmem``, which it overrides.

    If ``memory`` stands for the default, it is dropped and the other two are kept.
    """
    if MEMORY not in given or given[MEMORY] in unset:
        return {name: value for name, value in given.items() if name != MEMORY}
    rest = {
        name: value for name, value in given.items() if name not in (MEMORY, "minmem", "maxmem")
    }
    return {"minmem": given[MEMORY], "maxmem": given[MEMORY], **rest}


def beparams_problem(given: Mapping[str, object], unset: tuple[object, ...]) -> str | None:
    """Return what is wrong with the type of a backend parameter, or None."""
    kinds = {row.name: row.kind for row in BACKEND.values()}
    if MEMORY in given and given[MEMORY] not in unset:
        problem = _type_problem(MEMORY, SIZE, given[MEMORY])
        if problem:
            return problem
    return _first_problem(kinds, _without_memory(given, unset), unset)


def check_beparams(given: Mapping[str, object]) -> Values:
    """Return the backend parameters to set; ``memory`` sets ``minmem`` and ``maxmem``.

    Memory is in MiB, or a string such as "1G", and is rounded up to a multiple of 4. Values of
    "auto" are left out. Raises ``TypeEnforcementError`` for unknown names and wrong types,
    ``OpPrereqError`` for values out of range.
    """
    return _check(BACKEND, _without_memory(given, AT_CREATION), AT_CREATION)


def check_memory_bounds(filled: Mapping[str, Any]) -> None:
    """Raise ``OpPrereqError`` if the minimum of filled backend parameters exceeds the maximum."""
    if filled["minmem"] > filled["maxmem"]:
        raise errors.OpPrereqError(
            f"Parameter 'minmem' ({filled['minmem']}) must not be more than "
            f"'maxmem' ({filled['maxmem']})",
            ErrorCode.INVAL,
        )


def check_nicparams(given: Mapping[str, object]) -> Values:
    """Return the parameters of a network card to set (mode, link, VLAN); raises as
    ``check_beparams`` does."""
    return _check(NIC, given, _OF_NIC)


def ndparams_problem(given: Mapping[str, object], unset: tuple[object, ...]) -> str | None:
    """Return what is wrong with the type of a node parameter, or None."""
    return _first_problem({row.name: row.kind for row in NODE.values()}, given, unset)


# -- hypervisors ------------------------------------------------------------------

KVM = _table(
    _row("acpi", BOOL, True),
    _row("boot_order", STRING, "disk", _one_of("cdrom", "disk", "floppy", "network")),
    _row("cdrom2_image_path", STRING, "", _PATH_OR_URL),
    _row("cdrom_disk_type", STRING, ""),
    _row("cdrom_image_path", STRING, "", _PATH_OR_URL),
    _row("cpu_cores", INT, 0, _NOT_NEGATIVE),
    _row("cpu_mask", STRING, "all", _CPU_SET),
    _row("cpu_sockets", INT, 0, _NOT_NEGATIVE),
    _row("cpu_threads", INT, 0, _NOT_NEGATIVE),
    _row("cpu_type", STRING, ""),
    _row("disk_aio", STRING, "threads", _one_of("native", "threads")),
    _row("disk_cache", STRING, "default", _one_of("none", "default", "writethrough", "writeback")),
    _row("disk_discard", STRING, "default", _one_of("default", "ignore", "unmap")),
    _row(
        "disk_type",
        STRING,
        "paravirtual",
        _one_of(
            "paravirtual",
            "ide",
            "scsi",
            "sd",
            "mtd",
            "pflash",
            "scsi-hd",
            "scsi-block",
            "scsi-generic",
            "scsi-cd",
        ),
    ),
    _row("floppy_image_path", STRING, "", _PATH),
    _row("initrd_path", STRING, "", _PATH),
    _row("kernel_args", STRING, "ro"),
    Parameter("kernel_path", STRING, "/boot/vmlinuz-3-kvmU", _PATH, optional=True),
    _row("keymap", STRING, ""),
    _row("kvm_extra", STRING, ""),
    _row("kvm_flag", STRING, "", _one_of("enabled", "disabled")),
    _row("kvm_path", STRING, "/usr/bin/kvm", _PATH),
    _row("kvm_pci_reservations", INT, 12, _NOT_NEGATIVE),
    _row("machine_version", STRING, ""),
    _row("mem_path", STRING, "", _PATH),
    _row("migration_bandwidth", INT, 32, _NOT_NEGATIVE),
    _row("migration_caps", STRING, ""),
    _row("migration_downtime", INT, 30, _NOT_NEGATIVE),
    _row("migration_mode", STRING, "live", _MIGRATION_MODE),
    _row("migration_port", INT, 8102, _PORT),
    _row(
        "nic_type",
        STRING,
        "paravirtual",
        _one_of(
            "paravirtual",
            "e1000",
            "rtl8139",
            "ne2k_pci",
            "ne2k_isa",
            "i82551",
            "i82557b",
            "i82559er",
            "pcnet",
        ),
    ),
    _row("reboot_behavior", STRING, "reboot", _one_of("reboot", "exit")),
    Parameter("root_path", MAYBE_STRING, "/dev/vda1", optional=True),
    _row("scsi_controller_type", STRING, "lsi", _one_of("lsi", "virtio-scsi-pci", "megasas")),
    _row("security_domain", STRING, ""),
    _row("security_model", STRING, "none", _one_of("none", "pool", "user")),
    _row("serial_console", BOOL, True),
    _row("serial_speed", INT, 38400, _POSITIVE),
    _row("soundhw", STRING, ""),
    _row("spice_bind", STRING, ""),
    _row(
        "spice_image_compression",
        STRING,
        "",
        _one_of("lz", "quic", "glz", "auto_lz", "off", "auto_glz"),
    ),
    _row("spice_ip_version", INT, 0, ParameterRule("0, 4 or 6", lambda value: value in (0, 4, 6))),
    _row("spice_jpeg_wan_compression", STRING, "", _LOSSY),
    _row("spice_password_file", STRING, "", _PATH),
    _row("spice_playback_compression", BOOL, True),
    _row("spice_streaming_video", STRING, "", _one_of("filter", "off", "all")),
    _row("spice_tls_ciphers", STRING, "HIGH:-DES:-3DES:-EXPORT:-DH"),
    _row("spice_use_tls", BOOL, False),
    _row("spice_use_vdagent", BOOL, True),
    _row("spice_zlib_glz_wan_compression", STRING, "", _LOSSY),
    _row("usb_devices", STRING, ""),
    _row("usb_mouse", STRING, "", _one_of("mouse", "tablet")),
    _row("use_chroot", BOOL, False),
    _row("use_guest_agent", BOOL, False),
    _row("use_localtime", BOOL, False),
    _row("user_shutdown", BOOL, False),
    _row("vga", STRING, ""),
    _row("vhost_net", BOOL, False),
    _row("virtio_net_queues", INT, 1, ParameterRule("1 to 8", lambda value: 0 < value < 9)),
    _row("vnc_bind_address", STRING, ""),
    _row("vnc_password_file", STRING, "", _PATH),
    _row("vnc_tls", BOOL, False),
    _row("vnc_x509_path", STRING, "", _PATH),
    _row("vnc_x509_verify", BOOL, False),
    _row("vnet_hdr", BOOL, True),
)

HYPERVISOR: dict[str, Table] = {
    constants.HT_FAKE: _table(_row("migration_mode", STRING, "live", _MIGRATION_MODE)),
    constants.HT_KVM: KVM,
}

#: Parameters of a whole cluster or node. As in Ganeti 3.0, instances show them neither as fields
#: nor within ``hvparams``.
GLOBAL_HYPERVISOR = frozenset(
    {"migration_bandwidth", "migration_mode", "migration_port", "xen_cmd"}
)

#: Parameters of Ganeti's other hypervisors and their types: known names, which ours refuse.
FOREIGN_HYPERVISOR: dict[str, str] = {
    **dict.fromkeys(("pae", "use_bootloader", "viridian"), BOOL),
    **dict.fromkeys(("cpu_cap", "cpu_weight", "num_ttys", "startup_timeout"), INT),
    **dict.fromkeys(
        (
            "blockdev_prefix",
            "bootloader_args",
            "bootloader_path",
            "cpuid",
            "device_model",
            "devices",
            "drop_capabilities",
            "extra_cgroups",
            "extra_config",
            "init_script",
            "pci_pass",
            "vif_script",
            "vif_type",
            "xen_cmd",
        ),
        STRING,
    ),
}

#: Parameter -> type, which is the same in every hypervisor that has the parameter.
_HYPERVISOR_KINDS: dict[str, str] = FOREIGN_HYPERVISOR | {
    row.name: row.kind for table in HYPERVISOR.values() for row in table.values()
}


def hvparams_problem(given: Mapping[str, object], unset: tuple[object, ...]) -> str | None:
    """Return what is wrong with the type of a parameter of any hypervisor, or None."""
    return _first_problem(_HYPERVISOR_KINDS, given, unset)


def check_not_global(given: Mapping[str, object]) -> None:
    """Raise ``OpPrereqError`` for hypervisor parameters that cannot be set for one instance."""
    found = sorted(GLOBAL_HYPERVISOR.intersection(given))
    if found:
        raise errors.OpPrereqError(
            "These hypervisor parameters hold for the whole cluster and "
            "cannot be set for one instance: " + ", ".join(found),
            ErrorCode.INVAL,
        )


def check_hvparams(hypervisor: str, given: Mapping[str, object]) -> Values:
    """Return the parameters of a hypervisor to set.

    Raises ``TypeEnforcementError`` for names that no hypervisor has and for wrong types,
    ``HypervisorError`` for another hypervisor's names and for bad values.
    """
    table = HYPERVISOR[hypervisor]
    problem = hvparams_problem(given, ())
    if problem:
        raise errors.TypeEnforcementError(problem)
    for name in given:
        if name not in table and name in _HYPERVISOR_KINDS:
            raise errors.HypervisorError(
                f"Parameter '{name}' is not supported by the hypervisor {hypervisor}"
            )
    values = _read_all(table, given, ())
    for name, value in values.items():
        problem = _rule_problem(table[name], value)
        if problem:
            raise errors.HypervisorError(f"Parameter {problem}")
    return values
