"""Opcodes about the cluster as a whole, and about its OS definitions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from ganeti import ht
from ganeti.opcodes.base import OpCode, opcode
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
    """Check the cluster: answers follow-up jobs, one for the configuration, one a group."""

    debug_simulate_errors: bool = False
    error_codes: bool = False
    skip_checks: list[str] = []
    ignore_errors: list[str] = []
    verbose: bool = False
    group_name: ht.NonEmptyString | None = None
    verify_clutter: bool = False


@opcode
class OpClusterVerifyConfig(OpCode):
    """Check that the configuration does not contradict itself."""

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
    """List the OS definitions, a row each, with the columns asked for."""

    output_fields: list[ht.NonEmptyString]
    names: list[Any] = []


@opcode
class OpExtStorageDiagnose(OpCode):
    """List the providers of external storage, a row each, with the columns asked for."""

    output_fields: list[ht.NonEmptyString]
    names: list[ht.NonEmptyString] = []


@opcode
class OpClusterVerifyDisks(OpCode):
    """Find disks that should be usable and are not: answers follow-up jobs, one a group."""

    group_name: ht.NonEmptyString | None = None


@opcode
class OpClusterRepairDiskSizes(OpCode):
    """Write down the sizes that disks really have, of these instances or of all."""

    instances: list[ht.NonEmptyString] = []


@opcode
class OpClusterRedistConf(OpCode):
    """Send the cluster's files to all nodes again."""


@opcode
class OpClusterRename(OpCode):
    """Give the cluster another name. The job answers the full one."""

    SUMMARY_FIELD = "name"

    name: ht.NonEmptyString


@opcode
class OpClusterRenewCrypto(OpCode):
    """Make nodes' certificates or SSH keys anew."""

    debug: bool = False
    node_certificates: bool = False
    renew_ssh_keys: bool = False
    ssh_key_bits: ht.PositiveInt | None = None
    ssh_key_type: Literal["rsa", "dsa", "ecdsa"] | None = None
    verbose: bool = False


@opcode
class OpClusterActivateMasterIp(OpCode):
    """Put the cluster's address on the master."""


@opcode
class OpClusterDeactivateMasterIp(OpCode):
    """Take the cluster's address off the master."""


@opcode
class OpClusterConfigQuery(OpCode):
    """Single values of the configuration."""

    output_fields: list[ht.NonEmptyString]


@opcode
class OpClusterQuery(OpCode):
    """All that is known of the cluster."""


@opcode
class OpClusterPostInit(OpCode):
    """Run what is to be run after a cluster was created."""


@opcode
class OpClusterDestroy(OpCode):
    """Remove the cluster, which must be empty."""


def _is_range(entry: list[Any]) -> bool:
    return len(entry) == 2 and all(map(ht.check_for(int).fits, entry))


def _is_os_change(entry: list[Any]) -> bool:
    return (
        len(entry) == 2
        and entry[0] in ("add", "attach", "remove", "detach")
        and ht.check_for(ht.NonEmptyString).fits(entry[1])
    )


UserIds = Annotated[
    list[list[Any]],
    ht.Refinement("a list of [first, last] user ids", lambda entries: all(map(_is_range, entries))),
]
OsChanges = Annotated[
    list[list[Any]],
    ht.Refinement(
        'a list of ["add" or "remove", OS name]', lambda entries: all(map(_is_os_change, entries))
    ),
]


@opcode
class OpClusterSetParams(OpCode):
    """Change the cluster's parameters: only those that are given."""

    SECRET = frozenset({"osparams_private_cluster"})

    add_uids: UserIds | None = None
    beparams: BeParams | None = None
    blacklisted_os: OsChanges | None = None
    candidate_pool_size: ht.PositiveInt | None = None
    compression_tools: list[ht.NonEmptyString] | None = None
    data_collector_interval: dict[str, int] | None = None
    default_iallocator: str | None = None
    default_iallocator_params: dict[str, Any] | None = None
    disk_state: dict[str, Any] | None = None
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
    hv_state: dict[str, Any] | None = None
    hvparams: dict[str, HvParams] | None = None
    install_image: str | None = None
    instance_communication_network: str | None = None
    ipolicy: dict[str, Any] | None = None
    mac_prefix: ht.NonEmptyString | None = None
    maintain_node_health: bool | None = None
    master_netdev: str | None = None
    master_netmask: ht.NonNegativeInt | None = None
    max_running_jobs: ht.PositiveInt | None = None
    max_tracked_jobs: ht.PositiveInt | None = None
    modify_etc_hosts: bool | None = None
    ndparams: NdParams | None = None
    nicparams: NicParams | None = None
    os_hvp: dict[str, dict[str, Any]] | None = None
    osparams: dict[str, dict[str, Any]] | None = None
    osparams_private_cluster: dict[str, dict[str, Any]] | None = None
    prealloc_wipe_disks: bool | None = None
    remove_uids: UserIds | None = None
    reserved_lvs: list[ht.NonEmptyString] | None = None
    shared_file_storage_dir: str | None = None
    uid_pool: UserIds | None = None
    use_external_mip_script: bool | None = None
    vg_name: str | None = None
    zeroing_image: str | None = None
