"""Creates a cluster on disk: directories, database, ssconf files, certificate.

No name is resolved and no other machine contacted. A certificate, users and storage directories
that exist are kept. The database gets its name last: it marks the cluster as created, and a
creation that failed halfway can be repeated.
"""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from ganeti import (
    certificate,
    constants,
    errors,
    ht,
    ipolicy,
    layout,
    objects,
    other_ganeti,
    params,
    pathutils,
    storage,
)
from ganeti.config import config
from ganeti.constants import DiskTemplate
from ganeti.db import files
from ganeti.db.store import Store
from ganeti.hypervisor import DRIVERS
from ganeti.layout import Owners
from ganeti.utils import io, ownership
from ganeti.utils.text import describe_os_error

#: Addresses for nodes that are not there (RFC 5737, TEST-NET-1), then 2 and 3.
_DOCUMENTATION_NETS = ("192.0.2", "198.51.100", "203.0.113")

_MAC_PREFIX = re.compile("[0-9a-f][02468ace](?::[0-9a-f]{2}){2}", re.ASCII | re.IGNORECASE)
_NETDEV = re.compile("[A-Za-z0-9_.@:-]{1,15}", re.ASCII)


#: Most CPUs that a simulated node may have: far more than any machine has.
MAX_CPUS = 65536
_DIGITS = len(str(MAX_CPUS))


class BootstrapError(errors.Error):
    """The cluster cannot be created."""


@dataclass(frozen=True)
class NodeSpec:
    """A node to create."""

    name: str
    #: ``memory`` and ``disk`` in MiB, and ``cpus``; empty if they are not given.
    capacity: dict[str, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> NodeSpec:
        """Read ``NAME[:MEMORY:DISK:CPUS]``, with sizes in MiB or with a unit.

        Raises ``BootstrapError``.
        """
        name, *sizes = text.split(":")
        name = name.lower()  # Ganeti's names are in lower case; "A" and "a" are one node
        if not ht.is_host_name(name):
            raise BootstrapError(f"{name!r} cannot be the name of a node")
        if len(sizes) not in (0, 3):
            raise BootstrapError(f"node {text!r}: give NAME, or NAME:MEMORY:DISK:CPUS")
        try:
            figures = [ht.parse_size(size) for size in sizes[:2]]
            figures += [int(cpus) for cpus in sizes[2:] if len(cpus) <= _DIGITS]
        except ValueError as err:
            raise BootstrapError(f"node {text!r}: {err}") from None
        if not all(figure > 0 for figure in figures):
            raise BootstrapError(f"node {text!r}: sizes must be more than 0")
        has_too_many_digits = len(figures) < len(sizes)
        if has_too_many_digits or any(cpus > MAX_CPUS for cpus in figures[2:]):
            raise BootstrapError(f"node {text!r}: a node has at most {MAX_CPUS} CPUs")
        return cls(name, dict(zip(("memory", "disk", "cpus"), figures)))


@dataclass(frozen=True)
class Settings:
    """Choices for a new cluster; None stands for a default."""

    enabled_hypervisors: Sequence[str] = (constants.HT_FAKE,)
    enabled_disk_templates: Sequence[str] | None = None
    master_netdev: str = "lo"
    mac_prefix: str = "aa:00:00"
    file_storage_dir: str | None = None


def create(
    paths: pathutils.Paths,
    name: str,
    nodes: Sequence[NodeSpec],
    settings: Settings = Settings(),
    owners: Owners = Owners(),
) -> None:
    """Create the cluster ``name``; the first node is this machine and the master.

    Raises ``BootstrapError`` if this machine has a cluster already, ours or a real Ganeti's, and
    if the names or settings do not fit together.
    """
    sign = other_ganeti.find(paths)
    if sign is not None:
        raise BootstrapError(sign.refusal(other_ganeti.SERVE_IT))
    if os.path.exists(paths.master_db):
        raise BootstrapError(f"there is a cluster already ({paths.master_db} exists)")
    if files.has_orphaned_log(paths):
        raise BootstrapError(
            f"there is the log of a cluster whose database {paths.master_db} is "
            "gone; restore a backup, or move its files away"
        )
    name = name.lower()
    _check_settings(name, nodes, settings)
    cluster, group, members = describe(paths, name, nodes, settings)
    try:
        storage.check_directory(cluster.file_storage_dir, paths)
        make_directories(paths, owners, cluster.file_storage_dir, members)
        if not os.path.lexists(paths.rapi_cert):
            certificate.make(paths, [name, members[0].name], owners)
        _write_database(paths, [cluster, group, *members], owners)
    except OSError as err:
        raise BootstrapError(f"cannot create the cluster: {describe_os_error(err)}") from err
    except errors.GenericError as err:
        raise BootstrapError(str(err)) from err


def _check_settings(name: str, nodes: Sequence[NodeSpec], settings: Settings) -> None:
    names = [node.name for node in nodes]
    unknown = sorted(set(settings.enabled_hypervisors) - DRIVERS.keys())
    templates = set(settings.enabled_disk_templates or ())
    makes = storage.FILE_BASED | storage.VOLUMES | {DiskTemplate.DISKLESS}
    twice = _first_duplicate(settings.enabled_hypervisors) or _first_duplicate(
        settings.enabled_disk_templates or ()
    )
    problems = [
        (not ht.is_host_name(name), f"{name!r} cannot be the name of a cluster"),
        (not nodes, "a cluster has at least one node"),
        (len(set(names)) < len(names), "two nodes have the same name"),
        (
            bool(unknown),
            f"no such hypervisor here: {', '.join(unknown)} (there is: {', '.join(DRIVERS)})",
        ),
        (not settings.enabled_hypervisors, "a cluster has at least one hypervisor"),
        (
            len(nodes) > 1 and constants.HT_FAKE not in settings.enabled_hypervisors,
            "only a cluster with the hypervisor fake can have simulated nodes",
        ),
        (
            not templates <= makes,
            f"no such disk template here: {', '.join(sorted(templates - makes))}",
        ),
        (
            settings.enabled_disk_templates is not None and not templates,
            "a cluster has at least one disk template",
        ),
        (bool(twice), f"{twice} is named twice"),
        (
            bool(templates) and not any(len(nodes) > _nodes_needed(word) for word in templates),
            "no instance could be made with the disk templates "
            f"{', '.join(sorted(templates))}: they need more simulated nodes",
        ),
        (
            _MAC_PREFIX.fullmatch(settings.mac_prefix) is None,
            f"{settings.mac_prefix!r} cannot begin a MAC address; "
            "give three bytes such as aa:00:00",
        ),
        (
            _NETDEV.fullmatch(settings.master_netdev) is None,
            f"{settings.master_netdev!r} cannot be a network device",
        ),
    ]
    for wrong, words in problems:
        if wrong:
            raise BootstrapError(words)


def _first_duplicate(words: Sequence[str]) -> str:
    """Return the first word that is in a list more than once; '' for none."""
    return next((word for index, word in enumerate(words) if word in words[:index]), "")


def _nodes_needed(template: str) -> int:
    """Return how many simulated nodes an instance of a disk template needs."""
    if template not in storage.VOLUMES:
        return 0
    return 2 if template == DiskTemplate.DRBD else 1


# -- the configuration ------------------------------------------------------------


def describe(
    paths: pathutils.Paths,
    name: str,
    nodes: Sequence[NodeSpec],
    settings: Settings,
) -> tuple[objects.Cluster, objects.Group, list[objects.Node]]:
    """Return the objects of a new cluster, with Ganeti 3.0's defaults."""
    group = objects.Group(uuid=_new_uuid(), name=constants.DEFAULT_GROUP)
    members = [_make_node(index, node, group.uuid) for index, node in enumerate(nodes)]
    templates = list(settings.enabled_disk_templates or _default_templates(len(nodes)))
    volumes = storage.VOLUMES.intersection(templates)
    cluster = objects.Cluster(
        uuid=_new_uuid(),
        name=name,
        master_node=members[0].uuid,
        enabled_hypervisors=list(settings.enabled_hypervisors),
        enabled_disk_templates=templates,
        mac_prefix=settings.mac_prefix.lower(),
        master_netdev=settings.master_netdev,
        volume_group_name="xenvg" if volumes else None,
        file_storage_dir=settings.file_storage_dir or paths.file_storage_dir,
        shared_file_storage_dir=paths.shared_file_storage_dir,
        gluster_storage_dir=paths.gluster_storage_dir,
        default_iallocator="hail",
        beparams={"default": params.defaults(params.BACKEND)},
        hvparams={
            hypervisor: params.defaults(table) for hypervisor, table in params.HYPERVISOR.items()
        },
        nicparams={"default": params.defaults(params.NIC)},
        ndparams=params.defaults(params.NODE),
        diskparams={template: params.defaults(table) for template, table in params.DISK.items()},
        ipolicy=ipolicy.default(templates),
    )
    return cluster, group, members


def _default_templates(nodes: int) -> tuple[str, ...]:
    """Return the default disk templates: volumes only if there are simulated nodes for them."""
    templates = (DiskTemplate.FILE, DiskTemplate.DISKLESS)
    volumes = (DiskTemplate.PLAIN, DiskTemplate.DRBD)
    return tuple(str(word) for word in (templates + volumes if nodes > 1 else templates))


def _make_node(index: int, node: NodeSpec, group: str) -> objects.Node:
    address = "127.0.0.1" if index == 0 else _documentation_address(index)
    return objects.Node(
        uuid=_new_uuid(),
        name=node.name,
        primary_ip=address,
        secondary_ip=address,
        group=group,
        simulated=index > 0,
        capacity=dict(node.capacity),
    )


def _documentation_address(index: int) -> str:
    net, number = divmod(index, 254)
    if net >= len(_DOCUMENTATION_NETS):
        raise BootstrapError(f"a cluster has at most {254 * len(_DOCUMENTATION_NETS)} nodes")
    return f"{_DOCUMENTATION_NETS[net]}.{number + 1}"


def _new_uuid() -> str:
    return str(uuid.uuid4())


def _write_database(
    paths: pathutils.Paths, created: Sequence[objects.ConfigObject], owners: Owners
) -> None:
    """Create the database with all objects, and give it its name once they are committed.

    What an interrupted creation has left is removed.
    """
    unfinished = f"{paths.master_db}.new"
    for suffix in ("", "-wal", "-shm"):
        io.remove_file(unfinished + suffix)
    store = Store.create(unfinished)
    try:
        config.create_objects(store, created, time.time())
        config.Config(store, paths).ssconf.flush()
    finally:
        store.close()  # the last connection folds the log into the file
    report = ownership.apply(list(layout.files(paths, owners)))
    if report.odd:
        raise BootstrapError(f"cannot create the cluster: {report.odd[0]}")
    os.rename(unfinished, paths.master_db)
    io.fsync_directory(paths.lib_dir)


# -- files ------------------------------------------------------------------------


def make_directories(
    paths: pathutils.Paths, owners: Owners, file_storage_dir: str, nodes: Sequence[objects.Node]
) -> None:
    """Make every directory of a cluster, and set owners and modes of those that exist."""
    report = ownership.apply(list(layout.directories(paths, owners, file_storage_dir, nodes)))
    if report.odd:
        raise BootstrapError(f"cannot create the cluster: {report.odd[0]}")
