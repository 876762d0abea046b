"""Opcodes about the cluster and its OS definitions."""

import pytest

from ganeti import opcodes
from support.opcodes import assert_needs, assert_refused


def test_a_verification_of_a_group_needs_its_name():
    assert opcodes.OpClusterVerify().group_name is None
    assert opcodes.OpClusterVerifyConfig().summary() == "CLUSTER_VERIFY_CONFIG"
    assert opcodes.OpClusterVerifyGroup(group_name="g").summary() == "CLUSTER_VERIFY_GROUP(g)"
    with pytest.raises(opcodes.FieldError, match="group_name"):
        opcodes.OpClusterVerifyGroup()


def test_a_list_of_oses_needs_its_columns():
    assert opcodes.OpOsDiagnose(output_fields=["name"]).names == []
    for wrong in (None, "name", [""], [1]):
        with pytest.raises(opcodes.FieldError):
            opcodes.OpOsDiagnose(output_fields=wrong)


def test_a_change_of_the_cluster_refuses_wrong_values():
    good = {
        "enabled_hypervisors": ["kvm"],
        "uid_pool": [[1000, 1999]],
        "beparams": {"vcpus": 2},
        "hidden_os": [["add", "noop"]],
        "osparams_private_cluster": {"noop": {"key": "x"}},
    }
    op = opcodes.OpClusterSetParams(**good)
    assert op.to_view()["osparams_private_cluster"] == {"noop": "<redacted>"}
    assert_refused(
        opcodes.OpClusterSetParams,
        good,
        candidate_pool_size=0,
        vg_name=1,
        uid_pool=[[1, 2, 3]],
        add_uids=[1],
        hidden_os=[["add", ""]],
        blacklisted_os=[["hide", "noop"]],
        enabled_hypervisors=["vmware"],
        hvparams={"kvm": 1},
        reserved_lvs=[""],
    )


def test_opcodes_about_the_whole_cluster_need_no_field():
    for cls in (
        opcodes.OpClusterRedistConf,
        opcodes.OpClusterDestroy,
        opcodes.OpClusterPostInit,
        opcodes.OpClusterActivateMasterIp,
        opcodes.OpClusterDeactivateMasterIp,
        opcodes.OpClusterQuery,
        opcodes.OpClusterVerifyDisks,
        opcodes.OpClusterRepairDiskSizes,
        opcodes.OpClusterRenewCrypto,
    ):
        assert_needs(cls, {})
    assert opcodes.OpClusterRename(name="c").summary() == "CLUSTER_RENAME(c)"
    assert_refused(opcodes.OpClusterRenewCrypto, {}, ssh_key_type="ed25519", ssh_key_bits=0)
