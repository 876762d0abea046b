"""OP_INSTANCE_CREATE.

An instance is there when its record is, and the record is committed together
with the job's result, as the last thing: first everything is checked and
reserved, then disks are made, the OS is installed and the guest started. Until
then nobody sees the instance. When a step fails, what came before is undone;
when the master dies, ``recovery`` undoes it at the next start, for which the
identifiers follow from job, opcode and name. So there is a whole instance or none.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from ganeti import constants, errors, ht, locking, opcodes, params
from ganeti.cmdlib import allocation, disks, installation, names, nics
from ganeti.cmdlib.base import JobContext, LogicalUnit, check_node_usable, check_uuid
from ganeti.cmdlib.common import policy_violations
from ganeti.cmdlib.tagging import check_count, check_tags
from ganeti.constants import AdminState, DiskTemplate, ErrorCode
from ganeti.locking import Level, Want
from ganeti.objects import Disk, Instance, Nic, Node
from ganeti.storage import FILE_BASED

#: Hypervisors whose guests have a console on a network port (Ganeti: HTS_REQ_PORT).
NEED_PORT = frozenset({constants.HT_KVM, "xen-hvm"})


class LUInstanceCreate(LogicalUnit[opcodes.OpInstanceCreate]):
    """Create an instance, and start it unless told otherwise."""

    CANCELLABLE = True

    _instance: Instance
    _members: list[Node]

    def locks(self) -> Sequence[Want]:
        """The name alone; its nodes, or all when one is to be chosen, with others."""
        op = self.op
        name = ht.stored_name(op.instance_name)
        self.config.reservations.expect_name(self.job_id, name, incomplete=op.name_check)
        if op.pnode is None:
            nodes = self.config.nodes()
        else:
            found = [self.config.find_node(name) for name in (op.pnode, op.snode) if name]
            nodes = [node for node in found if node is not None]
        return [
            locking.exclusive(Level.INSTANCE, name),
            *(locking.shared(Level.NODE, node.name) for node in nodes),
        ]

    # -- checks ------------------------------------------------------------------

    def check(self) -> None:
        """Read the request, choose nodes, reserve; nothing is made yet."""
        op, cluster = self.op, self.config.cluster
        self._check_request()
        name, address = self._name_and_address()
        self._template = op.disk_template or cluster.enabled_disk_templates[0]
        disks.check_template(cluster, self._template)
        self._specs = disks.read(op.disks, self._template)
        self._nic_specs = nics.read(op.nics, address)
        if op.os_type is None:
            raise errors.OpPrereqError("No OS is given", ErrorCode.INVAL)
        installation.check_allowed(self.config, op.os_type)
        check_tags(op.tags)
        check_count(set(op.tags))
        self._check_name_is_free(name, address)
        instance = self._plan_instance(name)
        self._members = self._allocate(instance)
        self._check_no_stray_guest(name)
        self._finish_plan(instance)

    def _check_request(self) -> None:
        """What this request asks for that does not fit together, or is not offered here."""
        op = self.op
        if op.mode != "create":
            raise errors.OpPrereqError(
                f"This master does not create instances by {op.mode}", ErrorCode.INVAL
            )
        if op.forthcoming or op.commit:
            raise errors.OpPrereqError(
                "This master keeps no forthcoming instances", ErrorCode.INVAL
            )
        if op.instance_communication:
            raise errors.OpPrereqError(
                "The cluster has no network for instance communication", ErrorCode.INVAL
            )
        if op.ip_check and not op.name_check:
            raise errors.OpPrereqError(
                "ip_check needs name_check: the name's address is what it checks", ErrorCode.INVAL
            )
        if op.opportunistic_locking and op.iallocator is None:
            raise errors.OpPrereqError("Opportunistic locking needs an iallocator", ErrorCode.INVAL)
        if op.pnode is not None and op.iallocator is not None:
            raise errors.OpPrereqError(
                "Both a node and an iallocator are given, which would choose one", ErrorCode.INVAL
            )
        if op.iallocator is not None and op.iallocator not in allocation.ALLOCATORS:
            raise errors.OpExecError(f"There is no iallocator '{op.iallocator}'")

    def _name_and_address(self) -> tuple[str, str | None]:
        name = names.normalize(self.op.instance_name)
        return names.resolve(name) if self.op.name_check else (name, None)

    def _check_name_is_free(self, name: str, address: str | None) -> None:
        found = self.config.find_instance(name)
        if found is not None and found.name == name:
            raise errors.OpPrereqError(f"Instance '{name}' exists already", ErrorCode.EXISTS)
        if self.op.ip_check and address is not None and names.is_taken(address):
            raise errors.OpPrereqError(
                f"The address {address} of '{name}' is in use already", ErrorCode.NOTUNIQUE
            )

    def _check_no_stray_guest(self, name: str) -> None:
        """Refuse to make somebody's instance of a guest that runs and belongs to no instance.

        Its memory, and what is on its disks, would be another's. (Ganeti adopts it.)
        """
        node = self._members[0]
        if self.nodes.agent(node).guest(name) is not None:
            raise errors.OpPrereqError(
                f"A guest called '{name}' runs on node '{node.name}' already and belongs to no "
                "instance; stop it first",
                ErrorCode.STATE,
            )

    def _plan_instance(self, name: str) -> Instance:
        """The instance with its parameters; disks and NICs come once its nodes are known."""
        op, cluster = self.op, self.config.cluster
        hypervisor = op.hypervisor or constants.VALUE_AUTO
        if hypervisor == constants.VALUE_AUTO:
            hypervisor = cluster.enabled_hypervisors[0]
        if hypervisor not in cluster.enabled_hypervisors:
            enabled = ", ".join(cluster.enabled_hypervisors)
            raise errors.OpPrereqError(
                f"The hypervisor '{hypervisor}' is not enabled in this cluster ({enabled})",
                ErrorCode.STATE,
            )
        beparams = params.check_beparams(op.beparams)
        hvparams = params.check_hvparams(hypervisor, op.hvparams)
        params.check_not_global(hvparams)
        if op.identify_defaults:
            beparams = _without(beparams, self.config.default_beparams())
            hvparams = _without(hvparams, self.config.default_hvparams(hypervisor))
        instance = Instance(
            uuid=disks.instance_uuid(cluster, self.job_id, op.index, name),
            name=name,
            primary_node="",
            os=op.os_type or "",
            hypervisor=hypervisor,
            disk_template=self._template,
            beparams=beparams,
            hvparams=hvparams,
            osparams=installation.as_text(op.osparams),
            osparams_private=installation.as_text(op.osparams_private),
            tags=sorted(set(op.tags)),
        )
        params.check_memory_bounds(self.config.beparams(instance))
        return instance

    def _allocate(self, instance: Instance) -> list[Node]:
        """Return the nodes, the primary first, with what the instance needs reserved on them."""
        op = self.op
        filled = self.config.beparams(instance)
        self._need = allocation.Need(
            filled["maxmem"] if self._starts else 0,
            disks.space_needed(self._specs, self._template),
            f"creating '{instance.name}'",
        )
        if op.pnode is None:
            return self._choose_nodes(instance)
        members = self._given_nodes()
        self._check_policy(instance, members[0])
        allocation.reserve(self.config, self.nodes, self.job_id, members, self._need)
        return members

    def _choose_nodes(self, instance: Instance) -> list[Node]:
        group = None if self.op.group_name is None else self.config.group(self.op.group_name)

        def fits(node: Node) -> bool:
            if group is not None and node.group != group.uuid:
                return False
            return disks.fits_node(self._template, node)

        members = allocation.choose(
            self.config, self.nodes, self.job_id, self._need, disks.node_count(self._template), fits
        )
        self._check_policy(instance, members[0])
        return members

    def _given_nodes(self) -> list[Node]:
        op = self.op
        assert op.pnode is not None
        members = [self.config.node(op.pnode)]
        check_uuid("Node", members[0], op.pnode_uuid)
        if self._template == DiskTemplate.DRBD:
            if op.snode is None:
                raise errors.OpPrereqError(
                    f"The disk template '{self._template}' needs a secondary node", ErrorCode.INVAL
                )
            members.append(self.config.node(op.snode))
            check_uuid("Node", members[1], op.snode_uuid)
            if members[0] is members[1]:
                raise errors.OpPrereqError(
                    "The secondary node must be another than the primary", ErrorCode.INVAL
                )
        for node in members:
            check_node_usable(node)
            if not disks.fits_node(self._template, node):
                raise errors.OpPrereqError(
                    f"Node '{node.name}' keeps no disks of the template '{self._template}'",
                    ErrorCode.INVAL,
                )
        return members

    def _check_policy(self, instance: Instance, primary: Node) -> None:
        group = self.config.group_by_uuid(primary.group)
        broken = policy_violations(
            self.config,
            group,
            instance,
            nic_count=len(self._nic_specs),
            disk_sizes=[spec.size for spec in self._specs],
        )
        self._policy_warning = "; ".join(broken)
        if broken and not self.op.ignore_ipolicy:
            raise errors.OpPrereqError(
                f"The instance breaks the policy of group '{group.name}': {self._policy_warning}",
                ErrorCode.INVAL,
            )

    def _finish_plan(self, instance: Instance) -> None:
        op, config = self.op, self.config
        instance.primary_node = self._members[0].uuid
        instance.secondary_nodes = [node.uuid for node in self._members[1:]]
        instance.nics = self._make_nics(instance)
        instance.disks = self._make_disks(instance)
        if instance.hypervisor in NEED_PORT:
            instance.network_port = config.reservations.reserve_port(self.job_id)
        instance.admin_state = AdminState.UP if self._starts else AdminState.DOWN
        instance.disks_active = self._starts
        self._choice = installation.OsChoice(
            instance.os,
            instance.osparams,
            instance.osparams_private,
            installation.as_text(op.osparams_secret),
        )
        installation.check(
            config, self.nodes, self._members, self._choice, force_variant=op.force_variant
        )
        instance.ctime = instance.mtime = config.clock()  # the OS's scripts see them
        self._instance = instance

    def _make_nics(self, instance: Instance) -> list[Nic]:
        made = nics.make(self._nic_specs, self.config, self.job_id, instance.uuid)
        nics.check_modes(self.config, made)
        return made

    def _make_disks(self, instance: Instance) -> list[Disk]:
        placement = disks.DiskPlacement(
            self.config.cluster,
            instance.name,
            instance.uuid,
            self._members,
            self.op.file_driver or "loop",
            self.op.file_storage_dir,
        )
        return disks.assign_locations(self._specs, self._template, placement, self._new_link)

    def _new_link(self) -> disks.DrbdLink:
        reservations = self.config.reservations
        primary, secondary = self._members
        return disks.DrbdLink(
            reservations.reserve_port(self.job_id),
            (
                reservations.reserve_minor(self.job_id, primary.uuid),
                reservations.reserve_minor(self.job_id, secondary.uuid),
            ),
            secrets.token_hex(20),
        )

    @property
    def _starts(self) -> bool:
        """What has no OS yet is not started."""
        return self.op.start and not self.op.no_install

    # -- answers -------------------------------------------------------------------

    def dry_run_result(self) -> Any:
        """List of the nodes' uuids, as Ganeti 3.0 answers it, once the OS has accepted its
        parameters."""
        installation.verify(self.nodes, self._members, self._choice, None)
        return [node.uuid for node in self._members]

    def effective_op(self) -> opcodes.OpInstanceCreate:
        """With what was chosen for the caller."""
        if not hasattr(self, "_instance"):
            return self.op
        found: dict[str, Any] = {
            "instance_name": self._instance.name,
            "hypervisor": self._instance.hypervisor,
            "disk_template": self._template,
            "disks": self._disks_as_read(),
            "beparams": self._instance.beparams,
            "pnode": self._members[0].name,
            "pnode_uuid": self._members[0].uuid,
            "start": self._starts,
        }
        if self._template in FILE_BASED:
            found["file_driver"] = self.op.file_driver or "loop"
        if len(self._members) > 1:
            found |= {"snode": self._members[1].name, "snode_uuid": self._members[1].uuid}
        return self.op.replace(**found)

    def _disks_as_read(self) -> list[dict[str, Any]]:
        """The disks of the request, with the sizes that they get."""
        sizes = [spec.size for spec in self._specs]
        if not sizes:  # of a diskless one nothing was read
            return self.op.disks
        return [{**disk, "size": size} for disk, size in zip(self.op.disks, sizes, strict=True)]

    # -- work ------------------------------------------------------------------------

    def execute(self, run: JobContext) -> Any:
        """List of the names of the instance's nodes."""
        self._log_ignored_arguments(run)
        installation.verify(self.nodes, self._members, self._choice, run)
        instance, agent = self._instance, self.nodes.agent(self._members[0])
        if instance.disks:
            self.on_failure(lambda: agent.remove_disks(instance))
            run.log(f"Making {len(instance.disks)} disk(s) of the template '{self._template}'")
            agent.create_disks(instance, lambda text: self._announce(run, text))
            allocation.release_disk(self.config, self.job_id, self._members, self._need)
            run.stop_if_cancelled()
            self._install(run)
        if self._starts:
            run.log("Starting the instance")
            self.on_failure(self._stop_guest)
            agent.start(instance)
        self.tx.save(instance)
        return [node.name for node in self._members]

    @staticmethod
    def _announce(run: JobContext, text: str) -> None:
        """Between two disks a creation can be stopped."""
        run.stop_if_cancelled()
        run.log(text)

    def _install(self, run: JobContext) -> None:
        """Run the OS script; diskless instances have nothing to install on, as in Ganeti."""
        if self.op.no_install:
            return
        run.log(f"Running the create script of the OS '{self._instance.os}'")
        self.nodes.agent(self._members[0]).run_os_create(
            self._instance,
            reinstall=False,
            run=run,
            secrets=self._choice.secret,
            debug_level=self.op.debug_level or 0,
        )
        run.stop_if_cancelled()

    def _log_ignored_arguments(self, run: JobContext) -> None:
        op = self.op
        if op.no_install and op.start:
            run.log("Without installation the instance is not started")
        if op.snode is not None and len(self._members) == 1:
            run.log(f"The template '{self._template}' has no use for a secondary node")
        if op.disks and self._template == DiskTemplate.DISKLESS:
            run.log("A diskless instance gets none of the disks that were given")
        if self._policy_warning:
            run.log(f"Breaking the instance policy, as told: {self._policy_warning}")

    def _stop_guest(self) -> None:
        """Undo the start, unless the name became another instance's in the meantime."""
        found = self.config.find_instance(self._instance.name)
        if found is None or found.name != self._instance.name:
            self.nodes.agent(self._members[0]).stop(self._instance, timeout=0, force=True)


def _without(values: dict[str, Any], same: dict[str, Any]) -> dict[str, Any]:
    """Those that differ from the defaults."""
    return {key: value for key, value in values.items() if same.get(key) != value}
