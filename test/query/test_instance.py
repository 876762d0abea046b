"""Fields of instances: configured state, running guests, and the status that follows."""

import pytest

from support.query import QueryScene, disk

LIVE = ["status", "oper_state", "oper_ram", "oper_vcpus"]
NAME = "web.example.com"


@pytest.fixture
def scene(tmp_path):
    made = QueryScene(tmp_path)
    yield made
    made.close()


def live(scene):
    return scene.data("instance", LIVE, ["==", "name", NAME])[0]


def stopped(status):
    return [[0, status], [0, False], [3, None], [3, None]]


@pytest.mark.parametrize(
    "state, source, status",
    [
        ("up", "admin", "ERROR_down"),
        ("down", "admin", "ADMIN_down"),
        ("down", "user", "USER_down"),
        ("offline", "admin", "ADMIN_offline"),
    ],
)
def test_a_stopped_instance_has_its_status(scene, state, source, status):
    scene.add(admin_state=state, admin_state_source=source)
    assert live(scene) == stopped(status)


@pytest.mark.parametrize(
    "state, status", [("up", "running"), ("down", "ERROR_up"), ("offline", "ERROR_up")]
)
def test_a_running_instance_has_its_status(scene, state, status):
    scene.start(scene.add(admin_state=state, beparams={"minmem": 256, "maxmem": 256, "vcpus": 2}))
    assert live(scene) == [[0, status], [0, True], [0, 256], [0, 2]]


def test_an_instance_on_the_wrong_node_has_that_status(scene):
    scene.start(scene.add(admin_state="up"), node="node2")
    assert live(scene) == [[0, "ERROR_wrongnode"], [0, True], [0, 128], [0, 1]]


def test_live_fields_have_no_data_when_the_node_does_not_answer(scene):
    scene.add(node="node2", admin_state="up")
    scene.fail("node2")
    assert live(scene) == [[0, "ERROR_nodedown"], [2, None], [2, None], [2, None]]


def test_live_fields_are_offline_when_the_node_is_offline(scene):
    scene.add(node="node2", admin_state="up")
    scene.change(scene.config.node("node2"), offline=True)
    assert live(scene) == [[0, "ERROR_nodeoffline"], [4, None], [4, None], [4, None]]
    assert scene.cell("instance", "web", "console") == [4, None]


@pytest.mark.parametrize(
    "template, disks, usage",
    [
        ("diskless", [], 0),
        ("file", [1024, 512], 1536),
        ("plain", [100], 100),
        ("drbd", [1024, 512], 1536 + 256),
    ],
)
def test_disk_usage_includes_the_metadata_of_a_mirror(scene, template, disks, usage):
    scene.add(
        disk_template=template, disks=[disk(size, template, logical_id=[0] * 6) for size in disks]
    )
    assert scene.cell("instance", "web", "disk_usage") == [0, usage]


def test_nodes_and_groups_of_an_instance_are_shown(scene):
    scene.add(node="node2", mirror="node3")
    group = scene.config.groups()[0]
    row = scene.data(
        "instance",
        ["pnode", "pnode.group", "pnode.group.uuid", "snodes", "snodes.group", "snodes.group.uuid"],
    )[0]
    assert [value for _, value in row] == [
        "node2.example.com",
        "default",
        group.uuid,
        ["node3.example.com"],
        ["default"],
        [group.uuid],
    ]


def test_parameters_are_shown_filled_and_as_set(scene):
    scene.add(
        beparams={"maxmem": 512}, nics=[], osparams={"a": "1"}, osparams_private={"secret": "x"}
    )
    scene.change(scene.config.cluster, osparams={"noop": {"a": "0", "b": "2"}})
    row = scene.data(
        "instance",
        [
            "beparams",
            "custom_beparams",
            "osparams",
            "custom_osparams",
            "hvparams",
            "custom_nicparams",
        ],
    )[0]
    beparams = {
        "minmem": 128,
        "maxmem": 512,
        "vcpus": 1,
        "auto_balance": True,
        "always_failover": False,
        "spindle_use": 1,
    }
    assert [value for _, value in row] == [
        beparams,
        {"maxmem": 512},
        {"a": "1", "b": "2"},
        {"a": "1"},
        {},
        [],
    ]


def test_secrets_are_in_no_field(scene):
    scene.add(osparams_private={"password": "topsecret"})
    from ganeti.query import engine

    assert "topsecret" not in str(scene.data("instance", list(engine.KINDS["instance"].fields)))


def test_a_console_has_no_empty_key(scene):
    scene.add()
    status, console = scene.cell("instance", "web", "console")
    assert status == 0 and all(console.values())
    assert (console["instance"], console["kind"]) == (NAME, "msg")
    assert set(console) == {"instance", "kind", "message"}


def test_plain_fields_are_shown_as_stored(scene):
    scene.add(network_port=11000, tags=["t"], admin_state="up", disks_active=True)
    row = scene.data(
        "instance",
        [
            "network_port",
            "tags",
            "admin_state",
            "admin_up",
            "disks_active",
            "hypervisor",
            "os",
            "serial_no",
            "forthcoming",
            "admin_state_source",
        ],
    )[0]
    assert [value for _, value in row] == [
        11000,
        ["t"],
        "up",
        True,
        True,
        "fake",
        "noop+default",
        1,
        False,
        "admin",
    ]
