"""Fields of nodes, configured and live."""

import pytest

from support.query import QueryScene, disk

LIVE = [
    "bootid",
    "mtotal",
    "mfree",
    "mnode",
    "dtotal",
    "dfree",
    "ctotal",
    "cnos",
    "cnodes",
    "csockets",
]


@pytest.fixture
def scene(tmp_path):
    made = QueryScene(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize(
    "fields, role",
    [
        ({}, "C"),
        ({"master_candidate": False}, "R"),
        ({"drained": True}, "D"),
        ({"offline": True}, "O"),
        ({"offline": True, "drained": True}, "O"),
    ],
)
def test_the_role_follows_from_the_flags(scene, fields, role):
    scene.change(scene.config.node("node2"), **fields)
    row = scene.data(
        "node",
        ["role", "master", "master_candidate", "drained", "offline"],
        ["==", "name", "node2"],
    )[0]
    assert row == [
        [0, role],
        [0, False],
        [0, fields.get("master_candidate", True)],
        [0, fields.get("drained", False)],
        [0, fields.get("offline", False)],
    ]


def test_the_master_has_role_M(scene):
    assert scene.data("node", ["role", "master"], ["==", "name", "node1"]) == [
        [[0, "M"], [0, True]]
    ]


def test_a_node_lists_its_primary_and_secondary_instances(scene):
    for number in (10, 9):
        scene.add(
            f"web{number}.example.com",
            node="node2",
            mirror="node3",
            disk_template="drbd",
            disks=[disk(kind="drbd", logical_id=[0] * 6)],
        )
    fields = ["pinst_cnt", "pinst_list", "sinst_cnt", "sinst_list"]
    names = ["web9.example.com", "web10.example.com"]
    rows = [[value for _, value in row] for row in scene.data("node", fields)]
    assert rows == [[0, [], 0, []], [2, names, 0, []], [0, [], 2, names]]


def test_a_simulated_node_has_figures(scene):
    scene.start(scene.add(node="node2", beparams={"minmem": 1024, "maxmem": 1024}))
    row = scene.data("node", LIVE, ["==", "name", "node2"])[0]
    assert [status for status, _ in row] == [0] * len(LIVE)
    assert [value for _, value in row[1:]] == [8192, 7168, 0, 102400, 102400, 4, 4, 1, 1]


def test_a_node_that_does_not_answer_has_no_data(scene):
    scene.fail("node2")
    assert scene.data("node", LIVE, ["==", "name", "node2"]) == [[[2, None]] * len(LIVE)]


def test_an_offline_node_has_offline_cells(scene):
    scene.change(scene.config.node("node2"), offline=True)
    assert scene.data("node", LIVE, ["==", "name", "node2"]) == [[[4, None]] * len(LIVE)]


def test_a_node_without_guests_has_no_figures(scene):
    scene.change(scene.config.node("node2"), vm_capable=False)
    assert scene.data("node", LIVE, ["==", "name", "node2"]) == [[[3, None]] * len(LIVE)]


def test_figures_that_are_not_counted_or_kept_are_unavailable(scene):
    row = scene.data("node", ["sptotal", "spfree", "hv_state", "disk_state", "powered"])[0]
    assert row == [[2, None], [2, None], [3, None], [3, None], [3, None]]


def test_powered_is_known_only_with_an_oob_program(scene):
    scene.change(scene.config.node("node2"), ndparams={"oob_program": "/bin/oob"})
    assert scene.cell("node", "node2", "powered") == [0, True]


def test_plain_fields_are_shown_as_stored(scene):
    node, group = scene.config.node("node2"), scene.config.groups()[0]
    row = scene.data(
        "node",
        [
            "name",
            "pip",
            "sip",
            "group",
            "group.uuid",
            "uuid",
            "tags",
            "vm_capable",
            "master_capable",
            "custom_ndparams",
        ],
        ["==", "name", "node2"],
    )[0]
    assert [value for _, value in row] == [
        "node2.example.com",
        node.primary_ip,
        node.secondary_ip,
        "default",
        group.uuid,
        node.uuid,
        [],
        True,
        True,
        {},
    ]
