"""Instance policies: the sizes that a group's instances may have.

Shapes and defaults are Ganeti 3.0's, measured on its ``/2/info``. A policy has
``minmax`` (ranges; an instance must fit into one), ``std`` (sizes that tools
count free room with), ``disk-templates`` and two ratios.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ganeti import constants

Policy = dict[str, Any]

SPECS = ("memory-size", "disk-size", "disk-count", "cpu-count", "nic-count", "spindle-use")

_SPEC_MIN = (128, 1024, 1, 1, 1, 1)
_SPEC_MAX = (32768, 1048576, 16, 8, 8, 12)


def default(disk_templates: Iterable[str]) -> Policy:
    """The policy of a new cluster: Ganeti 3.0's."""
    smallest, largest = dict(zip(SPECS, _SPEC_MIN)), dict(zip(SPECS, _SPEC_MAX))
    return {
        "minmax": [{"min": smallest, "max": largest}],
        "std": dict(smallest),
        "spindle-ratio": 32,
        "vcpu-ratio": 4,
        "disk-templates": list(disk_templates),
    }


def fill(base: Mapping[str, Any], given: Mapping[str, Any]) -> Policy:
    """A group's policy: ``std`` is merged key by key, everything else replaced."""
    result = {**base, **given}
    if "std" in given:
        result["std"] = {**base.get("std", {}), **given["std"]}
    return result


def violations(
    policy: Mapping[str, Any], spec: Mapping[str, int | list[int]], disk_template: str
) -> list[str]:
    """How an instance breaks a policy, in words; empty when it fits.

    ``spec`` has the keys of ``SPECS``, with a list of sizes for ``disk-size``.
    It fits when one of the policy's ranges holds all of it. An instance without
    disks counts as a diskless one, whatever its template.
    """
    words: list[str] = []
    if not spec.get("disk-count"):
        disk_template = constants.DiskTemplate.DISKLESS
    if disk_template not in policy["disk-templates"]:
        words.append(
            f"Disk template {disk_template} is not allowed (allowed templates: "
            + ", ".join(policy["disk-templates"])
            + ")"
        )
    ranges = [_range_violations(bounds, spec, disk_template) for bounds in policy["minmax"]]
    return words + min(ranges, key=len, default=[])


def _range_violations(
    bounds: Mapping[str, Mapping[str, int]], spec: Mapping[str, int | list[int]], disk_template: str
) -> list[str]:
    words = []
    for name in SPECS:
        if disk_template == constants.DiskTemplate.DISKLESS and name.startswith("disk-"):
            continue
        given = spec.get(name, [])
        low, high = bounds["min"][name], bounds["max"][name]
        for value in given if isinstance(given, list) else [given]:
            if not low <= value <= high:
                words.append(f"{name} value {value} is not in range [{low}, {high}]")
    return words
