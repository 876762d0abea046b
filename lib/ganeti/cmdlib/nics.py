"""The NICs of a new instance, read from the request."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ganeti import constants, errors, ht, params
from ganeti.cmdlib.disks import check_names, part_uuid
from ganeti.config.config import Config
from ganeti.config.reservations import read_mac
from ganeti.constants import ErrorCode
from ganeti.objects import Nic

_VLAN = re.compile(r"[0-9]+|[.:][0-9]+(:[0-9]+)*", re.ASCII)
#: Words of a request that ask for a generated MAC address.
_NEW_MAC = frozenset({constants.VALUE_AUTO, constants.VALUE_GENERATE})


@dataclass(frozen=True)
class NicSpec:
    """One NIC of the request; its MAC address is generated if ``mac`` is None."""

    mac: str | None
    ip: str | None
    name: str | None
    nicparams: params.Values


def read(given: Sequence[Mapping[str, object]], resolved_ip: str | None) -> list[NicSpec]:
    """Read the NICs of a request; ``OpPrereqError`` and other errors if one is wrong.

    ``resolved_ip`` is the address of the instance's name, which "auto" means; None without
    name_check.
    """
    if len(given) > constants.MAX_NICS:
        raise errors.OpPrereqError(
            f"An instance can have at most {constants.MAX_NICS} NICs, not {len(given)}",
            ErrorCode.INVAL,
        )
    specs = [_read_one(nic, resolved_ip) for nic in map(_as_texts, given)]
    check_names("NIC", [spec.name for spec in specs])
    return specs


def make(specs: Sequence[NicSpec], config: Config, job_id: int, owner: str) -> list[Nic]:
    """Return the NICs and reserve their MAC addresses; ``OpPrereqError`` for one in use."""
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
    """Raise ``OpPrereqError`` for a routed NIC without an IP address."""
    for nic in nics:
        if config.nicparams(nic)["mode"] == "routed" and not nic.ip:
            raise errors.OpPrereqError("A routed NIC needs an IP address", ErrorCode.INVAL)


def _as_texts(nic: Mapping[str, object]) -> dict[str, str]:
    """Return the NIC without the keys that are null; ``TypeEnforcementError`` if not all text."""
    texts: dict[str, str] = {}
    for key, value in nic.items():
        if isinstance(value, str):
            texts[key] = value
        elif value is not None:
            raise errors.TypeEnforcementError(
                f"'{key}' of a NIC must be a string, not {ht.shorten(value)}"
            )
    return texts


def _read_one(nic: Mapping[str, str], resolved_ip: str | None) -> NicSpec:
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
    """Return the address in its shortest form; None for null and "none", but not for ""."""
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
    """Return a VLAN with its leading dot or colon; ``OpPrereqError`` if it is invalid.

    ``5`` and ``.5`` are an access port, ``:6:7`` is a trunk, ``.5:6:7`` both at once.
    """
    if not value or value == constants.VALUE_DEFAULT:
        return value
    found = _VLAN.fullmatch(value)
    if found is None:
        raise errors.OpPrereqError(
            f"Specified VLAN parameter is invalid : {ht.shorten(value)}", ErrorCode.INVAL
        )
    return value if value[0] in ".:" else f".{value}"


def _nicparams(nic: Mapping[str, str]) -> params.Values:
    """Return mode, link and VLAN, as far as they are given; ``bridge`` is 2.0's ``link``."""
    given = {
        "mode": nic.get("mode"),
        "link": nic.get("link") or nic.get("bridge"),
        "vlan": _vlan(nic.get("vlan")),
    }
    given = {key: value for key, value in given.items() if value is not None}
    mode = given.get("mode")
    if mode is not None and mode not in constants.NIC_MODES | {constants.VALUE_DEFAULT}:
        # Not OpPrereqError: in Ganeti 3.0 the check of the configuration refuses it.
        raise errors.ConfigurationError(f"{ht.shorten(mode)} is not a mode of a NIC")
    return params.check_nicparams(given)
