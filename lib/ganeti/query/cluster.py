"""The cluster as a whole: QueryClusterInfo and QueryConfigValues; tags of one object."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from ganeti import constants, errors, ipolicy
from ganeti.constants import ErrorCode
from ganeti.objects import ConfigObject
from ganeti.query.engine import Sources

# -- the cluster -----------------------------------------------------------------------


#: Ganeti's tools read these keys, though this version does not set SSH up.
_SSH = {"modify_ssh_setup": False, "ssh_key_type": "rsa", "ssh_key_bits": 2048}


def info(sources: Sources) -> dict[str, object]:
    """Answer QueryClusterInfo, with the 55 keys of Ganeti 3.0."""
    return sources.config.generation.cached(
        "cluster info",
        lambda: {
            **_versions(),
            **_identity(sources),
            **_parameters(sources),
            **_limits(sources),
            **_storage(sources),
            **_not_ours(),
            **_SSH,
        },
    )


def _versions() -> dict[str, object]:
    return {
        "software_version": constants.RELEASE_VERSION,
        "protocol_version": constants.PROTOCOL_VERSION,
        "config_version": constants.CONFIG_VERSION,
        "os_api_version": constants.OS_API_VERSION,
        "export_version": constants.EXPORT_VERSION,
        "vcs_version": f"(ganeti-rapi) version {constants.RELEASE_VERSION}",
        "architecture": ["64bits" if sys.maxsize > 2**32 else "32bits", os.uname().machine],
    }


def _identity(sources: Sources) -> dict[str, object]:
    cluster = sources.config.cluster
    return {
        "name": cluster.name,
        "uuid": cluster.uuid,
        "master": sources.config.master.name,
        "ctime": cluster.ctime,
        "mtime": cluster.mtime,
        "tags": list(cluster.tags),
        "master_netdev": cluster.master_netdev,
        "master_netmask": cluster.master_netmask,
        "primary_ip_version": cluster.primary_ip_version,
        "mac_prefix": cluster.mac_prefix,
    }


def _parameters(sources: Sources) -> dict[str, object]:
    config = sources.config
    cluster = config.cluster
    return {
        "default_hypervisor": cluster.enabled_hypervisors[0],
        "enabled_hypervisors": cluster.enabled_hypervisors,
        "hvparams": {name: config.default_hvparams(name) for name in cluster.enabled_hypervisors},
        "os_hvp": cluster.os_hvp,
        "osparams": cluster.osparams,
        "beparams": {"default": config.default_beparams()},
        "nicparams": {"default": config.default_nicparams()},
        "ndparams": config.default_ndparams(),
        "diskparams": config.default_diskparams(),
        "ipolicy": ipolicy.fill(ipolicy.default(cluster.enabled_disk_templates), cluster.ipolicy),
        "hidden_os": cluster.hidden_os,
        "blacklisted_os": cluster.blacklisted_os,
        "default_iallocator": cluster.default_iallocator,
        "default_iallocator_params": cluster.default_iallocator_params,
    }


def _limits(sources: Sources) -> dict[str, object]:
    cluster = sources.config.cluster
    return {
        "candidate_pool_size": cluster.candidate_pool_size,
        "max_running_jobs": cluster.max_running_jobs,
        "max_tracked_jobs": cluster.max_tracked_jobs,
        "maintain_node_health": cluster.maintain_node_health,
    }


def _storage(sources: Sources) -> dict[str, object]:
    cluster = sources.config.cluster
    return {
        "enabled_disk_templates": cluster.enabled_disk_templates,
        "volume_group_name": cluster.volume_group_name,
        "file_storage_dir": cluster.file_storage_dir,
        "shared_file_storage_dir": cluster.shared_file_storage_dir,
        "gluster_storage_dir": cluster.gluster_storage_dir,
        "prealloc_wipe_disks": cluster.prealloc_wipe_disks,
    }


#: Collectors of Ganeti's monitoring daemon, which this version does not have.
_COLLECTORS = ("cpu-avg-load", "diskstats", "drbd", "inst-status-xen", "lv", "xen-cpu-avg-load")


def _not_ours() -> dict[str, object]:
    """Return the keys of features that this version lacks, in Ganeti's form."""
    return {
        "use_external_mip_script": False,
        "drbd_usermode_helper": None,
        "uid_pool": [],
        "reserved_lvs": [],
        "install_image": "",
        "instance_communication_network": "",
        "zeroing_image": "",
        "compression_tools": [],
        "enabled_user_shutdown": False,
        "enabled_data_collectors": dict.fromkeys(_COLLECTORS, False),
        "data_collector_interval": dict.fromkeys(_COLLECTORS, 5_000_000),  # microseconds
    }


# -- single facts -------------------------------------------------------------------


def _watcher_pause(sources: Sources) -> int | None:
    """Return the time (seconds since the epoch) until which the watcher pauses, or None."""
    until = sources.queue.watcher_pause
    return None if until is None or until < sources.config.clock() else int(until)


_VALUES: dict[str, Callable[[Sources], object]] = {
    "cluster_name": lambda sources: sources.config.cluster.name,
    "master_node": lambda sources: sources.config.master.name,
    "drain_flag": lambda sources: sources.queue.drained,
    "watcher_pause": _watcher_pause,
}


def config_values(sources: Sources, names: Sequence[str]) -> list[object]:
    """Answer QueryConfigValues: the value of each name, None for an unknown one."""
    return [_VALUES[name](sources) if name in _VALUES else _SSH.get(name) for name in names]


# -- tags ------------------------------------------------------------------------------


def tags_of(sources: Sources, kind: str, name: str) -> list[str]:
    """Answer QueryTags: the tags of an object in the order in which they are stored.

    The cluster needs no name. Raise ``OpPrereqError`` (unknown_entity) if the object
    does not exist.
    """
    return list(_find_tagged(sources, kind, name).tags)


def _find_tagged(sources: Sources, kind: str, name: str) -> ConfigObject:
    config = sources.config
    found: ConfigObject | None = None
    label = {constants.TAG_NODEGROUP: "NodeGroup"}.get(kind, kind.capitalize())
    if kind == constants.TAG_CLUSTER:
        found = config.cluster
    elif kind == constants.TAG_NODE:
        found = config.find_node(name)
    elif kind == constants.TAG_INSTANCE:
        found = config.find_instance(name)
    elif kind == constants.TAG_NODEGROUP:
        found = config.find_group(name)
    if found is None:
        raise errors.OpPrereqError(f"{label} name {name} not found", ErrorCode.NOENT)
    return found
