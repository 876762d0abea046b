"""Cleaning up after a master that died in the middle of its work.

OS scripts outlive the master that ran them. Their jobs have ended in error, so the scripts are
ended first: otherwise one might still write to a disk while the script of the next job does. They
are recognized by the uuid of the instance in their environment.

An instance that was being created is not in the configuration, but may have disks and a running
guest. Its identifiers follow from job, opcode and name, so they are computed again from the
opcode. Its nodes may have been chosen by the master and forgotten, so every node that is possible
is searched.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from ganeti import errors, ht, opcodes
from ganeti.cmdlib import disks, names
from ganeti.cmdlib.base import Environment
from ganeti.constants import DiskTemplate
from ganeti.objects import Instance, Node
from ganeti.utils import orphans

logger = logging.getLogger(__name__)


def clean_up(
    environment: Environment, interrupted_ops: Iterable[tuple[int, opcodes.OpCode]]
) -> None:
    """Remove what the opcodes left behind that were running when the master died.

    ``interrupted_ops`` are pairs of job id and opcode, as submitted. Call this before any job
    runs. Whatever cannot be removed is logged and stays.
    """
    creations: list[tuple[int, opcodes.OpInstanceCreate, str]] = []
    uuids: set[str] = set()
    for job_id, op in interrupted_ops:
        if isinstance(op, opcodes.OpInstanceReinstall):
            found = environment.config.find_instance(op.instance_name)
            uuids |= {found.uuid} if found else set()
        if isinstance(op, opcodes.OpInstanceCreate) and not op.dry_run:
            creations += [(job_id, op, name) for name in _possible_names(op)]
    uuids |= {
        disks.instance_uuid(environment.config.cluster, job_id, op.index, name)
        for job_id, op, name in creations
    }
    ended = orphans.end({f"INSTANCE_UUID={uuid}" for uuid in uuids})
    if ended:
        logger.info("Ended %d processes of OS scripts of the previous master", ended)
    for job_id, op, name in creations:
        _remove_traces(environment, job_id, op, name)


def _possible_names(op: opcodes.OpInstanceCreate) -> list[str]:
    """Return the instance's name as it was given and, if that was wanted, as it resolves now."""
    name = ht.stored_name(op.instance_name)
    if op.name_check:
        try:
            return sorted({name, names.resolve(name)[0]})
        except errors.GenericError as err:
            logger.warning("Cleaning up after '%s': %s", name, err)
    return [name]


def _remove_traces(
    environment: Environment, job_id: int, op: opcodes.OpInstanceCreate, name: str
) -> None:
    known = environment.config.find_instance(name)
    taken = known is not None and known.name == name
    for instance, node in _candidates(environment, job_id, op, name):
        if known is not None and known.uuid == instance.uuid:
            return  # it is in the configuration: its job had succeeded
        agent = environment.nodes.agent(node)
        try:
            if not taken and agent.guest(name) is not None:
                logger.info(
                    "Stopping guest '%s' on %s, left behind by job %d", name, node.name, job_id
                )
                agent.stop(instance, timeout=0, force=True)
            agent.remove_disks(instance)
        except errors.Error as err:
            logger.warning("Cleaning up '%s' on %s after job %d: %s", name, node.name, job_id, err)


def _candidates(
    environment: Environment, job_id: int, op: opcodes.OpInstanceCreate, name: str
) -> Iterator[tuple[Instance, Node]]:
    """Yield the instance as it would have become, with each node where it may have been made."""
    config = environment.config
    template = op.disk_template or config.cluster.enabled_disk_templates[0]
    given = [config.find_node(member) for member in (op.pnode, op.snode) if member]
    members = [node for node in given if node is not None] if op.pnode else config.nodes()
    uuid = disks.instance_uuid(config.cluster, job_id, op.index, name)
    try:
        specs = disks.read(op.disks, template)
    except errors.GenericError:
        return  # its job was refused before anything was made
    for node in members:
        if node.offline or not disks.fits_node(template, node):
            continue
        # Both nodes are the same one: each half of a mirrored disk is searched by itself.
        placement = disks.DiskPlacement(
            config.cluster, name, uuid, [node, node], op.file_driver or "loop", op.file_storage_dir
        )
        try:
            made = disks.assign_locations(
                specs, template, placement, lambda: disks.DrbdLink(0, (0, 0), "")
            )
        except errors.GenericError:
            return
        yield (
            Instance(
                uuid=uuid,
                name=name,
                primary_node=node.uuid,
                disk_template=template,
                hypervisor=op.hypervisor or config.cluster.enabled_hypervisors[0],
                secondary_nodes=[node.uuid] if template == DiskTemplate.DRBD else [],
                disks=made,
            ),
            node,
        )
