"""Opcodes about instances: their defaults, and the values that they refuse."""

import pytest

from ganeti import opcodes

NAME = {"instance_name": "web"}
CREATE = {**NAME, "mode": "create", "disks": [{"size": 1}], "nics": [{"mac": "auto"}]}


def test_a_creation_needs_little():
    op = opcodes.OpInstanceCreate(**CREATE)
    assert op.start and not op.ip_check and not op.name_check and op.conflicts_check
    assert op.summary() == "INSTANCE_CREATE(web)"


@pytest.mark.parametrize(
    "change",
    [
        {"instance_name": "../etc"},
        {"mode": "copy"},
        {"disk_template": "floppy"},
        {"hypervisor": "vmware"},
        {"file_driver": "nosuch"},
        {"disks": [{"size": 1, "mode": "x"}]},
        {"disks": [{"mode": []}]},
        {"disks": [{"size": 1, "name": 5}]},
        {"disks": [{"vg": ""}]},
        {"disks": [{"size": 1, "spindles": "x"}]},
        {"nics": [{"mac": ""}]},
        {"tags": [""]},
        {"disks": [1]},
        {"nics": [{"speed": "1"}]},
        {"nics": [{"vlan": 5}]},
        {"tags": [1]},
        {"start": 1},
        {"pnode": ""},
        {"osparams": []},
        {"disks": [{"name": "a\0b"}]},
        {"nics": [{"name": "a\0b"}]},
        {"nics": [{"link": "\ud800"}]},
        {"disks": [{"vg": "\0"}]},
    ],
)
def test_a_creation_refuses_wrong_values(change):
    with pytest.raises(opcodes.FieldError, match=next(iter(change))):
        opcodes.OpInstanceCreate(**{**CREATE, **change})


@pytest.mark.parametrize(
    "cls, timeout",
    [
        (opcodes.OpInstanceShutdown, "timeout"),
        (opcodes.OpInstanceRemove, "shutdown_timeout"),
        (opcodes.OpInstanceStartup, "shutdown_timeout"),
    ],
)
def test_guests_have_two_minutes_to_stop(cls, timeout):
    assert getattr(cls(**NAME), timeout) == 120
    with pytest.raises(opcodes.FieldError, match=timeout):
        cls(**NAME, **{timeout: -1})


@pytest.mark.parametrize(
    "kind, good", [("soft", True), ("hard", True), ("full", True), ("cold", False), (None, False)]
)
def test_only_known_kinds_of_reboot_are_accepted(kind, good):
    if good:
        assert opcodes.OpInstanceReboot(**NAME, reboot_type=kind).reboot_type == kind
    else:
        with pytest.raises(opcodes.FieldError):
            opcodes.OpInstanceReboot(**NAME, reboot_type=kind)


def test_detailed_data_is_of_all_unless_named():
    op = opcodes.OpInstanceQueryData()
    assert op.instances == [] and not op.static and op.summary() == "INSTANCE_QUERY_DATA"


@pytest.mark.parametrize("cls", [opcodes.OpInstanceCreate, opcodes.OpInstanceReinstall])
def test_secret_os_parameters_are_never_shown(cls):
    fields = CREATE if cls is opcodes.OpInstanceCreate else NAME
    op = cls(**fields, osparams_secret={"key": "s3cret"}, osparams_private={"x": "pr1vate"})
    assert "s3cret" not in str(op.to_view()) and "pr1vate" not in str(op.to_view())


@pytest.mark.parametrize("field", ["osparams", "osparams_private", "osparams_secret"])
@pytest.mark.parametrize(
    "cls, values", [(opcodes.OpInstanceCreate, CREATE), (opcodes.OpInstanceReinstall, NAME)]
)
def test_an_os_parameter_must_fit_a_variable(cls, values, field):
    good = {"dhcp": "yes", "size": 8, "none": "", "ü": "é\n"}
    assert getattr(cls(**values, **{field: good}), field) == good
    for bad in (
        {"x": {"a": 1}},
        {"x": None},
        {"x": True},
        {"x": ["a"]},
        {"x": 1.5},
        {"x": "a\0b"},
        {"x": "\ud800"},
        {"a=b": "x"},
        {"a\0b": "x"},
    ):
        with pytest.raises(opcodes.FieldError, match=f"'{field}' must be"):
            cls(**values, **{field: bad})
