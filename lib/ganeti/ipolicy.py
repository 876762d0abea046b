"""Instance policies: the sizes that a group's instances may have.

Shapes and defaults are Ganeti 3.0's, measured on its ``/2/info``. A policy has ``minmax`` (ranges,
one of which an instance must fit), ``std`` (the size with which tools count how many instances
fit), ``disk-templates`` and two ratios.
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
    """Return the policy of a new cluster, which is Ganeti 3.0's."""
    smallest, largest = dict(zip(SPECS, _SPEC_MIN)), dict(zip(SPECS, _SPEC_MAX))
    return {
        "minmax": [{"min": smallest, "max": largest}],
        "std": dict(smallest),
        "spindle-ratio": 32,
        "vcpu-ratio": 4,
        "disk-templates": list(disk_templates),
    }


def fill(base: Policy, given: Policy) -> Policy:
    """Return ``base`` overridden by ``given``: ``std`` key by key, everything else as a whole."""
    result = {**base, **given}
    if "std" in given:
        result["std"] = {**base.get("std", {}), **given["std"]}
    return result


def violations(
    policy: Policy, spec: Mapping[str, int | list[int]], disk_template: str
) -> list[str]:
    """Return how an instance violates a policy, as messages; an empty list if it does not.

    ``spec`` has the keys of ``SPECS``; ``disk-size`` is a list. All of it must fit the same range
    of the policy; otherwise the messages are about the range that it fits best. An instance without
    disks counts as diskless, whatever its template.
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
