"""Creates a cluster on disk: directories, database, ssconf files, certificate.

Nothing is resolved and nobody contacted. What is there already is kept as far
as it is not a cluster: a certificate, users, storage directories. The database
comes last under its own name, so that a creation that failed half way can be
repeated, and is the sign that there is a cluster.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from ganeti import (config, constants, daemon, errors, ht, ipolicy, objects, params, pathutils,
                    storage)
from ganeti.upkeep import dbfile
from ganeti.constants import DiskTemplate
from ganeti.hypervisor import DRIVERS
from ganeti.store import Store
from ganeti.utils import host, io, process

#: Days that a certificate of ours holds (Ganeti: five years).
CERTIFICATE_DAYS = 1825
#: Longest common name that X.509 has room for (RFC 5280, ub-common-name).
_COMMON_NAME_MAX = 64

#: Addresses for nodes that are not there (RFC 5737, TEST-NET-1), then 2 and 3.
_DOCUMENTATION_NETS = ("192.0.2", "198.51.100", "203.0.113")

_MAC_PREFIX = re.compile("[0-9a-f][02468ace](?::[0-9a-f]{2}){2}", re.ASCII | re.IGNORECASE)
_NETDEV = re.compile("[A-Za-z0-9_.@:-]{1,15}", re.ASCII)


class BootstrapError(errors.Error):
    """The cluster cannot be created, in words."""


@dataclass(frozen=True)
class NodeSpec:
    """A node to be: its name, and figures (MiB, MiB, CPUs) where they are given."""

    name: str
    capacity: dict[str, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> NodeSpec:
        """``NAME[:MEMORY:DISK:CPUS]``, sizes in MiB or with a unit; ``BootstrapError``."""
        name, *sizes = text.split(":")
        if not ht.is_host_name(name):
            raise BootstrapError(f"{name!r} cannot be the name of a node")
        if len(sizes) not in (0, 3):
            raise BootstrapError(f"node {text!r}: give NAME, or NAME:MEMORY:DISK:CPUS")
        try:
            figures = [ht.parse_size(size) for size in sizes[:2]]
            figures += [int(cpus) for cpus in sizes[2:]]
        except ValueError as err:
            raise BootstrapError(f"node {text!r}: {err}") from None
        if not all(figure > 0 for figure in figures):
            raise BootstrapError(f"node {text!r}: sizes must be more than nothing")
        return cls(name, dict(zip(("memory", "disk", "cpus"), figures)))


@dataclass(frozen=True)
class Owners:
    """Whom files belong to; -1 leaves them to whoever creates the cluster."""

    master: int = -1
    rapi: int = -1
    group: int = -1


@dataclass(frozen=True)
class Settings:
    """What can be chosen for a new cluster; ``None`` is the default."""

    enabled_hypervisors: Sequence[str] = (constants.HT_FAKE,)
    enabled_disk_templates: Sequence[str] | None = None
    master_netdev: str = "lo"
    mac_prefix: str = "aa:00:00"
    file_storage_dir: str | None = None


def create(paths: pathutils.Paths, name: str, nodes: Sequence[NodeSpec],
           settings: Settings = Settings(), owners: Owners = Owners()) -> None:
    """Create the cluster ``name``; the first node is this machine and the master.

    ``BootstrapError`` when there is one already, or when something does not fit.
    """
    if os.path.exists(paths.master_db):
        raise BootstrapError(f"there is a cluster already ({paths.master_db} exists)")
    if dbfile.is_lost(paths):
        raise BootstrapError(f"there is the log of a cluster whose database {paths.master_db} is "
                             "gone; restore a backup, or move its files away")
    _check(name, nodes, settings)
    cluster, group, members = describe(paths, name, nodes, settings)
    try:
        storage.check_directory(cluster.file_storage_dir, paths)
        make_directories(paths, owners, cluster.file_storage_dir, members)
        make_certificate(paths, name, members[0].name, owners)
        _write_database(paths, [cluster, group, *members], owners)
    except OSError as err:
        raise BootstrapError(f"cannot create the cluster: {err}") from None
    except errors.GenericError as err:
        raise BootstrapError(str(err)) from None


def _check(name: str, nodes: Sequence[NodeSpec], settings: Settings) -> None:
    names = [node.name for node in nodes]
    unknown = sorted(set(settings.enabled_hypervisors) - DRIVERS.keys())
    templates = set(settings.enabled_disk_templates or ())
    makes = storage.FILE_BASED | storage.VOLUMES | {DiskTemplate.DISKLESS}
    problems = [
        (not ht.is_host_name(name), f"{name!r} cannot be the name of a cluster"),
        (not nodes, "a cluster has at least one node"),
        (len(set(names)) < len(names), "two nodes have the same name"),
        (bool(unknown), f"no such hypervisor here: {', '.join(unknown)} "
                        f"(there is: {', '.join(DRIVERS)})"),
        (not settings.enabled_hypervisors, "a cluster has at least one hypervisor"),
        (len(nodes) > 1 and constants.HT_FAKE not in settings.enabled_hypervisors,
         "only a cluster with the hypervisor fake can have simulated nodes"),
        (not templates <= makes, "no such disk template here: "
                                 f"{', '.join(sorted(templates - makes))}"),
        (settings.enabled_disk_templates is not None and not templates,
         "a cluster has at least one disk template"),
        (_MAC_PREFIX.fullmatch(settings.mac_prefix) is None,
         f"{settings.mac_prefix!r} cannot begin a MAC address; give three bytes such as aa:00:00"),
        (_NETDEV.fullmatch(settings.master_netdev) is None,
         f"{settings.master_netdev!r} cannot be a network device"),
    ]
    for wrong, words in problems:
        if wrong:
            raise BootstrapError(words)


# -- the configuration ------------------------------------------------------------

def describe(paths: pathutils.Paths, name: str, nodes: Sequence[NodeSpec], settings: Settings,
             ) -> tuple[objects.Cluster, objects.Group, list[objects.Node]]:
    """The objects of a new cluster, with Ganeti 3.0's defaults."""
    group = objects.Group(uuid=_new_uuid(), name=constants.DEFAULT_GROUP)
    members = [_member(index, node, group.uuid) for index, node in enumerate(nodes)]
    templates = list(settings.enabled_disk_templates or _default_templates(len(nodes)))
    volumes = storage.VOLUMES.intersection(templates)
    cluster = objects.Cluster(
        uuid=_new_uuid(), name=name,
        master_node=members[0].uuid,
        enabled_hypervisors=list(settings.enabled_hypervisors),
        enabled_disk_templates=templates, mac_prefix=settings.mac_prefix.lower(),
        master_netdev=settings.master_netdev,
        volume_group_name="xenvg" if volumes else None,
        file_storage_dir=settings.file_storage_dir or paths.file_storage_dir,
        shared_file_storage_dir=paths.shared_file_storage_dir,
        gluster_storage_dir=paths.gluster_storage_dir, default_iallocator="hail",
        beparams={"default": params.defaults(params.BACKEND)},
        hvparams={hypervisor: params.defaults(table)
                  for hypervisor, table in params.HYPERVISOR.items()},
        nicparams={"default": params.defaults(params.NIC)},
        ndparams=params.defaults(params.NODE),
        diskparams={template: params.defaults(table)
                    for template, table in params.DISK.items()},
        ipolicy=ipolicy.default(templates))
    return cluster, group, members


def _default_templates(nodes: int) -> tuple[str, ...]:
    """Files everywhere; volumes where there are simulated nodes to hold them."""
    templates = (DiskTemplate.FILE, DiskTemplate.DISKLESS)
    volumes = (DiskTemplate.PLAIN, DiskTemplate.DRBD)
    return tuple(str(word) for word in (templates + volumes if nodes > 1 else templates))


def _member(index: int, node: NodeSpec, group: str) -> objects.Node:
    address = "127.0.0.1" if index == 0 else _documentation_address(index)
    return objects.Node(uuid=_new_uuid(), name=node.name, primary_ip=address,
                        secondary_ip=address, group=group, simulated=index > 0,
                        capacity=dict(node.capacity))


def _documentation_address(index: int) -> str:
    net, number = divmod(index, 254)
    if net >= len(_DOCUMENTATION_NETS):
        raise BootstrapError(f"a cluster has at most {254 * len(_DOCUMENTATION_NETS)} nodes")
    return f"{_DOCUMENTATION_NETS[net]}.{number + 1}"


def _new_uuid() -> str:
    return str(uuid.uuid4())


def _write_database(paths: pathutils.Paths, created: Sequence[objects.ConfigObject],
                    owners: Owners) -> None:
    """All objects in one commit, under the database's name only once they are in it.

    What a creation that broke off left is of no use to anybody.
    """
    unfinished = f"{paths.master_db}.new"
    for suffix in ("", "-wal", "-shm"):
        io.remove_file(unfinished + suffix)
    store = Store.create(unfinished)
    try:
        config.found(store, created, time.time())
        config.Config(store, paths).ssconf.flush()
    finally:
        store.close()                   # the last connection folds the log into the file
    os.chown(unfinished, owners.master, owners.group)
    os.rename(unfinished, paths.master_db)
    io.fsync_directory(paths.lib_dir)


# -- files ------------------------------------------------------------------------

def make_directories(paths: pathutils.Paths, owners: Owners, file_storage_dir: str,
                     nodes: Sequence[objects.Node]) -> None:
    """Every directory of a cluster, with modes and owners as Ganeti 3.0 has them."""
    master, rapi, group = owners.master, owners.rapi, owners.group
    for path, mode, uid in (
            (paths.lib_dir, 0o755, master), (paths.rapi_dir, 0o750, rapi),
            (paths.log_dir, 0o770, master), (paths.os_log_dir, 0o750, master),
            *((path, mode, master) for path, mode in daemon.run_directories(paths)),
            (paths.fake_hypervisor_dir, 0o750, master),
            (paths.simulated_nodes_dir, 0o750, master),
            *((paths.simulated_node(node.name), 0o750, master)
              for node in nodes if node.simulated)):
        io.ensure_dir(path, mode, uid, group)
    if not os.path.isdir(file_storage_dir):     # an administrator's own keeps its owner
        io.ensure_dir(file_storage_dir, 0o750, master, group)


def make_certificate(paths: pathutils.Paths, cluster: str, node: str, owners: Owners) -> None:
    """Key and self-signed certificate in one file, the front's alone; one that is there is kept.

    On the curve P-256, as a signature with it takes less work than one with RSA.
    """
    if os.path.exists(paths.rapi_cert):
        return
    with tempfile.TemporaryDirectory() as folder:       # 0700: the key is nobody's business
        request, key, certificate = (pathutils.inside(folder, name)
                                     for name in ("request.cnf", "key.pem", "cert.pem"))
        io.write_file(request, certificate_request(cluster, node, host.addresses()),
                      durable=False)
        process.output_of([
            "openssl", "req", "-x509", "-new", "-nodes", "-sha256", "-config", request,
            "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-pkeyopt", "ec_param_enc:named_curve",
            "-days", str(CERTIFICATE_DAYS), "-keyout", key, "-out", certificate])
        content = b"".join(_read(path) for path in (key, certificate))
    io.write_file(paths.rapi_cert, content, mode=0o600, uid=owners.rapi, gid=owners.group)


def certificate_request(cluster: str, node: str, addresses: Sequence[str]) -> str:
    """What openssl is told: X.509 v3, its own authority, for names and addresses.

    It may sign, so that a client can trust it as an authority, and says so in
    full: Python 3.13 insists on the key's usage and identifier (RFC 5280, 4.2.1).
    """
    names = list(dict.fromkeys((cluster, node, "localhost")))
    all_addresses = list(dict.fromkeys(("127.0.0.1", "::1", *addresses)))
    lines = ["[req]", "prompt = no", "distinguished_name = name", "x509_extensions = v3",
             "string_mask = utf8only",
             "[name]", f"CN = {cluster[:_COMMON_NAME_MAX]}",
             "[v3]", "basicConstraints = critical, CA:TRUE",
             "keyUsage = critical, digitalSignature, keyCertSign",
             "extendedKeyUsage = serverAuth", "subjectKeyIdentifier = hash",
             "authorityKeyIdentifier = keyid:always", "subjectAltName = @names", "[names]"]
    lines += [f"DNS.{index} = {name}" for index, name in enumerate(names)]
    lines += [f"IP.{index} = {address}" for index, address in enumerate(all_addresses)]
    return "\n".join(lines) + "\n"


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
