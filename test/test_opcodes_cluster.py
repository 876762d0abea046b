"""Opcodes about the cluster and its OS definitions."""

import pytest

from ganeti import opcodes


def test_verification():
    assert opcodes.OpClusterVerify().group_name is None
    assert opcodes.OpClusterVerifyConfig().summary() == "CLUSTER_VERIFY_CONFIG"
    assert opcodes.OpClusterVerifyGroup(group_name="g").summary() == "CLUSTER_VERIFY_GROUP(g)"
    with pytest.raises(opcodes.FieldError, match="group_name"):
        opcodes.OpClusterVerifyGroup()


def test_os_definitions():
    assert opcodes.OpOsDiagnose(output_fields=["name"]).names == []
    for wrong in (None, "name", [""], [1]):
        with pytest.raises(opcodes.FieldError):
            opcodes.OpOsDiagnose(output_fields=wrong)
