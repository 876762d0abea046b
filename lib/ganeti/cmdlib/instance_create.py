"""OP_INSTANCE_CREATE.

An instance exists once its record does, and the record is committed last, together with the
job's result. Before that, everything is checked and reserved, the disks are created, the OS is
installed and the guest is started, unseen by clients. If a step fails, the steps before it are
undone; if the master dies, ``recovery`` undoes them at its next start, because the identifiers
follow from job, opcode and name. So there is either a whole instance or none.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

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
        """Return an exclusive lock of the name, and shared ones of the nodes that may be used."""
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
        """Check the request, choose the nodes and reserve resources; nothing is created yet."""
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
        """Refuse arguments that contradict each other, or that this master does not support."""
        op = self.op
        if op.mode != "create":
            raise errors.OpPrereqError(
                f"This master does not support the creation mode '{op.mode}'", ErrorCode.INVAL
            )
        if op.forthcoming or op.commit:
            raise errors.OpPrereqError(
                "This master does not support forthcoming instances", ErrorCode.INVAL
            )
        if op.instance_communication:
            raise errors.OpPrereqError(
                "The cluster has no network for instance communication", ErrorCode.INVAL
            )
        if op.ip_check and not op.name_check:
            raise errors.OpPrereqError(
                "ip_check needs name_check, which finds the address to check", ErrorCode.INVAL
            )
        if op.opportunistic_locking and op.iallocator is None:
            raise errors.OpPrereqError("Opportunistic locking needs an iallocator", ErrorCode.INVAL)
        if op.pnode is not None and op.iallocator is not None:
            raise errors.OpPrereqError(
                "Both a node and an iallocator are given; only one of them can choose the node",
                ErrorCode.INVAL,
            )
        if op.iallocator is not None and op.iallocator not in allocation.ALLOCATORS:
            raise errors.OpExecError(f"There is no iallocator '{op.iallocator}'")

    def _name_and_address(self) -> tuple[str, str | None]:
        name = names.normalize(self.op.instance_name)
        return names.resolve(name) if self.op.name_check else (name, None)

    def _check_name_is_free(self, name: str, address: str | None) -> None:
        found = self.config.find_instance(name)
        if found is not None and found.name == name:
            raise errors.OpPrereqError(f"Instance '{name}' already exists", ErrorCode.EXISTS)
        if self.op.ip_check and address is not None and names.is_taken(address):
            raise errors.OpPrereqError(
                f"The address {address} of '{name}' is already in use", ErrorCode.NOTUNIQUE
            )

    def _check_no_stray_guest(self, name: str) -> None:
        """Raise ``OpPrereqError`` if a guest of this name runs that belongs to no instance.

        Ganeti adopts such a guest; but its memory and disks may hold somebody else's data.
        """
        node = self._members[0]
        if self.nodes.agent(node).guest(name) is not None:
            raise errors.OpPrereqError(
                f"A guest named '{name}' that belongs to no instance is already running on node "
                f"'{node.name}'; stop it first",
                ErrorCode.STATE,
            )

    def _plan_instance(self, name: str) -> Instance:
        """Return the instance with its parameters, still without nodes, disks and NICs."""
        op, cluster = self.op, self.config.cluster
        hypervisor = op.hypervisor or constants.VALUE_AUTO
        if hypervisor == constants.VALUE_AUTO:
            hypervisor = cluster.enabled_hypervisors[0]
        if hypervisor not in cluster.enabled_hypervisors:
            enabled = ", ".join(cluster.enabled_hypervisors)
            raise errors.OpPrereqError(
                f"The hypervisor '{hypervisor}' is not enabled in this cluster "
                f"(enabled: {enabled})",
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
        """Reserve what the instance needs on its nodes; return these, the primary first."""
        op = self.op
        filled = self.config.beparams(instance)
        self._need = allocation.Need(
            filled["maxmem"] if self._starts else 0,
            disks.space_needed(self._specs, self._template),
            f"creating '{instance.name}'",
        )
        if op.pnode is None:
            return self._choose_nodes(instance)
        members = self._given_nodes(op.pnode)
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

    def _given_nodes(self, primary: str) -> list[Node]:
        op = self.op
        members = [self.config.node(primary)]
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
                    "The secondary node must differ from the primary node", ErrorCode.INVAL
                )
        for node in members:
            check_node_usable(node)
            if not disks.fits_node(self._template, node):
                raise errors.OpPrereqError(
                    f"Node '{node.name}' cannot hold disks of the template '{self._template}'",
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
                f"The instance violates the policy of group '{group.name}': {self._policy_warning}",
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
        # Set here and not by the commit, because OS scripts see both times.
        instance.ctime = instance.mtime = config.clock()
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
        """Return whether the guest is started, which makes no sense without an OS."""
        return self.op.start and not self.op.no_install

    # -- answers -------------------------------------------------------------------

    def dry_run_result(self) -> list[str]:
        """Have the OS check its parameters; return the uuids of the nodes, as Ganeti 3.0 does."""
        installation.verify(self.nodes, self._members, self._choice, None)
        return [node.uuid for node in self._members]

    def effective_op(self) -> opcodes.OpInstanceCreate:
        """Return the opcode with the values that were chosen for it."""
        if not hasattr(self, "_instance"):
            return self.op
        found: dict[str, object] = {
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

    def _disks_as_read(self) -> Sequence[Mapping[str, object]]:
        """Return the disks of the request, their sizes in MiB."""
        sizes = [spec.size for spec in self._specs]
        if not sizes:  # a diskless instance: its disks were ignored
            return self.op.disks
        return [{**disk, "size": size} for disk, size in zip(self.op.disks, sizes, strict=True)]

    # -- work ------------------------------------------------------------------------

    def execute(self, run: JobContext) -> list[str]:
        """Create the instance; return the names of its nodes, the primary first."""
        self._log_ignored_arguments(run)
        installation.verify(self.nodes, self._members, self._choice, run)
        instance, agent = self._instance, self.nodes.agent(self._members[0])
        # A diskless instance has nothing to install on: its OS script does not run, as in Ganeti.
        if instance.disks:
            self.on_failure(lambda: agent.remove_disks(instance))
            run.log(f"Creating {len(instance.disks)} disk(s) of the template '{self._template}'")
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
        """Log the creation of a disk, unless the job was cancelled before it."""
        run.stop_if_cancelled()
        run.log(text)

    def _install(self, run: JobContext) -> None:
        if self.op.no_install:
            return
        installation.install(
            self.nodes,
            self._members[0],
            self._instance,
            self._choice,
            run,
            reinstall=False,
            debug_level=self.op.debug_level,
        )
        run.stop_if_cancelled()

    def _log_ignored_arguments(self, run: JobContext) -> None:
        op = self.op
        if op.no_install and op.start:
            run.log("The instance is not started, because no OS is installed (no_install)")
        if op.snode is not None and len(self._members) == 1:
            run.log(
                f"Ignoring the secondary node: the template '{self._template}' does not use one"
            )
        if op.disks and self._template == DiskTemplate.DISKLESS:
            run.log("Ignoring the disks: the instance is diskless")
        if self._policy_warning:
            run.log(f"Ignoring violations of the instance policy: {self._policy_warning}")

    def _stop_guest(self) -> None:
        """Undo the start, unless another instance got the name in the meantime."""
        found = self.config.find_instance(self._instance.name)
        if found is None or found.name != self._instance.name:
            self.nodes.agent(self._members[0]).stop(self._instance, timeout=0, force=True)


def _without(values: Mapping[str, object], defaults: Mapping[str, object]) -> dict[str, object]:
    """Return the values that differ from the defaults."""
    return {key: value for key, value in values.items() if defaults.get(key) != value}
