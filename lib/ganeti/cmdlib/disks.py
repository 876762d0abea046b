"""The disks of a new instance: read from the request, then located on its nodes.

``read`` checks the request; ``assign_locations`` decides where each disk is, once the nodes
are known. Identifiers are never random but derived (``uuid5``) from the job, the index of the
opcode and the name of the instance, so that after a crash the disks of an interrupted job can
be found and removed.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ganeti import constants, errors, ht, pathutils
from ganeti.constants import DiskTemplate, ErrorCode
from ganeti.objects import Cluster, Disk, Node
from ganeti.storage import FILE_BASED, VOLUMES

#: Keys that a disk of the request may have; any other is an error (as in Ganeti 3.0).
KEYS = frozenset(
    {"size", "mode", "name", "vg", "metavg", "adopt", "provider", "spindles", "access", "dev_type"}
)

#: Disk templates that this master can create.
SUPPORTED = FILE_BASED | VOLUMES | {DiskTemplate.DISKLESS}

#: The volume group where neither the request nor the cluster names one (Ganeti's default).
DEFAULT_VG = "xenvg"


@dataclass(frozen=True)
class DiskSpec:
    """One disk of the request; ``size`` in MiB."""

    size: int
    mode: str = "rw"
    name: str | None = None
    vg: str | None = None


@dataclass(frozen=True)
class DiskPlacement:
    """The instance whose disks are located, its nodes and its directory."""

    cluster: Cluster
    instance_name: str
    instance_uuid: str
    members: Sequence[Node]  # the primary first
    file_driver: str = "loop"
    file_storage_dir: str | None = None  # below the cluster's storage directory


@dataclass(frozen=True)
class DrbdLink:
    """The connection between the two halves of a mirrored disk; ``minors``: primary first."""

    port: int
    minors: tuple[int, int]
    secret: str


def read(given: Sequence[Mapping[str, object]], template: str) -> list[DiskSpec]:
    """Read the disks of a request; ``OpPrereqError`` or ``TypeEnforcementError`` if one is wrong.

    A diskless instance has none, whatever the request says.
    """
    if template == DiskTemplate.DISKLESS:
        return []
    if len(given) > constants.MAX_DISKS:
        raise errors.OpPrereqError(
            f"An instance can have at most {constants.MAX_DISKS} disks, not {len(given)}",
            ErrorCode.INVAL,
        )
    specs = [_read_one(disk, template) for disk in given]
    check_names("disk", [spec.name for spec in specs])
    return specs


def check_names(kind: str, names: Sequence[str | None]) -> None:
    """Raise ``OpPrereqError`` for an invalid or duplicate name of an instance's disks or NICs.

    A number is not a name: requests mean a position by it. NUL is refused because OS scripts
    get the names in their environment.
    """
    seen: set[str] = set()
    for name in names:
        if name is None:
            continue
        if "\0" in name:
            raise errors.OpPrereqError(
                f"The name {ht.shorten(name)} of a {kind} contains a NUL character",
                ErrorCode.INVAL,
            )
        if name.isdecimal():
            raise errors.OpPrereqError(
                f"A {kind} cannot be named '{name}', a number", ErrorCode.INVAL
            )
        if name in seen:
            raise errors.OpPrereqError(
                f"Two of the instance's {kind}s are named '{name}'", ErrorCode.NOTUNIQUE
            )
        seen.add(name)


def _read_one(disk: Mapping[str, object], template: str) -> DiskSpec:
    for key in disk:
        if key not in KEYS:
            raise errors.TypeEnforcementError(f"Unknown disk parameter '{key}'")
    if disk.get("adopt") is not None:
        raise errors.OpPrereqError(
            f"Disks of the template '{template}' cannot be adopted", ErrorCode.INVAL
        )
    if disk.get("provider") is not None:
        raise errors.OpPrereqError(
            f"Disks of the template '{template}' have no 'provider', only those of 'ext' do",
            ErrorCode.INVAL,
        )
    if disk.get("spindles") is not None:
        raise errors.OpPrereqError(
            "Spindles need exclusive storage, which this cluster does not have",
            ErrorCode.INVAL,
        )
    if disk.get("size") is None:
        raise errors.OpPrereqError("A disk has no size", ErrorCode.INVAL)
    try:
        size = ht.parse_guest_size(disk["size"])
    except ValueError as err:
        raise errors.TypeEnforcementError(f"'size' of a disk: {err}") from err
    return DiskSpec(size, _text(disk, "mode") or "rw", _text(disk, "name"), _text(disk, "vg"))


def _text(disk: Mapping[str, object], key: str) -> str | None:
    value = disk.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise errors.TypeEnforcementError(f"'{key}' of a disk must be a string")
    return None if value.lower() == constants.VALUE_NONE else value


def check_template(cluster: Cluster, template: str) -> None:
    """Raise ``OpPrereqError`` for a template that is not enabled or not supported."""
    if template not in cluster.enabled_disk_templates:
        enabled = ", ".join(cluster.enabled_disk_templates)
        raise errors.OpPrereqError(
            f"The disk template '{template}' is not enabled in this cluster (enabled: {enabled})",
            ErrorCode.INVAL,
        )
    if template not in SUPPORTED:
        raise errors.OpPrereqError(
            f"This master cannot create disks of the template '{template}'", ErrorCode.INVAL
        )


def fits_node(template: str, node: Node) -> bool:
    """Return whether a node can hold disks of this template: only simulated ones have volumes."""
    return node.simulated or template not in VOLUMES


def node_count(template: str) -> int:
    """Return the number of nodes that an instance of this template needs."""
    return 2 if template == DiskTemplate.DRBD else 1


def space_needed(specs: Sequence[DiskSpec], template: str) -> int:
    """Return the size of all disks on each of their nodes, metadata included, in MiB."""
    extra = constants.DRBD_META_SIZE if template == DiskTemplate.DRBD else 0
    return sum(spec.size + extra for spec in specs)


def storage_dir(cluster: Cluster, template: str, below: str | None) -> str:
    """Return the directory for the files of instances: ``below``, or the cluster's own.

    ``OpPrereqError`` (wrong_state) if the cluster has no such directory, ``OpExecError`` if
    ``below`` is not below it.
    """
    shared = template == DiskTemplate.SHARED_FILE
    base = cluster.shared_file_storage_dir if shared else cluster.file_storage_dir
    if not base:
        raise errors.OpPrereqError(
            f"The cluster has no directory for the disk template '{template}'", ErrorCode.STATE
        )
    if not below or below == base:
        return base
    # Ganeti accepts the whole path as well.
    parts = below.removeprefix(f"{base}/").split("/")
    if "\0" in below or not {"", ".", ".."}.isdisjoint(parts):
        # Not OpPrereqError: Ganeti 3.0 only notices when it joins the path.
        raise errors.OpExecError(
            f"The file storage directory {ht.shorten(below)} must be {base} or a directory below it"
        )
    for part in parts:
        base = pathutils.inside(base, part)
    return base


def assign_locations(
    specs: Sequence[DiskSpec],
    template: str,
    placement: DiskPlacement,
    new_link: Callable[[], DrbdLink],
) -> list[Disk]:
    """Return the disks with their ``logical_id``; ``new_link`` reserves port and minors."""
    return [_disk(spec, template, placement, index, new_link) for index, spec in enumerate(specs)]


def instance_uuid(cluster: Cluster, job_id: int, index: int, name: str) -> str:
    """Return the uuid of the instance that opcode ``index`` of a job creates under this name.

    The index is part of it, because one job may create, remove and create again.
    """
    job = f"{job_id}/{index}" if index else str(job_id)
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{cluster.uuid}/{job}/{name}"))


def part_uuid(owner: str, kind: str, index: int) -> str:
    """Return the uuid of a disk or NIC of an instance."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{owner}/{kind}/{index}"))


def _disk(
    spec: DiskSpec,
    template: str,
    placement: DiskPlacement,
    index: int,
    new_link: Callable[[], DrbdLink],
) -> Disk:
    own = part_uuid(placement.instance_uuid, "disk", index)
    return Disk(
        uuid=own,
        name=spec.name,
        dev_type=template,
        size=spec.size,
        mode=spec.mode,
        logical_id=_logical_id(spec, template, placement, f"{own}.{{}}.disk{index}", new_link),
    )


def _logical_id(
    spec: DiskSpec,
    template: str,
    placement: DiskPlacement,
    pattern: str,
    new_link: Callable[[], DrbdLink],
) -> list[object]:
    if template in FILE_BASED:
        base = storage_dir(placement.cluster, template, placement.file_storage_dir)
        folder = pathutils.inside(base, placement.instance_name)
        return [placement.file_driver, pathutils.inside(folder, pattern.format(template))]
    if template == DiskTemplate.PLAIN:
        group = spec.vg or placement.cluster.volume_group_name or DEFAULT_VG
        return [group, pattern.format(template)]
    link = new_link()
    primary, secondary = placement.members
    return [primary.uuid, secondary.uuid, link.port, *link.minors, link.secret]
