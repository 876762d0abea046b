"""The base of opcodes: fields are checked, and survive the wire."""

import itertools

import pytest

from ganeti import errors, opcodes

CREATE = {
    "OP_ID": "OP_INSTANCE_CREATE",
    "instance_name": "web",
    "mode": "create",
    "disks": [],
    "nics": [{}],
    "reason": [],
}


def test_op_id_follows_from_the_name():
    assert opcodes.OpTagsSet.OP_ID == "OP_TAGS_SET"
    assert opcodes.BY_ID["OP_INSTANCE_QUERY_DATA"] is opcodes.OpInstanceQueryData


def test_only_given_fields_go_over_the_wire():
    op = opcodes.OpInstanceStartup(instance_name="web", force=False, hvparams=None)
    assert op.to_wire() == {
        "OP_ID": "OP_INSTANCE_STARTUP",
        "instance_name": "web",
        "force": False,
        "reason": [],
    }
    assert op.hvparams == {}


def test_a_job_shows_all_fields_that_have_a_value():
    view = opcodes.OpInstanceShutdown(instance_name="web").to_view()
    assert view["timeout"] == 120 and view["OP_ID"] == "OP_INSTANCE_SHUTDOWN"
    assert "instance_uuid" not in view and "dry_run" not in view
    assert (view["priority"], view["debug_level"], view["depends"], view["comment"]) == (
        0,
        0,
        None,
        None,
    )


def test_an_opcode_survives_the_wire():
    op = opcodes.load(CREATE)
    assert opcodes.load(op.to_wire()) == op
    assert op.summary() == "INSTANCE_CREATE(web)"
    assert op.replace(instance_name="db").summary() == "INSTANCE_CREATE(db)"


def test_secrets_are_not_shown():
    op = opcodes.load({**CREATE, "osparams_secret": {"password": "hunter2"}})
    assert op.to_view()["osparams_secret"] == {"password": "<redacted>"}
    assert "hunter2" not in repr(op)
    assert opcodes.redact("word") == "<redacted>"


@pytest.mark.parametrize(
    "change, words",
    [
        ({"bogus": 1}, "unknown parameter 'bogus'"),
        ({"instance_name": ""}, "'instance_name' must be a host name"),
        ({"start": "yes"}, "'start' must be true or false, not 'yes'"),
        ({"disks": [1]}, "'disks' must be a list"),
        ({"nics": [{"speed": 1}]}, "'nics': NIC 0: 'speed'"),
        ({"disks": [{"size": 1}, {"spindles": "x"}]}, "disk 1: 'spindles' must be an integer"),
        ({"disks": [{"mode": []}]}, "disk 0: 'mode' must be one of ro, rw"),
        ({"beparams": {"vcpus": "x"}}, r"'beparams': 'vcpus' \(value 'x'\)"),
        ({"priority": 5}, "'priority' must be -10, 0 or 10"),
        ({"depends": [["x", []]]}, "'depends'"),
        ({"depends": [[1, ["queued"]]]}, "'depends'"),
        ({"reason": [["a", "b"]]}, "'reason'"),
    ],
)
def test_a_wrong_field_is_named(change, words):
    with pytest.raises(opcodes.FieldError, match=words) as caught:
        opcodes.load({**CREATE, **change})
    assert caught.value.field in change


def test_no_value_is_too_odd_to_be_checked():
    atoms = [None, True, -1, 0, 1.5, "", "x", "add", [], {}, [{}], {"x": []}]
    rows = [list(row) for size in (1, 2, 3) for row in itertools.product(atoms, repeat=size)]
    values = [
        *atoms,
        *rows,
        *([row] for row in rows),
        *([1, row] for row in rows),
        *([[1, row]] for row in rows),
        *({"x": row} for row in rows),
    ]
    checks = {check for cls in opcodes.BY_ID.values() for check in cls.CHECKS.values()}
    for check, value in itertools.product(checks, values):
        assert check.fits(value) in (True, False), (check.expects, value)


def test_a_missing_field_is_named():
    with pytest.raises(opcodes.FieldError, match="'duration' is missing"):
        opcodes.OpTestDelay()


@pytest.mark.parametrize("wire", [{}, {"OP_ID": "OP_NOSUCH"}, {"OP_ID": 3}, [], None])
def test_an_unknown_opcode_is_refused(wire):
    with pytest.raises(errors.OpCodeUnknown):
        opcodes.load(wire)


def test_each_opcode_has_lists_of_its_own():
    first, second = opcodes.load(CREATE), opcodes.load(CREATE)
    first.tags.append("x")
    assert second.tags == []
    assert first != second and hash(first) == hash(second)


@pytest.mark.parametrize(
    "reason, index",
    [
        ([], 0),
        ([["gnt:user", "because", 1]], 0),
        ([["gnt:opcode:tags_get", "job=7;index=3", 1]], 3),
        ([["gnt:user", "job=7;index=9", 1], ["gnt:opcode:tags_get", "job=7;index=1", 2]], 1),
    ],
)
def test_an_opcode_knows_its_place_in_its_job(reason, index):
    assert opcodes.OpTagsGet(kind="cluster", reason=reason).index == index


def test_a_secret_is_not_quoted_in_what_is_wrong_with_it():
    with pytest.raises(opcodes.base.FieldError) as caught:
        opcodes.OpInstanceCreate(
            instance_name="web",
            mode="create",
            disks=[],
            nics=[],
            osparams_secret={"password": ["hunter2"]},
        )
    assert "'osparams_secret' must be" in str(caught.value) and "hunter2" not in str(caught.value)


@pytest.mark.parametrize("job", ["7", " 7", "7 ", "\t7\n"])
def test_a_dependency_may_be_a_number_with_blanks_around_it(job):
    assert opcodes.OpTestDelay(duration=1.0, depends=[[job, []]]).depends == [[job, []]]
