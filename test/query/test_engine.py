"""Query, QueryFields and the classic queries: shapes, names, filters, order."""

import pytest

from ganeti import errors
from ganeti.query import engine
from support.query import FACTS, QueryScene


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Return a scene with inst1 to inst10 on one node, db1 and db10 on another."""
    made = QueryScene(tmp_path_factory.mktemp("cluster"))
    for name in ("inst10", "inst2", "inst1"):
        made.add(f"{name}.example.com")
    made.add("db1.example.com", node="node2", tags=["old"], beparams={"maxmem": 512})
    made.add("db1.example.org", node="node2")
    yield made
    made.close()


INST = ["inst1.example.com", "inst2.example.com", "inst10.example.com"]
#: Fields that Ganeti has not.
OURS = {"job": ("request_id", "user", "waiting_for")}
DB = ["db1.example.com", "db1.example.org"]


def code(error):
    return error.value.args[1]


# -- fields ------------------------------------------------------------------------


@pytest.mark.parametrize("what", sorted(FACTS))
def test_every_field_of_ganeti_is_here_in_its_order(what):
    fields = engine.field_list(what, None)["fields"]
    assert [
        [item["name"], item["title"], item["kind"]]
        for item in fields
        if item["name"] not in OURS.get(what, ())
    ] == FACTS[what]


def test_the_facts_cover_every_kind():
    assert set(FACTS) == set(engine.KINDS)


@pytest.mark.parametrize("what", sorted(FACTS))
def test_definitions_have_four_keys_and_no_empty_one(what):
    for item in engine.field_list(what, [])["fields"]:
        assert list(item) == ["name", "title", "kind", "doc"] and all(item.values()), item
        assert "\n" not in item["doc"] and not item["doc"].endswith("."), item


def test_fields_are_defined_as_asked_also_unknown_ones_and_twice():
    fields = engine.field_list("job", ["id", "bogus", "id"])["fields"]
    assert [item["name"] for item in fields] == ["id", "bogus", "id"]
    assert fields[1] == {
        "name": "bogus",
        "title": "bogus",
        "kind": "unknown",
        "doc": "There is no field 'bogus'",
    }


@pytest.mark.parametrize(
    "what, error",
    [
        ("os", errors.GenericError),
        ("cluster", errors.GenericError),
        ("bogus", errors.ParameterError),
        ("", errors.ParameterError),
    ],
)
def test_other_kinds_are_refused(scene, what, error):
    for ask in (
        lambda: engine.field_list(what, None),
        lambda: engine.run(scene.sources, what, ["name"], None),
    ):
        with pytest.raises(error):
            ask()


# -- answers -----------------------------------------------------------------------


def test_an_answer_is_definitions_and_rows_of_cells(scene):
    answer = engine.run(
        scene.sources, "instance", ["name", "bogus", "network_port"], ["==", "name", "inst1"]
    )
    assert set(answer) == {"fields", "data"}
    assert [item["kind"] for item in answer["fields"]] == ["text", "unknown", "other"]
    assert answer["data"] == [[[0, "inst1.example.com"], [1, None], [3, None]]]


def test_no_fields_give_empty_rows(scene):
    assert scene.data("instance", []) == [[]] * 5


def test_rows_come_in_the_order_that_people_expect(scene):
    assert scene.names("instance") == DB + INST
    assert scene.names("node") == [f"node{n}.example.com" for n in (1, 2, 3)]


# -- names -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked, found",
    [
        (["inst2", "inst1.example.com", "inst2"], [INST[1], INST[0], INST[1]]),
        (["instance-1"], [INST[2]]),  # by uuid
        (["db1.example.com"], [DB[0]]),
    ],
)
def test_a_list_of_names_is_looked_up_in_its_order(scene, asked, found):
    alternatives = [["==", "name", name] for name in asked]
    assert scene.names("instance", ["|", *alternatives]) == found
    if len(asked) == 1:
        assert scene.names("instance", alternatives[0]) == found


@pytest.mark.parametrize("name", ["nope", "inst", "db1", "", "INST1.example.net"])
def test_a_name_that_finds_nothing_or_several_is_an_error(scene, name):
    with pytest.raises(errors.OpPrereqError, match=f"Instance name {name} not found") as error:
        scene.names("instance", ["|", ["==", "name", "inst1"], ["==", "name", name]])
    assert code(error) == "unknown_entity"


@pytest.mark.parametrize(
    "what, label", [("node", "Node"), ("group", "NodeGroup"), ("network", "Network")]
)
def test_the_error_names_the_kind_of_object(scene, what, label):
    with pytest.raises(errors.OpPrereqError, match=f"{label} name nope not found"):
        scene.names(what, ["==", "name", "nope"])


@pytest.mark.parametrize(
    "filter_",
    [
        ["&", ["==", "name", "nope"]],
        ["!", ["!=", "name", "nope"]],
        ["|", ["==", "name", "nope"], ["==", "uuid", "x"]],
    ],
)
def test_in_any_other_filter_an_unknown_name_does_not_match(scene, filter_):
    assert scene.names("instance", filter_) == []


def test_a_name_that_is_no_string_is_an_error(scene):
    with pytest.raises(errors.ParameterError, match="a string"):
        scene.names("instance", ["==", "name", 3])


# -- filters -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "filter_, found",
    [
        (["&", ["==", "name", "db1"]], DB),
        (["=~", "name", "^inst1"], [INST[0], INST[2]]),
        (["==", "pnode", "node2"], DB),
        (["!=", "pnode", "node2"], INST),
        (["=[]", "tags", "old"], DB[:1]),
        ([">", "be/maxmem", 128], DB[:1]),
        (["==", "status", "ADMIN_down"], DB + INST),
        (["<", "oper_ram", 1], DB + INST),
        (["?", "admin_up"], []),
    ],
)
def test_a_filter_finds_the_matching_rows(scene, filter_, found):
    assert scene.names("instance", filter_) == found


def test_a_filter_may_use_fields_that_were_not_asked_for(scene):
    assert scene.data("node", ["role"], ["?", "master"]) == [[[0, "M"]]]


def test_an_unknown_field_in_a_filter_is_an_error(scene):
    for what in engine.KINDS:
        with pytest.raises(errors.ParameterError, match="'bogus'"):
            engine.run(scene.sources, what, [], ["==", "bogus", "x"])


# -- classic -----------------------------------------------------------------------


def classic(scene, what, names, fields=("name",)):
    return engine.classic(scene.sources, what, names, fields)


@pytest.mark.parametrize(
    "names, found",
    [
        ([], DB + INST),
        (["inst10", "inst2", "nope", "inst2.example.com"], INST[1:]),
        (["instance-1"], [INST[2]]),
        (["db1"], []),
        (["nope"], []),
    ],
)
def test_classic_rows_are_sorted_and_unknown_names_left_out(scene, names, found):
    assert classic(scene, "instance", names) == [[name] for name in found]


def test_classic_values_are_plain(scene):
    assert classic(scene, "instance", ["inst1"], ["network_port", "status", "oper_ram"]) == [
        [None, "ADMIN_down", None]
    ]


def test_classic_rows_of_other_kinds_are_plain(scene):
    assert classic(scene, "node", ["node3"]) == [["node3.example.com"]]
    assert classic(scene, "group", [scene.config.groups()[0].uuid]) == [["default"]]
    assert classic(scene, "network", []) == classic(scene, "network", ["x"]) == []


def test_classic_refuses_unknown_fields_by_name(scene):
    with pytest.raises(
        errors.OpPrereqError, match="Unknown output fields selected: bogus, more"
    ) as error:
        classic(scene, "network", [], ["name", "bogus", "more"])
    assert code(error) == "wrong_input"


# -- nodes are asked when needed ------------------------------------------------------


def test_nodes_are_asked_only_for_what_they_know(scene):
    scene.nodes.asked.clear()
    static = [name for name, item in engine.KINDS["instance"].fields.items() if not item.live]
    scene.data("instance", static)
    scene.data(
        "node", [name for name, item in engine.KINDS["node"].fields.items() if not item.live]
    )
    assert scene.nodes.asked == []


def test_each_node_is_asked_once(scene):
    for fields, filter_ in ((["status", "oper_ram"], None), (["name"], ["?", "oper_state"])):
        scene.nodes.asked.clear()
        scene.data("instance", fields, filter_)
        assert sorted(scene.nodes.asked) == scene.names("node")


def test_a_field_that_asks_nodes_must_say_so(scene):
    row = engine.KINDS["instance"].rows(scene.reading(live=False), [])[0]
    with pytest.raises(errors.ProgrammerError, match="not declared live"):
        engine.KINDS["instance"].fields["status"].getter(row)


#: What a value of each kind may be; ``other`` may be anything that JSON has.
TYPES = {
    "text": (str,),
    "bool": (bool,),
    "number": (int,),
    "unit": (int,),
    "float": (int, float),
    "timestamp": (float,),
    "other": (str, int, list, dict),
}


@pytest.mark.parametrize("what", sorted(FACTS))
def test_values_are_of_their_kind(scene, what):
    scene.start(scene.config.instance("inst1"))
    fields = [name for name, _, _ in FACTS[what]]
    for row in scene.data(what, fields):
        for (name, _, kind), (status, value) in zip(FACTS[what], row):
            assert (type(value) in TYPES[kind]) if status == 0 else (value is None), name
