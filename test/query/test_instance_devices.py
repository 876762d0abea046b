"""Fields of network cards and disks: lists of all devices, and single devices."""

import pytest

from support.query import QueryScene, disk, nic


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    made = QueryScene(tmp_path_factory.mktemp("cluster"))
    made.add(
        disk_template="file",
        disks=[disk(128, name="root"), disk(64, spindles=2)],
        nics=[
            nic(uuid="n0", ip="10.0.0.1", name="lan"),
            nic(
                uuid="n1",
                mac="aa:00:00:00:00:02",
                nicparams={"mode": "routed", "link": "rt", "vlan": ".7"},
            ),
        ],
    )
    made.add("bare.example.com")
    yield made
    made.close()


@pytest.mark.parametrize(
    "field, value",
    [
        ("nic.count", 2),
        ("nic.ips", ["10.0.0.1", None]),
        ("nic.names", ["lan", None]),
        ("nic.macs", ["aa:00:00:00:00:01", "aa:00:00:00:00:02"]),
        ("nic.uuids", ["n0", "n1"]),
        ("nic.modes", ["bridged", "routed"]),
        ("nic.links", ["br0", "rt"]),
        ("nic.bridges", ["br0", None]),
        ("nic.vlans", [None, ".7"]),
        ("nic.networks", [None, None]),
        ("nic.networks.names", [None, None]),
        ("disk.count", 2),
        ("disk.sizes", [128, 64]),
        ("disk.names", ["root", None]),
        ("disk.uuids", ["disk-128", "disk-64"]),
        ("disk.spindles", [None, 2]),
    ],
)
def test_list_fields_have_a_value_for_each_device(scene, field, value):
    assert scene.cell("instance", "web", field) == [0, value]
    assert scene.cell("instance", "bare", field) == [0, [] if isinstance(value, list) else 0]


@pytest.mark.parametrize(
    "field, value",
    [
        ("nic.ip/0", "10.0.0.1"),
        ("nic.mac/1", "aa:00:00:00:00:02"),
        ("nic.mode/1", "routed"),
        ("nic.link/0", "br0"),
        ("nic.bridge/0", "br0"),
        ("nic.name/0", "lan"),
        ("nic.uuid/1", "n1"),
        ("nic.vlan/1", ".7"),
        ("disk.size/1", 64),
        ("disk.name/0", "root"),
        ("disk.uuid/0", "disk-128"),
        ("disk.spindles/1", 2),
        ("sda_size", 128),
        ("sdb_size", 64),
        ("ip", "10.0.0.1"),
        ("mac", "aa:00:00:00:00:01"),
        ("bridge", "br0"),
        ("nic_link", "br0"),
        ("nic_mode", "bridged"),
    ],
)
def test_fields_of_one_device_have_its_value(scene, field, value):
    assert scene.cell("instance", "web", field) == [0, value]
    assert scene.cell("instance", "bare", field) == [3, None]


@pytest.mark.parametrize(
    "field",
    [
        "nic.ip/1",
        "nic.bridge/1",
        "nic.vlan/0",
        "nic.mac/2",
        "nic.network/0",
        "nic.network.name/0",
        "disk.name/1",
        "disk.spindles/0",
        "disk.size/15",
        "nic_network",
    ],
)
def test_a_value_that_a_device_lacks_is_unavailable(scene, field):
    assert scene.cell("instance", "web", field) == [3, None]
