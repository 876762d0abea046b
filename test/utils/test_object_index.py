"""Indexes of objects: by uuid, name, order and reference, while objects change."""

from ganeti.objects import Group
from ganeti.utils.object_index import ObjectIndex


def group(name, uuid, tags=()):
    return Group(name=name, uuid=uuid, tags=list(tags))


def make(*groups):
    table = ObjectIndex(lambda value: [("tag", tag) for tag in value.tags])
    for value in groups:
        table.put(value)
    return table


def test_an_object_replaces_the_one_with_its_uuid():
    table = make(group("a", "1", ["x"]), group("a", "1", ["y"]))
    assert [value.tags for value in table.in_order] == [["y"]]
    assert not table.has_link("tag", "x") and table.has_link("tag", "y")


def test_renaming_keeps_order_and_references():
    table = make(group("a", "1", ["x"]), group("b", "2", ["x"]))
    table.put(group("c", "1", ["x"]))
    assert [value.name for value in table.in_order] == ["b", "c"]
    assert [value.name for value in table.linked("tag", "x")] == ["b", "c"]
    assert table.find("a") is None


def test_a_dropped_object_leaves_no_trace():
    table = make(group("a.x", "1", ["x"]))
    table.drop("1")
    table.drop("unknown")
    assert table.in_order == [] and table.by_uuid.get("1") is None
    assert table.find("a") is None and not table.has_link("tag", "x")


def test_a_full_name_is_preferred_to_a_short_name():
    table = make(group("web", "1"), group("web.example", "2"))
    assert table.find("web").uuid == "1"
    table.drop("1")
    assert table.find("web").uuid == "2"


def test_a_part_of_a_label_is_no_short_name():
    table = make(group("web.example", "1"))
    for name in ("we", "web.ex", "web.", "", "example"):
        assert table.find(name) is None
