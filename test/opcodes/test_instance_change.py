"""Opcodes that change instances: the forms of 2.0 and of 3.x, and invalid ones."""

import pytest

from ganeti import opcodes
from support.opcodes import assert_needs, assert_refused

NAME = {"instance_name": "web"}


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [["add", -1, {"size": 1}]],
        [["modify", "data", {"mode": "ro"}], ["remove", 0, {}]],
        [["attach", {}]],
        [["detach", {}]],
        [["attach", {"uuid": "x"}]],
        [["add", {"size": 1}]],
        [[0, {"mode": "ro"}], ["remove", {}]],
    ],
)
def test_every_form_of_change_is_accepted(entries):
    assert opcodes.OpInstanceSetParams(**NAME, disks=entries).disks == entries


@pytest.mark.parametrize(
    "entries",
    [
        [["move", 0, {}]],
        [["add", 0]],
        [["add", None, {}]],
        ["add"],
        [[]],
        [["modify", {}]],
        [[-1, {}]],
        [["add", -1, {}], ["add", {}]],
        [[True, {}]],
        {"add": {}},
    ],
)
def test_a_malformed_change_is_refused(entries):
    assert_refused(opcodes.OpInstanceSetParams, NAME, disks=entries, nics=entries)


def test_nics_have_known_keys():
    good = [["modify", 0, {"link": "br1", "mac": None}]]
    assert opcodes.OpInstanceSetParams(**NAME, nics=good).nics == good
    assert_refused(opcodes.OpInstanceSetParams, NAME, nics=[["modify", 0, {"speed": "1"}]])
    assert_refused(opcodes.OpInstanceSetParams, NAME, nics=[["modify", 0, {"vlan": 5}]])


def test_disks_have_texts_and_numbers():
    for value in (None, "", "x", "-1", -1, True, 1.5, []):
        assert_refused(opcodes.OpInstanceSetParams, NAME, disks=[["add", 0, {"size": value}]])
    for odd in ({"size": "1 yard"}, {"mode": "zz"}, {"name": 5}, {"spindles": "x"}):
        assert_refused(opcodes.OpInstanceSetParams, NAME, disks=[["add", 0, odd]])
        assert_refused(opcodes.OpInstanceRecreateDisks, NAME, disks=[[0, odd]])
    good = [["add", 0, {"size": 1, "name": "data", "provider": "x", "own": "y"}]]
    assert opcodes.OpInstanceSetParams(**NAME, disks=good).disks == good


@pytest.mark.parametrize("size", ["1G", "1024", "1024m", "1 GB", "1.5g"])
def test_sizes_of_disks_may_have_units(size):
    change = [["add", {"size": size}]]
    assert opcodes.OpInstanceSetParams(**NAME, disks=change).disks == change
    change = [[0, {"size": size}]]
    assert opcodes.OpInstanceRecreateDisks(**NAME, disks=change).disks == change


def test_a_value_that_no_job_takes_for_its_type_is_named():
    for name, value in (("beparams", {"vcpus": "x"}), ("hvparams", {"acpi": "x"})):
        with pytest.raises(opcodes.FieldError, match=f"'{name}': '{next(iter(value))}'"):
            opcodes.OpInstanceSetParams(**NAME, **{name: value})
    good = {
        "beparams": {"memory": None, "vcpus": "default", "bogus": []},
        "hvparams": {"acpi": "default"},
    }
    assert opcodes.OpInstanceSetParams(**NAME, **good).beparams == good["beparams"]


def test_a_change_refuses_wrong_values():
    assert_refused(
        opcodes.OpInstanceSetParams,
        NAME,
        runtime_mem=0,
        disk_template="floppy",
        offline="no",
        beparams=[],
        hotplug=1,
        os_name="",
    )


def test_secrets_are_not_shown():
    view = opcodes.OpInstanceSetParams(**NAME, osparams_private={"password": "x"}).to_view()
    assert view["osparams_private"] == {"password": "<redacted>"}


@pytest.mark.parametrize(
    "cls, good",
    [
        (opcodes.OpInstanceRename, {**NAME, "new_name": "db"}),
        (opcodes.OpInstanceMigrate, NAME),
        (opcodes.OpInstanceFailover, NAME),
        (opcodes.OpInstanceMove, {**NAME, "target_node": "n"}),
        (opcodes.OpInstanceChangeGroup, NAME),
        (opcodes.OpInstanceConsole, NAME),
        (opcodes.OpInstanceMultiAlloc, {}),
        (opcodes.OpInstanceSetParams, NAME),
    ],
)
def test_each_opcode_needs_its_fields(cls, good):
    assert_needs(cls, good)


def test_an_unknown_kind_of_migration_is_refused():
    assert opcodes.OpInstanceMigrate(**NAME, mode="non-live").mode == "non-live"
    assert_refused(opcodes.OpInstanceMigrate, NAME, mode="dead", live="yes")
