"""An instance's network cards, from what the caller wrote."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ganeti import constants, errors, ht, params
from ganeti.cmdlib.disks import check_names, part_uuid
from ganeti.config.config import Config
from ganeti.config.reservations import read_mac
from ganeti.constants import ErrorCode
from ganeti.objects import Nic

_VLAN = re.compile(r"[0-9]+|[.:][0-9]+(:[0-9]+)*", re.ASCII)
#: A MAC address that is still to be made.
_NEW_MAC = frozenset({constants.VALUE_AUTO, constants.VALUE_GENERATE})


@dataclass(frozen=True)
class NicSpec:
    """One network card that is wanted; ``mac`` None: make one."""

    mac: str | None
    ip: str | None
    name: str | None
    nicparams: dict[str, Any]


def read(given: Sequence[dict[str, Any]], resolved_ip: str | None) -> list[NicSpec]:
    """What the request says; ``resolved_ip`` is what "auto" means, None without name_check."""
    if len(given) > constants.MAX_NICS:
        raise errors.OpPrereqError(
            f"{len(given)} NICs are more than an instance can have ({constants.MAX_NICS})",
            ErrorCode.INVAL,
        )
    for nic in given:
        _check_types(nic)
    specs = [_read_one(nic, resolved_ip) for nic in given]
    check_names("NIC", [spec.name for spec in specs])
    return specs


def make(specs: Sequence[NicSpec], config: Config, job_id: int, owner: str) -> list[Nic]:
    """The cards, their addresses reserved; ``OpPrereqError`` for one that is in use."""
    for spec in specs:
        if spec.mac is not None:
            config.reservations.reserve_mac(job_id, spec.mac)
    return [
        Nic(
            uuid=part_uuid(owner, "nic", index),
            name=spec.name,
            ip=spec.ip,
            mac=spec.mac or config.reservations.generate_mac(job_id),
            nicparams=spec.nicparams,
        )
        for index, spec in enumerate(specs)
    ]


def check_modes(config: Config, nics: Sequence[Nic]) -> None:
    """A routed card needs an address."""
    for nic in nics:
        if config.nicparams(nic)["mode"] == "routed" and not nic.ip:
            raise errors.OpPrereqError("A routed NIC needs an IP address", ErrorCode.INVAL)


def _check_types(nic: dict[str, Any]) -> None:
    for key, value in nic.items():
        if value is not None and not isinstance(value, str):
            raise errors.TypeEnforcementError(
                f"'{key}' of a NIC must be a string, not {ht.shorten(value)}"
            )


def _read_one(nic: dict[str, Any], resolved_ip: str | None) -> NicSpec:
    network = _unless_none(nic.get("network"))
    if network is not None:
        raise errors.OpPrereqError(f"Network '{network}' not known", ErrorCode.NOENT)
    return NicSpec(
        _mac(nic.get("mac")),
        _ip(nic.get("ip"), resolved_ip),
        _unless_none(nic.get("name")),
        _nicparams(nic),
    )


def _unless_none(value: str | None) -> str | None:
    return None if not value or value.lower() == constants.VALUE_NONE else value


def _mac(value: str | None) -> str | None:
    if not value or value.lower() in _NEW_MAC:
        return None
    return read_mac(value)


def _ip(text: str | None, resolved_ip: str | None) -> str | None:
    """The address in its shortest form; None for null and "none", but not for an empty text."""
    if text is None or text.lower() == constants.VALUE_NONE:
        return None
    if text.lower() == constants.VALUE_AUTO:
        if resolved_ip is None:
            raise errors.OpPrereqError("The IP address 'auto' needs name_check", ErrorCode.INVAL)
        return resolved_ip
    if text.lower() == "pool":
        raise errors.OpPrereqError("The IP address 'pool' needs a network", ErrorCode.INVAL)
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise errors.OpPrereqError(
            f"{ht.shorten(text)} is not an IP address", ErrorCode.INVAL
        ) from None


def _vlan(value: str | None) -> str | None:
    """``5`` and ``.5`` are an access port, ``.5:6:7`` a trunk as well, ``:6:7`` a trunk alone."""
    if not value or value == constants.VALUE_DEFAULT:
        return value
    found = _VLAN.fullmatch(value)
    if found is None:
        raise errors.OpPrereqError(
            f"Specified VLAN parameter is invalid : {ht.shorten(value)}", ErrorCode.INVAL
        )
    return value if value[0] in ".:" else f".{value}"


def _nicparams(nic: dict[str, Any]) -> dict[str, Any]:
    """Mode, link, VLAN: only what was given. ``bridge`` is 2.0's word for ``link``."""
    given = {
        "mode": nic.get("mode"),
        "link": nic.get("link") or nic.get("bridge"),
        "vlan": _vlan(nic.get("vlan")),
    }
    given = {key: value for key, value in given.items() if value is not None}
    mode = given.get("mode")
    if mode is not None and mode not in constants.NIC_MODES | {constants.VALUE_DEFAULT}:
        # Ganeti 3.0 finds this out with its configuration's own check, hence this class.
        raise errors.ConfigurationError(f"{ht.shorten(mode)} is no mode of a NIC")
    return params.check_nicparams(given)
