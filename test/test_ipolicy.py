"""Instance policies: overriding values, and violations."""

import pytest

from ganeti import ipolicy

POLICY = ipolicy.default(["file", "diskless"])
FITS = {
    "memory-size": 128,
    "disk-size": [1024, 2048],
    "disk-count": 2,
    "cpu-count": 1,
    "nic-count": 1,
    "spindle-use": 1,
}


def test_an_instance_within_all_bounds_fits():
    assert ipolicy.violations(POLICY, FITS, "file") == []


@pytest.mark.parametrize(
    "change, words",
    [
        ({"memory-size": 64}, "memory-size value 64 is not in range [128, 32768]"),
        ({"disk-size": [1024, 512]}, "disk-size value 512 is not in range [1024, 1048576]"),
        ({"disk-count": 17}, "disk-count value 17 is not in range [1, 16]"),
        ({"nic-count": 9}, "nic-count value 9 is not in range [1, 8]"),
    ],
)
def test_each_value_out_of_bounds_is_named(change, words):
    assert ipolicy.violations(POLICY, {**FITS, **change}, "file") == [words]


def test_a_template_must_be_allowed():
    (problem,) = ipolicy.violations(POLICY, FITS, "drbd")
    assert "drbd is not allowed" in problem and "file, diskless" in problem


def test_bounds_of_disks_do_not_hold_for_diskless_instances():
    spec = {**FITS, "disk-size": [], "disk-count": 0}
    assert ipolicy.violations(POLICY, spec, "diskless") == []
    assert ipolicy.violations(POLICY, spec, "file") == []
    assert ipolicy.violations(POLICY, {**spec, "disk-size": [1], "disk-count": 1}, "file")


def test_one_range_that_fits_is_enough():
    small = POLICY["minmax"][0]
    large = {
        "min": {**small["min"], "memory-size": 65536},
        "max": {**small["max"], "memory-size": 131072},
    }
    policy = ipolicy.fill(POLICY, {"minmax": [small, large]})
    assert ipolicy.violations(policy, {**FITS, "memory-size": 70000}, "file") == []
    assert ipolicy.violations(policy, {**FITS, "memory-size": 40000}, "file")


def test_standard_sizes_are_merged_and_the_rest_replaced():
    filled = ipolicy.fill(POLICY, {"std": {"cpu-count": 2}, "disk-templates": ["file"]})
    assert filled["std"] == {**POLICY["std"], "cpu-count": 2}
    assert filled["disk-templates"] == ["file"]
    assert POLICY["std"]["cpu-count"] == 1
