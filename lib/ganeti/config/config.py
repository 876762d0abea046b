"""The cluster's configuration, held in memory and changed in durable transactions.

Theory. The configuration is one cluster object and the nodes, groups and instances
that belong to it. All of them are in memory, and readers share them without waiting
for the disk.

A change passes through three steps. The caller copies an object, changes the copy and
saves it in a ``Transaction``, together with other objects to save or to remove.
``apply`` writes the transaction to the database, within a change of the store that
may hold more, such as the result of the job. ``publish`` replaces the objects in
memory once the database has confirmed that the change is durable. A reader therefore
never sees a state that a power failure could take back.

Callers hold the lock of an object while they change it. If two of them prepare a
change of the same state without the lock, the serial number tells: ``apply`` fails for
the second one, which would otherwise undo the first.

No step looks at other objects, so a change costs the same in a large cluster as in a
small one.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from ganeti import errors, ipolicy, params, pathutils, serializer
from ganeti.config.reservations import Reservations
from ganeti.constants import DiskTemplate, ErrorCode
from ganeti.db import schema
from ganeti.db.store import DatabaseDamaged, Store
from ganeti.objects import Cluster, ConfigObject, Group, Instance, Nic, Node, contradictions
from ganeti.ssconf import Facts, SsconfWriter
from ganeti.utils.checksum import checksum
from ganeti.utils.generation import Generation
from ganeti.utils.object_index import ObjectIndex

_INSERT = schema.insert("cluster_object")
_Named = TypeVar("_Named", Node, Group, Instance)

#: Kind in the database -> class, in the order in which they refer to each other.
KINDS: dict[str, type[ConfigObject]] = {
    "cluster": Cluster,
    "group": Group,
    "node": Node,
    "instance": Instance,
}


def _require(what: str, name: str, found: _Named | None) -> _Named:
    if found is None:
        raise errors.OpPrereqError(f"{what} {name!r} not known", ErrorCode.NOENT)
    return found


def kind_of(value: ConfigObject) -> str:
    """Return the kind under which an object is stored."""
    return next(kind for kind, cls in KINDS.items() if type(value) is cls)


def _is_same_instance(old: ConfigObject | None, new: ConfigObject) -> bool:
    """Return whether both are instances, and of the same name."""
    return isinstance(old, Instance) and isinstance(new, Instance) and old.name == new.name


def _instance_links(instance: Instance) -> Iterator[tuple[str, object]]:
    """Yield the keys that find an instance: its nodes, MAC addresses and ports."""
    yield "primary", instance.primary_node
    for node in instance.secondary_nodes:
        yield "secondary", node
    for nic in instance.nics:
        yield "mac", nic.mac
    if instance.network_port is not None:
        yield "port", instance.network_port
    for disk in instance.disks:
        if disk.dev_type == DiskTemplate.DRBD:
            yield "port", disk.logical_id[2]


class Config:
    """The configuration of the cluster that ``store`` holds.

    The constructor raises ``DatabaseDamaged`` for a record with a wrong checksum and
    ``ConfigurationError`` for objects that cannot be read or contradict each other.
    """

    def __init__(
        self, store: Store, paths: pathutils.Paths, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.paths = paths
        self.clock = clock
        self.store = store
        self._mutex = threading.RLock()
        self.generation = Generation()
        #: Advances with the cluster object only, which all defaults are computed from.
        self._defaults = Generation()
        self._nodes: ObjectIndex[Node] = ObjectIndex(lambda node: [("group", node.group)])
        self._groups: ObjectIndex[Group] = ObjectIndex(lambda group: ())
        self._instances: ObjectIndex[Instance] = ObjectIndex(_instance_links)
        self._indexes: dict[type[ConfigObject], ObjectIndex[Any]] = {
            Node: self._nodes,
            Group: self._groups,
            Instance: self._instances,
        }
        self._cluster: Cluster | None = None
        self._load()
        #: Job id -> node uuid -> memory and disk (MiB).
        self._reserved_resources: dict[int, dict[str, tuple[int, int]]] = {}
        self.reservations = Reservations(
            self.cluster.mac_prefix,
            mac_in_use=self.mac_in_use,
            port_in_use=self.port_in_use,
            minors_in_use=self.minors_in_use,
        )
        self.ssconf = SsconfWriter(self.ssconf_facts, paths)
        self.ssconf.mark("cluster", "node", "instance")

    def _load(self) -> None:
        with self.store.read() as connection:
            rows = connection.execute(
                "SELECT kind, uuid, name, data, sum FROM cluster_object"
            ).fetchall()
        for row in rows:
            kind, _, name, data, _ = row
            if not schema.is_whole(row):
                raise DatabaseDamaged(
                    f"the record of the {kind} {name} in {self.paths.master_db} is damaged"
                )
            try:
                self._put(KINDS[kind].from_dict(serializer.loads(data)))
            except (serializer.ParseError, KeyError, TypeError) as err:
                raise errors.ConfigurationError(
                    f"cannot read the {kind} {name} in {self.paths.master_db}: {err}"
                ) from None
        if self._cluster is None:
            raise errors.ConfigurationError(f"there is no cluster in {self.paths.master_db}")
        self._check_references()

    def _check_references(self) -> None:
        problems = contradictions(self.cluster, self.groups(), self.nodes(), self.instances())
        if problems:
            raise errors.ConfigurationError(
                "the configuration contradicts itself: " + "; ".join(problems)
            )

    def begin(self) -> Transaction:
        """Return an empty transaction; readers see nothing of it until it is published."""
        return Transaction(self)

    def current(self, value: ConfigObject) -> ConfigObject | None:
        """Return the current object with this one's kind and uuid, or None."""
        if isinstance(value, Cluster):
            return self._cluster
        with self._mutex:
            found: ConfigObject | None = self._indexes[type(value)].by_uuid.get(value.uuid)
            return found

    def replace_objects(self, saved: list[ConfigObject], removed: list[ConfigObject]) -> None:
        """Replace and remove objects in memory; only ``Transaction.publish`` calls this."""
        parts = set()
        with self._mutex:
            for value in removed:
                self._indexes[type(value)].drop(value.uuid)
                parts.add(kind_of(value))
            for value in saved:
                # The files of ssconf show nothing of instances but their names.
                if not _is_same_instance(self.current(value), value):
                    parts.add(kind_of(value))
                self._put(value)
            # Last, so that values computed during the change count for the old state.
            self.generation.advance()
        if parts:
            self.ssconf.mark(*parts)

    def _put(self, value: ConfigObject) -> None:
        if isinstance(value, Cluster):
            self._cluster = value
            self._defaults.advance()
        else:
            self._indexes[type(value)].put(value)

    # -- objects ---------------------------------------------------------------

    @property
    def cluster(self) -> Cluster:
        """Return the object with the settings of the whole cluster."""
        assert self._cluster is not None
        return self._cluster

    @property
    def master(self) -> Node:
        """Return the node that the master runs on, which is this machine."""
        return self.node_by_uuid(self.cluster.master_node)

    def nodes(self) -> list[Node]:
        """Return all nodes in the order of their names."""
        with self._mutex:
            return list(self._nodes.in_order)

    def groups(self) -> list[Group]:
        """Return all node groups in the order of their names."""
        with self._mutex:
            return list(self._groups.in_order)

    def instances(self) -> list[Instance]:
        """Return all instances in the order of their names."""
        with self._mutex:
            return list(self._instances.in_order)

    def find_node(self, name: str) -> Node | None:
        """Return the node with this name, uuid or unambiguous short name, or None."""
        with self._mutex:
            return self._nodes.find(name)

    def find_group(self, name: str) -> Group | None:
        """Return the group with this name, uuid or unambiguous short name, or None."""
        with self._mutex:
            return self._groups.find(name)

    def find_instance(self, name: str) -> Instance | None:
        """Return the instance with this name, uuid or unambiguous short name, or None."""
        with self._mutex:
            return self._instances.find(name)

    def node(self, name: str) -> Node:
        """Return what ``find_node`` does; raise ``OpPrereqError`` (unknown_entity) for None."""
        return _require("Node", name, self.find_node(name))

    def group(self, name: str) -> Group:
        """Return what ``find_group`` does; raise ``OpPrereqError`` (unknown_entity) for None."""
        return _require("Group", name, self.find_group(name))

    def instance(self, name: str) -> Instance:
        """Return what ``find_instance`` does; raise ``OpPrereqError`` (unknown_entity) for None."""
        return _require("Instance", name, self.find_instance(name))

    def node_by_uuid(self, uuid: str) -> Node:
        """Return the node with this uuid; raise ``OpPrereqError`` if it does not exist."""
        with self._mutex:
            return _require("Node", uuid, self._nodes.by_uuid.get(uuid))

    def group_by_uuid(self, uuid: str) -> Group:
        """Return the group with this uuid; raise ``OpPrereqError`` if it does not exist."""
        with self._mutex:
            return _require("Group", uuid, self._groups.by_uuid.get(uuid))

    def group_nodes(self, group_uuid: str) -> list[Node]:
        """Return the nodes of a group in the order of their names."""
        with self._mutex:
            return self._nodes.linked("group", group_uuid)

    def primary_instances(self, node_uuid: str) -> list[Instance]:
        """Return the instances whose primary node this is."""
        with self._mutex:
            return self._instances.linked("primary", node_uuid)

    def secondary_instances(self, node_uuid: str) -> list[Instance]:
        """Return the instances whose disks this node mirrors."""
        with self._mutex:
            return self._instances.linked("secondary", node_uuid)

    # -- what is in use ----------------------------------------------------------

    def mac_in_use(self, mac: str) -> bool:
        """Return whether an instance has this MAC address."""
        with self._mutex:
            return self._instances.has_link("mac", mac)

    def port_in_use(self, port: int) -> bool:
        """Return whether an instance uses this network port."""
        with self._mutex:
            return self._instances.has_link("port", port)

    def minors_in_use(self, node_uuid: str) -> set[int]:
        """Return the DRBD minors that disks use on a node."""
        instances = self.primary_instances(node_uuid) + self.secondary_instances(node_uuid)
        return {
            minor
            for instance in instances
            for disk in instance.disks
            if disk.dev_type == DiskTemplate.DRBD
            for node, minor in (
                (disk.logical_id[0], disk.logical_id[3]),
                (disk.logical_id[1], disk.logical_id[4]),
            )
            if node == node_uuid
        }

    # -- filled parameters ---------------------------------------------------------
    #
    # An object stores only the parameters that were set for it. "Filled" are those
    # laid over the defaults of its group and of the cluster. Lists fill the parameters
    # of every instance, so the defaults are kept until the cluster object changes.

    def beparams(self, instance: Instance) -> params.Values:
        """Return the filled backend parameters of an instance."""
        return {**self.default_beparams(), **instance.beparams}

    def default_beparams(self) -> params.Values:
        """Return the cluster's backend parameters; callers must not change the result."""
        return self._defaults.cached(
            "beparams",
            lambda: params.fill(
                params.defaults(params.BACKEND), self.cluster.beparams.get("default", {})
            ),
        )

    def hvparams(self, instance: Instance) -> params.Values:
        """Return the filled hypervisor parameters: the instance's, its OS's, the cluster's."""
        return {
            **self.default_hvparams(instance.hypervisor, instance.os),
            **instance.hvparams,
        }

    def default_hvparams(self, hypervisor: str, os_name: str = "") -> params.Values:
        """Return the parameters of an instance that sets none; callers must not change them."""
        os_name = os_name.partition("+")[0]
        if os_name not in self.cluster.os_hvp:
            os_name = ""
        return self._defaults.cached(
            f"hvparams {hypervisor} {os_name}",
            lambda: params.fill(
                params.defaults(params.HYPERVISOR.get(hypervisor, {})),
                self.cluster.hvparams.get(hypervisor, {}),
                self.cluster.os_hvp.get(os_name, {}).get(hypervisor, {}),
            ),
        )

    def nicparams(self, nic: Nic) -> params.Values:
        """Return the filled mode, link and VLAN of a network card."""
        return {**self.default_nicparams(), **nic.nicparams}

    def default_nicparams(self) -> params.Values:
        """Return the parameters of a card that sets none; callers must not change them."""
        return self._defaults.cached(
            "nicparams",
            lambda: params.fill(
                params.defaults(params.NIC), self.cluster.nicparams.get("default", {})
            ),
        )

    def ndparams(self, node: Node) -> params.Values:
        """Return the filled node parameters: the node's, its group's, the cluster's."""
        return {**self.group_ndparams(self.group_by_uuid(node.group)), **node.ndparams}

    def group_ndparams(self, group: Group) -> params.Values:
        """Return the filled node parameters of a group."""
        return {**self.default_ndparams(), **group.ndparams}

    def default_ndparams(self) -> params.Values:
        """Return the cluster's node parameters; callers must not change the result."""
        return self._defaults.cached(
            "ndparams", lambda: params.fill(params.defaults(params.NODE), self.cluster.ndparams)
        )

    def ipolicy(self, group: Group) -> ipolicy.Policy:
        """Return the filled instance policy of a group."""
        return ipolicy.fill(self.cluster.ipolicy, group.ipolicy)

    def diskparams(self, group: Group) -> dict[str, params.Values]:
        """Return the filled disk parameters of a group, by template."""
        return {
            template: {**filled, **group.diskparams.get(template, {})}
            for template, filled in self.default_diskparams().items()
        }

    def default_diskparams(self) -> dict[str, params.Values]:
        """Return the cluster's disk parameters by template; callers must not change them."""
        return self._defaults.cached(
            "diskparams",
            lambda: {
                template: params.fill(
                    params.defaults(table), self.cluster.diskparams.get(template, {})
                )
                for template, table in params.DISK.items()
            },
        )

    def ssh_port(self, node: Node) -> int:
        """Return the port of a node's SSH server."""
        return int(self.ndparams(node)["ssh_port"])

    def ssconf_facts(self) -> Facts:
        """Return what the ssconf files show of the present configuration."""
        nodes = self.nodes()
        return Facts(
            cluster=self.cluster,
            master=self.master.name,
            nodes=nodes,
            ssh_ports={node.name: self.ssh_port(node) for node in nodes},
            groups=self.groups(),
            instances=[instance.name for instance in self.instances()],
        )

    # -- what running jobs have reserved -------------------------------------------------
    #
    # Every start reserves memory, so memory and disk are kept here. ``reservations`` holds
    # names and numbers, which only the creation of an instance needs.

    def reserve_resources(self, job_id: int, node_uuid: str, memory: int, disk: int) -> None:
        """Reserve memory and disk (MiB) on a node, in addition to the job's earlier claims."""
        with self._mutex:
            claims = self._reserved_resources.setdefault(job_id, {})
            old_memory, old_disk = claims.get(node_uuid, (0, 0))
            claims[node_uuid] = (old_memory + memory, old_disk + disk)

    def reserved_resources(self, node_uuid: str) -> tuple[int, int]:
        """Return the memory and disk (MiB) that jobs have reserved on a node."""
        with self._mutex:
            claims = [
                job[node_uuid] for job in self._reserved_resources.values() if node_uuid in job
            ]
        return sum(memory for memory, _ in claims), sum(disk for _, disk in claims)

    def release_reservations(self, job_id: int) -> None:
        """Forget what a job has reserved: it has ended, and its changes are written."""
        with self._mutex:
            self._reserved_resources.pop(job_id, None)
        if job_id in self.reservations.claims:
            self.reservations.release(job_id)


class _Change(NamedTuple):
    """An object to save or remove; ``base`` is the serial number of the version it replaces.

    ``base`` is None for a new object.
    """

    value: ConfigObject
    base: int | None
    removed: bool = False


class Transaction:
    """Objects to save and to remove, all of them or none."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._changes: dict[str, _Change] = {}

    @property
    def empty(self) -> bool:
        """Return whether there is nothing to write."""
        return not self._changes

    def save(self, value: ConfigObject) -> None:
        """Add an object to be written, and set its serial number and times.

        It must be new or a changed copy of the current one. Readers share it once the
        transaction is published, so the caller must not change it after that.
        """
        now = self._config.clock()
        pending = self._changes.get(value.uuid)
        if pending is not None and not pending.removed:
            # Saved twice in one transaction, it still replaces the stored version.
            base = pending.base
        else:
            base = None if self._config.current(value) is None else value.serial_no
        value.serial_no = (base or 0) + 1
        value.mtime = now
        if base is None:
            value.ctime = value.ctime or now
        self._changes[value.uuid] = _Change(value, base)

    def remove(self, value: ConfigObject) -> None:
        """Add an object to be deleted; forget it if it is new in this transaction."""
        self._changes.pop(value.uuid, None)
        if self._config.current(value) is not None:
            self._changes[value.uuid] = _Change(value, None, removed=True)

    def apply(self, connection: sqlite3.Connection) -> None:
        """Write the transaction, within a change of the store.

        Raise ``OpPrereqError`` (already_exists) if another object of the kind has the
        name, ``ProgrammerError`` if an object was changed after it was copied.
        """
        for value, base, removed in self._changes.values():
            kind = kind_of(value)
            if removed:
                connection.execute(
                    "DELETE FROM cluster_object WHERE kind = ? AND uuid = ?", (kind, value.uuid)
                )
            else:
                _write(connection, kind, value, base)

    def publish(self) -> None:
        """Show readers what was written; call this once the change is durable."""
        changes, self._changes = self._changes, {}
        if changes:
            self._config.replace_objects(
                [change.value for change in changes.values() if not change.removed],
                [change.value for change in changes.values() if change.removed],
            )

    def commit(self) -> None:
        """Write and publish the transaction now; it is empty afterwards and may be reused."""
        if not self.empty:
            self._config.store.write(self.apply).result()
            self.publish()


def _write(
    connection: sqlite3.Connection, kind: str, value: ConfigObject, base: int | None
) -> None:
    name: str = getattr(value, "name")
    row = (kind, value.uuid, name, serializer.dumps_object(value))
    try:
        if base is None:
            connection.execute(_INSERT, (*row, checksum(*row)))
            return
        # Matches no row if the stored version is no longer the one that was copied.
        changed = connection.execute(
            "UPDATE cluster_object SET name = ?, data = ?, sum = ? WHERE kind = ? AND uuid = ? "
            "AND json_extract(data, '$.serial_no') = ?",
            (name, row[3], checksum(*row), kind, value.uuid, base),
        ).rowcount
    except sqlite3.IntegrityError:
        raise errors.OpPrereqError(
            f"{kind.capitalize()} {name!r} already exists", ErrorCode.EXISTS
        ) from None
    if changed == 0:
        raise errors.ProgrammerError(
            f"the {kind} {name} was changed after it was copied; this change is not written"
        )


def create_objects(store: Store, created: Sequence[ConfigObject], now: float) -> None:
    """Write the objects of a new cluster into an empty database."""

    def change(connection: sqlite3.Connection) -> None:
        for value in created:
            value.ctime = value.mtime = now
            _write(connection, kind_of(value), value, None)

    store.write(change).result()
