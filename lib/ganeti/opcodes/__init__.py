"""Every opcode, by noun. ``opcodes.OpInstanceStartup``, ``opcodes.load(wire)``.

Each is a class here, so that the front can check and forward it. One that our own master
carries out has a logical unit in ``cmdlib``; the others stand in ``FORWARD_ONLY``, and our
master refuses them by name.
"""

from ganeti.opcodes.base import BY_ID, FieldError, OpCode, load, redact
from ganeti.opcodes.backup import OpBackupExport, OpBackupPrepare, OpBackupRemove
from ganeti.opcodes.cluster import (OpClusterActivateMasterIp, OpClusterConfigQuery,
                                    OpClusterDeactivateMasterIp, OpClusterDestroy,
                                    OpClusterPostInit, OpClusterQuery, OpClusterRedistConf,
                                    OpClusterRename, OpClusterRenewCrypto,
                                    OpClusterRepairDiskSizes, OpClusterSetParams, OpClusterVerify,
                                    OpClusterVerifyConfig, OpClusterVerifyDisks,
                                    OpClusterVerifyGroup, OpExtStorageDiagnose, OpOsDiagnose)
from ganeti.opcodes.group import (OpGroupAdd, OpGroupAssignNodes, OpGroupEvacuate, OpGroupRemove,
                                  OpGroupRename, OpGroupSetParams, OpGroupVerifyDisks)
from ganeti.opcodes.instance import (OpInstanceCreate, OpInstanceQueryData, OpInstanceReboot,
                                     OpInstanceReinstall, OpInstanceRemove, OpInstanceShutdown,
                                     OpInstanceStartup)
from ganeti.opcodes.instance_change import (OpInstanceChangeGroup, OpInstanceConsole,
                                            OpInstanceFailover, OpInstanceMigrate, OpInstanceMove,
                                            OpInstanceMultiAlloc, OpInstanceRename,
                                            OpInstanceSetParams)
from ganeti.opcodes.instance_disks import (OpInstanceActivateDisks, OpInstanceDeactivateDisks,
                                           OpInstanceGrowDisk, OpInstanceRecreateDisks,
                                           OpInstanceReplaceDisks)
from ganeti.opcodes.network import (OpNetworkAdd, OpNetworkConnect, OpNetworkDisconnect,
                                    OpNetworkRemove, OpNetworkRename, OpNetworkSetParams)
from ganeti.opcodes.node import (OpNodeAdd, OpNodeEvacuate, OpNodeMigrate, OpNodeModifyStorage,
                                 OpNodePowercycle, OpNodeQueryStorage, OpNodeQueryvols,
                                 OpNodeRemove, OpNodeSetParams, OpOobCommand, OpRepairNodeStorage,
                                 OpRestrictedCommand)
from ganeti.opcodes.query import OpQuery, OpQueryFields
from ganeti.opcodes.tags import OpTagsDel, OpTagsGet, OpTagsSearch, OpTagsSet
from ganeti.opcodes.test import (OpTestAllocator, OpTestDelay, OpTestDummy, OpTestJqueue,
                                 OpTestOsParams)

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
    "OP_EXT_STORAGE_DIAGNOSE",
    "OP_GROUP_ADD",
    "OP_GROUP_ASSIGN_NODES",
    "OP_GROUP_EVACUATE",
    "OP_GROUP_REMOVE",
    "OP_GROUP_RENAME",
    "OP_GROUP_SET_PARAMS",
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
    "OpBackupExport", "OpBackupPrepare", "OpBackupRemove",
    "OpClusterActivateMasterIp", "OpClusterConfigQuery", "OpClusterDeactivateMasterIp",
    "OpClusterDestroy", "OpClusterPostInit", "OpClusterQuery", "OpClusterRedistConf",
    "OpClusterRename", "OpClusterRenewCrypto", "OpClusterRepairDiskSizes",
    "OpClusterSetParams", "OpClusterVerify", "OpClusterVerifyConfig", "OpClusterVerifyDisks",
    "OpClusterVerifyGroup", "OpExtStorageDiagnose", "OpOsDiagnose",
    "OpGroupAdd", "OpGroupAssignNodes", "OpGroupEvacuate", "OpGroupRemove", "OpGroupRename",
    "OpGroupSetParams", "OpGroupVerifyDisks",
    "OpInstanceCreate", "OpInstanceQueryData", "OpInstanceReboot", "OpInstanceReinstall",
    "OpInstanceRemove", "OpInstanceShutdown", "OpInstanceStartup",
    "OpInstanceChangeGroup", "OpInstanceConsole", "OpInstanceFailover", "OpInstanceMigrate",
    "OpInstanceMove", "OpInstanceMultiAlloc", "OpInstanceRename", "OpInstanceSetParams",
    "OpInstanceActivateDisks", "OpInstanceDeactivateDisks", "OpInstanceGrowDisk",
    "OpInstanceRecreateDisks", "OpInstanceReplaceDisks",
    "OpNetworkAdd", "OpNetworkConnect", "OpNetworkDisconnect", "OpNetworkRemove",
    "OpNetworkRename", "OpNetworkSetParams",
    "OpNodeAdd", "OpNodeEvacuate", "OpNodeMigrate", "OpNodeModifyStorage", "OpNodePowercycle",
    "OpNodeQueryStorage", "OpNodeQueryvols", "OpNodeRemove", "OpNodeSetParams", "OpOobCommand",
    "OpRepairNodeStorage", "OpRestrictedCommand",
    "OpQuery", "OpQueryFields",
    "OpTagsDel", "OpTagsGet", "OpTagsSearch", "OpTagsSet",
    "OpTestAllocator", "OpTestDelay", "OpTestDummy", "OpTestJqueue", "OpTestOsParams",
]
