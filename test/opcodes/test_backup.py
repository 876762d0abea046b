"""Opcodes about exports."""

import pytest

from ganeti import opcodes
from support.opcodes import assert_needs, assert_refused

NAME = {"instance_name": "web"}


def test_an_export_goes_to_a_node_or_to_another_cluster():
    for target in ("node2", [["192.0.2.1", 1811, "x"]]):
        op = opcodes.OpBackupExport(**NAME, target_node=target)
        assert (op.mode, op.shutdown, op.shutdown_timeout) == ("local", True, 120)
    assert op.summary() == "BACKUP_EXPORT(web)"


def test_an_export_refuses_wrong_values():
    assert_needs(opcodes.OpBackupExport, {**NAME, "target_node": "n"})
    assert_refused(
        opcodes.OpBackupExport,
        {**NAME, "target_node": "n"},
        target_node="",
        mode="x",
        shutdown=1,
        x509_key_name="k",
        zeroing_timeout_per_mib="1",
    )


@pytest.mark.parametrize("mode, good", [("local", True), ("remote", True), ("", False)])
def test_a_preparation_accepts_known_modes_only(mode, good):
    if good:
        assert opcodes.OpBackupPrepare(**NAME, mode=mode).mode == mode
    else:
        assert_refused(opcodes.OpBackupPrepare, {**NAME, "mode": "local"}, mode=mode)


def test_a_removal_needs_a_name():
    assert_needs(opcodes.OpBackupRemove, NAME)
