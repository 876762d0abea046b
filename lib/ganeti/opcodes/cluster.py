"""Opcodes about the cluster as a whole, and about its OS definitions."""

from __future__ import annotations

from typing import Annotated, Literal

from ganeti import ht
from ganeti.opcodes.base import Array, Object, OpCode, opcode
from ganeti.opcodes.instance import (
    BeParams,
    DiskParams,
    DiskTemplate,
    HvParams,
    Hypervisor,
    NicParams,
)
from ganeti.opcodes.node import NdParams


@opcode
class OpClusterVerify(OpCode):
    """Check the cluster by follow-up jobs: one for the configuration, one for each group."""

    debug_simulate_errors: bool = False
    error_codes: bool = False
    skip_checks: list[str] = []
    ignore_errors: list[str] = []
    verbose: bool = False
    group_name: ht.NonEmptyString | None = None
    verify_clutter: bool = False


@opcode
class OpClusterVerifyConfig(OpCode):
    """Check that the objects of the configuration are consistent with each other."""

    debug_simulate_errors: bool = False
    error_codes: bool = False
    ignore_errors: list[str] = []
    verbose: bool = False


@opcode
class OpClusterVerifyGroup(OpCode):
    """Check the nodes and instances of one group against the configuration."""

    SUMMARY_FIELD = "group_name"

    group_name: ht.NonEmptyString
    debug_simulate_errors: bool = False
    error_codes: bool = False
    skip_checks: list[str] = []
    ignore_errors: list[str] = []
    verbose: bool = False
    verify_clutter: bool = False


@opcode
class OpOsDiagnose(OpCode):
    """List the OS definitions: a row for each, with the requested columns."""

    output_fields: list[ht.NonEmptyString]
    names: Array = []


@opcode
class OpExtStorageDiagnose(OpCode):
    """List the providers of external storage: a row for each, with the requested columns."""

    output_fields: list[ht.NonEmptyString]
    names: list[ht.NonEmptyString] = []


@opcode
class OpClusterVerifyDisks(OpCode):
    """Find disks that should be usable but are not, by a follow-up job for each group."""

    group_name: ht.NonEmptyString | None = None


@opcode
class OpClusterRepairDiskSizes(OpCode):
    """Correct the recorded sizes of the disks of these instances, or of all."""

    instances: list[ht.NonEmptyString] = []


@opcode
class OpClusterRedistConf(OpCode):
    """Send the cluster's configuration files to all nodes again."""


@opcode
class OpClusterRename(OpCode):
    """Rename the cluster; the result is its new full name."""

    SUMMARY_FIELD = "name"

    name: ht.NonEmptyString


@opcode
class OpClusterRenewCrypto(OpCode):
    """Renew the certificates or SSH keys of the nodes."""

    debug: bool = False
    node_certificates: bool = False
    renew_ssh_keys: bool = False
    ssh_key_bits: ht.PositiveInt | None = None
    ssh_key_type: Literal["rsa", "dsa", "ecdsa"] | None = None
    verbose: bool = False


@opcode
class OpClusterActivateMasterIp(OpCode):
    """Configure the cluster's address on the master node."""


@opcode
class OpClusterDeactivateMasterIp(OpCode):
    """Remove the cluster's address from the master node."""


@opcode
class OpClusterConfigQuery(OpCode):
    """Report single values of the configuration, such as the name of the master node."""

    output_fields: list[ht.NonEmptyString]


@opcode
class OpClusterQuery(OpCode):
    """Report the versions, defaults and parameters of the cluster."""


@opcode
class OpClusterPostInit(OpCode):
    """Run the hooks that follow the creation of a cluster."""


@opcode
class OpClusterDestroy(OpCode):
    """Destroy the cluster, which must have no instances and no other nodes."""


def _is_range(entry: Array) -> bool:
    return len(entry) == 2 and all(map(ht.check_for(int).fits, entry))


def _is_os_change(entry: Array) -> bool:
    return (
        len(entry) == 2
        and entry[0] in ("add", "attach", "remove", "detach")
        and ht.check_for(ht.NonEmptyString).fits(entry[1])
    )


UserIds = Annotated[
    list[Array],
    ht.Refinement("a list of [first, last] user ids", lambda entries: all(map(_is_range, entries))),
]
OsChanges = Annotated[
    list[Array],
    ht.Refinement(
        'a list of ["add" or "remove", OS name]', lambda entries: all(map(_is_os_change, entries))
    ),
]


@opcode
class OpClusterSetParams(OpCode):
    """Change those of the cluster's parameters that are given."""

    SECRET = frozenset({"osparams_private_cluster"})

    add_uids: UserIds | None = None
    beparams: BeParams | None = None
    blacklisted_os: OsChanges | None = None
    candidate_pool_size: ht.PositiveInt | None = None
    compression_tools: list[ht.NonEmptyString] | None = None
    data_collector_interval: dict[str, int] | None = None
    default_iallocator: str | None = None
    default_iallocator_params: Object | None = None
    disk_state: Object | None = None
    diskparams: DiskParams | None = None
    drbd_helper: str | None = None
    enabled_data_collectors: dict[str, bool] | None = None
    enabled_disk_templates: list[DiskTemplate] | None = None
    enabled_hypervisors: list[Hypervisor] | None = None
    enabled_user_shutdown: bool | None = None
    file_storage_dir: str | None = None
    force: bool = False
    gluster_storage_dir: str | None = None
    hidden_os: OsChanges | None = None
    hv_state: Object | None = None
    hvparams: dict[str, HvParams] | None = None
    install_image: str | None = None
    instance_communication_network: str | None = None
    ipolicy: Object | None = None
    mac_prefix: ht.NonEmptyString | None = None
    maintain_node_health: bool | None = None
    master_netdev: str | None = None
    master_netmask: ht.NonNegativeInt | None = None
    max_running_jobs: ht.PositiveInt | None = None
    max_tracked_jobs: ht.PositiveInt | None = None
    modify_etc_hosts: bool | None = None
    ndparams: NdParams | None = None
    nicparams: NicParams | None = None
    os_hvp: dict[str, Object] | None = None
    osparams: dict[str, Object] | None = None
    osparams_private_cluster: dict[str, Object] | None = None
    prealloc_wipe_disks: bool | None = None
    remove_uids: UserIds | None = None
    reserved_lvs: list[ht.NonEmptyString] | None = None
    shared_file_storage_dir: str | None = None
    uid_pool: UserIds | None = None
    use_external_mip_script: bool | None = None
    vg_name: str | None = None
    zeroing_image: str | None = None
