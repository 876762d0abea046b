"""Fields that show single parameters."""

import pytest

from ganeti import params
from support.query import FACTS, QueryScene


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    made = QueryScene(tmp_path_factory.mktemp("cluster"))
    made.add(beparams={"maxmem": 512, "vcpus": 3})
    made.add("real.example.com", hypervisor="kvm", hvparams={"acpi": False})
    made.change(made.config.groups()[0], ndparams={"spindle_count": 4, "ssh_port": 23})
    made.change(made.config.node("node1"), ndparams={"ssh_port": 24})
    yield made
    made.close()


@pytest.mark.parametrize(
    "field, value",
    [
        ("be/maxmem", 512),
        ("be/memory", 512),
        ("be/minmem", 128),
        ("be/vcpus", 3),
        ("vcpus", 3),
        ("be/auto_balance", True),
        ("be/spindle_use", 1),
    ],
)
def test_backend_parameters_are_filled(scene, field, value):
    assert scene.cell("instance", "web", field) == [0, value]


def test_a_parameter_of_another_hypervisor_is_unavailable(scene):
    for field in ("hv/acpi", "hv/boot_order", "hv/pae"):
        assert scene.cell("instance", "web", field) == [3, None]
    assert scene.cell("instance", "real", "hv/acpi") == [0, False]
    assert scene.cell("instance", "real", "hv/boot_order") == [0, "disk"]
    assert scene.cell("instance", "real", "hv/pae") == [3, None]


def test_global_hypervisor_parameters_are_not_shown_for_an_instance(scene):
    shown = scene.cell("instance", "real", "hvparams")[1]
    assert "acpi" in shown and not params.GLOBAL_HYPERVISOR & set(shown)
    assert params.GLOBAL_HYPERVISOR & set(params.KVM)
    assert {
        name.removeprefix("hv/") for name, _, _ in FACTS["instance"] if name.startswith("hv/")
    } > set(shown)


@pytest.mark.parametrize(
    "field, node1, node2, group",
    [
        ("ndp/ssh_port", 24, 23, 23),
        ("ndp/spindle_count", 4, 4, 4),
        ("ndp/cpu_speed", 1, 1, 1),
        ("ndp/ovs", False, False, False),
        ("ndp/oob_program", "", "", ""),
    ],
)
def test_node_parameters_come_from_node_group_cluster(scene, field, node1, node2, group):
    assert scene.cell("node", "node1", field) == [0, node1]
    assert scene.cell("node", "node2", field) == [0, node2]
    assert scene.cell("group", "default", field) == [0, group]
