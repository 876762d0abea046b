"""Parameters: tables, types and refusals."""

import pytest

from ganeti import errors, params


@pytest.mark.parametrize(
    "given, expected",
    [
        ({"memory": 512}, {"minmem": 512, "maxmem": 512}),
        ({"memory": "1G", "maxmem": "2G"}, {"minmem": 1024, "maxmem": 1024}),
        ({"memory": 256, "minmem": 128, "maxmem": 512}, {"minmem": 256, "maxmem": 256}),
        ({"memory": 256, "minmem": None, "maxmem": "junk"}, {"minmem": 256, "maxmem": 256}),
        ({"memory": 256.0, "vcpus": 2.0}, {"minmem": 256, "maxmem": 256, "vcpus": 2}),
        ({"memory": 129}, {"minmem": 132, "maxmem": 132}),
        ({"maxmem": "0.2g"}, {"maxmem": 208}),
        ({"vcpus": 2.5, "spindle_use": True}, {"vcpus": 2, "spindle_use": 1}),
        (
            {"auto_balance": None, "always_failover": 5},
            {"auto_balance": False, "always_failover": True},
        ),
        (
            {"auto_balance": "", "always_failover": 0.0},
            {"auto_balance": False, "always_failover": False},
        ),
        ({"minmem": "512M"}, {"minmem": 512}),
        ({"vcpus": "2"}, {"vcpus": 2}),
        (
            {"auto_balance": "False", "always_failover": True},
            {"auto_balance": False, "always_failover": True},
        ),
        ({"vcpus": "auto", "memory": "auto"}, {}),
        ({"memory": "auto", "minmem": 256}, {"minmem": 256}),
        ({}, {}),
    ],
)
def test_backend_parameters_are_read(given, expected):
    assert params.check_beparams(given) == expected


@pytest.mark.parametrize(
    "given, words",
    [
        ({"cpus": 2}, "Unknown parameter 'cpus'"),
        ({"vcpus": "two"}, "'vcpus'"),
        ({"vcpus": "2.0"}, "'vcpus'"),
        ({"vcpus": "default"}, "'vcpus'"),
        ({"vcpus": 1e300}, "'vcpus'"),
        ({"vcpus": float("inf")}, "'vcpus'"),
        ({"vcpus": None}, "'vcpus'"),
        ({"memory": "much"}, "'minmem'"),
        ({"memory": -1}, "'minmem'"),
        ({"auto_balance": "maybe"}, "'auto_balance'"),
        ({"auto_balance": "yes"}, "'auto_balance'"),
        ({"memory": None}, "'minmem'"),
        ({"memory": True}, "'minmem'"),
        ({"vcpus": {}}, "'vcpus'"),
    ],
)
def test_wrong_types_and_unknown_names_are_named(given, words):
    with pytest.raises(errors.TypeEnforcementError, match=words):
        params.check_beparams(given)


@pytest.mark.parametrize("given", [{"vcpus": 0}, {"memory": 0}, {"spindle_use": -1}])
def test_values_out_of_range_are_wrong_input(given):
    with pytest.raises(errors.OpPrereqError) as caught:
        params.check_beparams(given)
    assert caught.value.code == "wrong_input"
    assert next(iter(given)).replace("memory", "minmem") in str(caught.value)


def test_the_minimum_of_memory_may_not_be_above_the_maximum():
    params.check_memory_bounds({"minmem": 128, "maxmem": 128})
    with pytest.raises(errors.OpPrereqError, match="minmem"):
        params.check_memory_bounds({"minmem": 129, "maxmem": 128})


def test_every_default_passes_its_own_check():
    for hypervisor, table in params.HYPERVISOR.items():
        given = params.defaults(table)
        assert params.check_hvparams(hypervisor, given) == given
    assert params.check_beparams(params.defaults(params.BACKEND))
    assert params.check_nicparams(params.defaults(params.NIC))
    for table in (params.NODE, *params.DISK.values()):
        assert params._check(table, params.defaults(table)) == params.defaults(table)


@pytest.mark.parametrize(
    "hypervisor, given, error",
    [
        ("fake", {"nonsense": 1}, errors.TypeEnforcementError),
        ("fake", {"kernel_path": "/boot/x"}, errors.HypervisorError),
        ("fake", {"bootloader_path": "/boot/x"}, errors.HypervisorError),
        ("fake", {"migration_mode": "sometimes"}, errors.HypervisorError),
        ("fake", {"acpi": "yes"}, errors.TypeEnforcementError),
        ("fake", {"num_ttys": "x"}, errors.TypeEnforcementError),
        ("kvm", {"acpi": "yes"}, errors.TypeEnforcementError),
        ("kvm", {"acpi": "default"}, errors.TypeEnforcementError),
        ("kvm", {"kernel_args": 5}, errors.TypeEnforcementError),
        ("kvm", {"kernel_args": "a\nb"}, errors.TypeEnforcementError),
        ("kvm", {"kernel_path": "boot/vmlinuz"}, errors.HypervisorError),
        ("kvm", {"kvm_path": ""}, errors.HypervisorError),
        ("kvm", {"cpu_mask": "3-1"}, errors.HypervisorError),
        ("kvm", {"cdrom_image_path": "image.iso"}, errors.HypervisorError),
        ("kvm", {"migration_port": 0}, errors.HypervisorError),
        ("kvm", {"virtio_net_queues": 9}, errors.HypervisorError),
    ],
)
def test_wrong_hypervisor_parameters_are_refused(hypervisor, given, error):
    with pytest.raises(error, match=next(iter(given))):
        params.check_hvparams(hypervisor, given)


@pytest.mark.parametrize(
    "given, expected",
    [
        ({"kernel_path": ""}, {"kernel_path": ""}),
        ({"root_path": None}, {"root_path": None}),
        ({"initrd_path": False}, {"initrd_path": ""}),
        ({"cpu_mask": "0,2-3:all"}, {"cpu_mask": "0,2-3:all"}),
        (
            {"cdrom_image_path": "https://example.com/a.iso"},
            {"cdrom_image_path": "https://example.com/a.iso"},
        ),
        ({"disk_cache": "default", "cpu_cores": 2.0}, {"disk_cache": "default", "cpu_cores": 2}),
    ],
)
def test_hypervisor_parameters_are_read(given, expected):
    assert params.check_hvparams("kvm", given) == expected


@pytest.mark.parametrize("given", [{"mode": "wireless"}, {"mode": ""}])
def test_an_unknown_nic_mode_is_wrong_input(given):
    with pytest.raises(errors.OpPrereqError, match="mode"):
        params.check_nicparams(given)


def test_node_parameters_are_read():
    assert params._check(params.NODE, {"cpu_speed": "1.5", "ovs_name": None}) == {
        "cpu_speed": 1.5,
        "ovs_name": None,
    }
    for wrong in ("fast", float("nan"), None):
        with pytest.raises(errors.TypeEnforcementError, match="cpu_speed"):
            params._check(params.NODE, {"cpu_speed": wrong})


def test_disk_parameters_have_rules():
    with pytest.raises(errors.OpPrereqError, match="protocol"):
        params._check(params.DISK["drbd"], {"protocol": "D"})


def test_later_values_override_earlier_ones():
    base = {"a": 1, "b": 1, "c": 1}
    assert params.fill(base, {"b": 2, "c": 2}, {"c": 3}) == {"a": 1, "b": 2, "c": 3}
    assert base == {"a": 1, "b": 1, "c": 1}


@pytest.mark.parametrize(
    "problem, given, unset, words",
    [
        (params.beparams_problem, {"vcpus": "x"}, (), "'vcpus' (value 'x') is not a valid integer"),
        (params.beparams_problem, {"memory": "x", "minmem": 1}, (), "'memory'"),
        (params.beparams_problem, {"memory": None}, (), "'memory' (value null)"),
        (
            params.beparams_problem,
            {"memory": None, "minmem": "x"},
            params.AT_BACKEND_CHANGE,
            "'minmem'",
        ),
        (params.beparams_problem, {"memory": "auto"}, params.AT_BACKEND_CHANGE, "'memory'"),
        (params.hvparams_problem, {"kernel_path": None}, params.AT_CHANGE, "'kernel_path'"),
        (params.hvparams_problem, {"num_ttys": "x"}, (), "'num_ttys'"),
        (params.ndparams_problem, {"ssh_port": [22]}, (), "'ssh_port'"),
    ],
)
def test_a_value_of_a_wrong_type_is_quoted(problem, given, unset, words):
    assert words in problem(given, unset)


@pytest.mark.parametrize(
    "problem, given, unset",
    [
        (params.beparams_problem, {"memory": 256, "minmem": "junk"}, ()),
        (params.beparams_problem, {"memory": "default", "vcpus": None}, params.AT_BACKEND_CHANGE),
        (params.beparams_problem, {"of_a_later_release": []}, ()),
        (params.beparams_problem, {"vcpus": 0}, ()),  # of the right type
        (params.hvparams_problem, {"cpu_cores": "default", "acpi": None}, params.AT_CHANGE),
        (params.hvparams_problem, {"kernel_args": "a\nb", "kernel_path": False}, ()),
        (params.ndparams_problem, {"cpu_speed": "1.5", "ovs_link": None}, ()),
    ],
)
def test_a_value_that_some_job_takes_is_no_problem(problem, given, unset):
    assert problem(given, unset) is None


def test_a_cluster_wide_parameter_is_refused_for_one_instance():
    params.check_not_global({"kernel_args": "ro"})
    with pytest.raises(errors.OpPrereqError, match="migration_mode, migration_port"):
        params.check_not_global({"migration_port": 1, "migration_mode": "live"})
