"""Fields that show single parameters: ``be/``, ``hv/`` and ``ndp/``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ganeti import params
from ganeti.constants import FieldKind
from ganeti.query.engine import UNAVAIL, FieldDef, Row

Values = Mapping[str, object]

_KINDS = {
    params.BOOL: FieldKind.BOOL,
    params.INT: FieldKind.NUMBER,
    params.SIZE: FieldKind.UNIT,
    params.FLOAT: FieldKind.FLOAT,
}

_BE_TITLES = {
    "auto_balance": "Auto_balance",
    "maxmem": "ConfigMaxMem",
    "minmem": "ConfigMinMem",
    "vcpus": "ConfigVCPUs",
}
_HV_TITLES = {
    "acpi": "ACPI",
    "boot_order": "Boot_order",
    "cdrom_image_path": "CDROM_image_path",
    "cpu_type": "cpu_type",
    "disk_type": "Disk_type",
    "initrd_path": "Initrd_path",
    "kernel_path": "Kernel_path",
    "nic_type": "NIC_type",
    "pae": "PAE",
    "pci_pass": "pci_pass",
    "vnc_bind_address": "VNC_bind_address",
}
_ND_TITLES = {
    "exclusive_storage": "ExclusiveStorage",
    "oob_program": "OutOfBandProgram",
    "ovs": "OpenvSwitch",
    "ovs_link": "OpenvSwitchLink",
    "ovs_name": "OpenvSwitchName",
    "spindle_count": "SpindleCount",
}


def _getter(values: Callable[[Row], Values], name: str) -> Callable[[Row], object]:
    return lambda row: values(row).get(name, UNAVAIL)


def backend(values: Callable[[Row], Values]) -> list[FieldDef[Row]]:
    """Return ``be/NAME`` for each parameter, and 2.0's ``be/memory`` and ``vcpus``."""

    def of(field: str, name: str) -> FieldDef[Row]:
        return FieldDef(
            field,
            _BE_TITLES.get(name, f"be/{name}"),
            _KINDS[params.BACKEND[name].kind],
            f"Backend parameter {name}, or its default",
            _getter(values, name),
        )

    return [
        *(of(f"be/{name}", name) for name in params.BACKEND),
        of("be/memory", "maxmem"),
        of("vcpus", "vcpus"),
    ]


def _hypervisor_kinds() -> dict[str, FieldKind]:
    types = dict(params.FOREIGN_HYPERVISOR)
    for rows in params.HYPERVISOR.values():
        types.update((name, row.kind) for name, row in rows.items())
    return {
        name: _KINDS.get(types[name], FieldKind.OTHER)
        for name in sorted(types)
        if name not in params.GLOBAL_HYPERVISOR
    }


def hypervisor(values: Callable[[Row], Values]) -> list[FieldDef[Row]]:
    """Return ``hv/NAME`` for the parameters of every hypervisor that Ganeti has."""
    return [
        FieldDef(
            f"hv/{name}",
            _HV_TITLES.get(name, f"hv/{name}"),
            kind,
            f"Hypervisor parameter {name}, if the instance's hypervisor has it",
            _getter(values, name),
        )
        for name, kind in _hypervisor_kinds().items()
    ]


def node(values: Callable[[Row], Values]) -> list[FieldDef[Row]]:
    """Return ``ndp/NAME`` for each parameter that a node can have."""
    return [
        FieldDef(
            f"ndp/{name}",
            _ND_TITLES.get(name, f"ndp/{name}"),
            _KINDS.get(row.kind, FieldKind.OTHER),
            f"Node parameter {name}, or its default",
            _getter(values, name),
        )
        for name, row in params.NODE.items()
    ]
