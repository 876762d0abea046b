"""Every opcode, by noun. ``opcodes.OpInstanceStartup``, ``opcodes.load(wire)``.

An opcode that our master carries out is a class here and a logical unit in
``cmdlib``. One that only a real Ganeti master knows stands in ``FORWARD_ONLY``:
our master refuses it by name.
"""

from ganeti.opcodes.base import BY_ID, FieldError, OpCode, load, redact
from ganeti.opcodes.cluster import (OpClusterVerify, OpClusterVerifyConfig,
                                    OpClusterVerifyGroup, OpOsDiagnose)
from ganeti.opcodes.instance import (OpInstanceCreate, OpInstanceQueryData, OpInstanceReboot,
                                     OpInstanceReinstall, OpInstanceRemove, OpInstanceShutdown,
                                     OpInstanceStartup)
from ganeti.opcodes.tags import OpTagsDel, OpTagsGet, OpTagsSearch, OpTagsSet
from ganeti.opcodes.test import OpTestDelay

#: OP_IDs of Ganeti 3.x that our master does not carry out.
FORWARD_ONLY: frozenset[str] = frozenset({
    "OP_BACKUP_EXPORT",
    "OP_BACKUP_PREPARE",
    "OP_BACKUP_REMOVE",
    "OP_CLUSTER_ACTIVATE_MASTER_IP",
    "OP_CLUSTER_CONFIG_QUERY",
    "OP_CLUSTER_DEACTIVATE_MASTER_IP",
    "OP_CLUSTER_DESTROY",
    "OP_CLUSTER_POST_INIT",
    "OP_CLUSTER_QUERY",
    "OP_CLUSTER_REDIST_CONF",
    "OP_CLUSTER_RENAME",
    "OP_CLUSTER_RENEW_CRYPTO",
    "OP_CLUSTER_REPAIR_DISK_SIZES",
    "OP_CLUSTER_SET_PARAMS",
    "OP_CLUSTER_VERIFY_DISKS",
    "OP_EXT_STORAGE_DIAGNOSE",
    "OP_GROUP_ADD",
    "OP_GROUP_ASSIGN_NODES",
    "OP_GROUP_EVACUATE",
    "OP_GROUP_REMOVE",
    "OP_GROUP_RENAME",
    "OP_GROUP_SET_PARAMS",
    "OP_GROUP_VERIFY_DISKS",
    "OP_INSTANCE_ACTIVATE_DISKS",
    "OP_INSTANCE_CHANGE_GROUP",
    "OP_INSTANCE_CONSOLE",
    "OP_INSTANCE_DEACTIVATE_DISKS",
    "OP_INSTANCE_FAILOVER",
    "OP_INSTANCE_GROW_DISK",
    "OP_INSTANCE_MIGRATE",
    "OP_INSTANCE_MOVE",
    "OP_INSTANCE_MULTI_ALLOC",
    "OP_INSTANCE_RECREATE_DISKS",
    "OP_INSTANCE_RENAME",
    "OP_INSTANCE_REPLACE_DISKS",
    "OP_INSTANCE_SET_PARAMS",
    "OP_NETWORK_ADD",
    "OP_NETWORK_CONNECT",
    "OP_NETWORK_DISCONNECT",
    "OP_NETWORK_REMOVE",
    "OP_NETWORK_RENAME",
    "OP_NETWORK_SET_PARAMS",
    "OP_NODE_ADD",
    "OP_NODE_EVACUATE",
    "OP_NODE_MIGRATE",
    "OP_NODE_MODIFY_STORAGE",
    "OP_NODE_POWERCYCLE",
    "OP_NODE_QUERYVOLS",
    "OP_NODE_QUERY_STORAGE",
    "OP_NODE_REMOVE",
    "OP_NODE_SET_PARAMS",
    "OP_OOB_COMMAND",
    "OP_QUERY",
    "OP_QUERY_FIELDS",
    "OP_REPAIR_NODE_STORAGE",
    "OP_RESTRICTED_COMMAND",
    "OP_TEST_ALLOCATOR",
    "OP_TEST_DUMMY",
    "OP_TEST_JQUEUE",
    "OP_TEST_OS_PARAMS",
})

__all__ = [
    "BY_ID", "FORWARD_ONLY", "FieldError", "OpCode", "load", "redact",
    "OpClusterVerify", "OpClusterVerifyConfig", "OpClusterVerifyGroup", "OpOsDiagnose",
    "OpInstanceCreate", "OpInstanceQueryData", "OpInstanceReboot", "OpInstanceReinstall",
    "OpInstanceRemove", "OpInstanceShutdown", "OpInstanceStartup",
    "OpTagsDel", "OpTagsGet", "OpTagsSearch", "OpTagsSet", "OpTestDelay",
]
