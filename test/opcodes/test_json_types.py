"""Types of fields, as a client that sends JSON would name them."""

import pytest

from ganeti import opcodes
from ganeti.opcodes import json_types


@pytest.mark.parametrize(
    ("op", "field", "words"),
    [
        (opcodes.OpInstanceStartup, "force", "boolean"),
        (opcodes.OpInstanceStartup, "instance_name", "non-empty string"),
        (opcodes.OpInstanceReboot, "shutdown_timeout", "integer of 0 or more"),
        (opcodes.OpInstanceReboot, "instance_uuid", "non-empty string or null"),
        (
            opcodes.OpInstanceReboot,
            "reboot_type",
            'string, one of ``"soft"``, ``"hard"``, ``"full"``',
        ),
        (opcodes.OpInstanceCreate, "instance_name", "string, a host name"),
        (opcodes.OpTagsSet, "tags", "array of strings"),
        (opcodes.OpTestDummy, "result", "any value"),
        (opcodes.OpBackupExport, "target_node", "non-empty string or array"),
        (opcodes.OpBackupExport, "x509_key_name", "array or null"),
        (opcodes.OpTestDelay, "depends", "array of [job, [final status, ...]] or null"),
    ],
)
def test_a_field_has_a_json_type(op, field, words):
    assert json_types.describe(op)[field] == words


@pytest.mark.parametrize("op", opcodes.BY_ID.values(), ids=opcodes.BY_ID)
def test_every_field_of_every_opcode_has_one(op):
    for field, words in json_types.describe(op).items():
        assert words.strip(" ,") == words and "'" not in words.replace("disks' ", ""), field
