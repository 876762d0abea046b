"""The cluster's configuration: all of it in memory, each change one transaction.

Theory. Readers see shared objects and never wait. A change is prepared in a
``Transaction`` (whole objects to save or to remove), written to the database by
``apply`` within a store's change, and shown to readers by ``publish`` once that
is durable. Whoever changes an object holds its lock. Of two changes made without
it the serial number tells, and the second one fails instead of undoing the first.
Neither step looks at other objects, so a change costs the same in a large cluster
as in a small one.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from ganeti import errors, ipolicy, params, pathutils, serializer
from ganeti.config.generation import Generation
from ganeti.config.index import ObjectIndex, instance_links
from ganeti.config.reservations import Reservations
from ganeti.constants import DiskTemplate, ErrorCode
from ganeti.db import schema
from ganeti.db.store import DatabaseDamaged, Store
from ganeti.objects import Cluster, ConfigObject, Group, Instance, Nic, Node, contradictions
from ganeti.ssconf import SsconfWriter
from ganeti.utils.checksum import checksum

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
    """The kind under which an object is stored."""
    return next(kind for kind, cls in KINDS.items() if type(value) is cls)


def _is_same_instance(old: ConfigObject | None, new: ConfigObject) -> bool:
    """Return whether both are instances, and of the same name."""
    return isinstance(old, Instance) and isinstance(new, Instance) and old.name == new.name


class Config:
    """The configuration of the cluster that ``store`` holds.

    Raises ``ConfigurationError`` when it cannot be read or contradicts itself.
    """

    def __init__(
        self, store: Store, paths: pathutils.Paths, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.paths = paths
        self.clock = clock
        self.store = store
        self._mutex = threading.RLock()
        self.generation = Generation()
        self._nodes: ObjectIndex[Node] = ObjectIndex(lambda node: [("group", node.group)])
        self._groups: ObjectIndex[Group] = ObjectIndex(lambda group: ())
        self._instances: ObjectIndex[Instance] = ObjectIndex(instance_links)
        self._cluster: Cluster | None = None
        self._load()
        self.reservations = Reservations(self, self.cluster.mac_prefix)
        self.ssconf = SsconfWriter(self, paths)
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
        """A new, empty change."""
        return Transaction(self)

    def current(self, value: ConfigObject) -> ConfigObject | None:
        """The object with this one's kind and uuid, as it is now."""
        if isinstance(value, Cluster):
            return self._cluster
        with self._mutex:
            return self._index_of(value).get(value.uuid)

    def replace_objects(self, saved: list[ConfigObject], removed: list[ConfigObject]) -> None:
        """Replace and remove objects in memory; only ``Transaction.publish`` calls this."""
        parts = set()
        with self._mutex:
            for value in removed:
                self._index_of(value).drop(value.uuid)
                parts.add(kind_of(value))
            for value in saved:
                # Of instances the files of ssconf hold nothing but the names.
                if not _is_same_instance(self.current(value), value):
                    parts.add(kind_of(value))
                self._put(value)
            # Last: what was read in between belongs to the state before.
            self.generation.advance()
        if parts:
            self.ssconf.mark(*parts)

    def _put(self, value: ConfigObject) -> None:
        if isinstance(value, Cluster):
            self._cluster = value
        else:
            self._index_of(value).put(value)

    def _index_of(self, value: ConfigObject) -> ObjectIndex[Any]:
        indexes: dict[type[ConfigObject], ObjectIndex[Any]] = {
            Node: self._nodes,
            Group: self._groups,
            Instance: self._instances,
        }
        return indexes[type(value)]

    # -- objects ---------------------------------------------------------------

    @property
    def cluster(self) -> Cluster:
        """What holds for the whole cluster."""
        assert self._cluster is not None
        return self._cluster

    @property
    def master(self) -> Node:
        """The node that the master runs on: this machine."""
        return self.node_by_uuid(self.cluster.master_node)

    def nodes(self) -> list[Node]:
        """All nodes in the order of their names."""
        with self._mutex:
            return self._nodes.all()

    def groups(self) -> list[Group]:
        """All node groups in the order of their names."""
        with self._mutex:
            return self._groups.all()

    def instances(self) -> list[Instance]:
        """All instances in the order of their names."""
        with self._mutex:
            return self._instances.all()

    def find_node(self, name: str) -> Node | None:
        """By full name, uuid, or short name if only one node has it."""
        with self._mutex:
            return self._nodes.find(name)

    def find_group(self, name: str) -> Group | None:
        """By full name, uuid, or short name if only one group has it."""
        with self._mutex:
            return self._groups.find(name)

    def find_instance(self, name: str) -> Instance | None:
        """By full name, uuid, or short name if only one instance has it."""
        with self._mutex:
            return self._instances.find(name)

    def node(self, name: str) -> Node:
        """Like ``find_node``; ``OpPrereqError`` (unknown_entity) when there is none."""
        return _require("Node", name, self.find_node(name))

    def group(self, name: str) -> Group:
        """Like ``find_group``; ``OpPrereqError`` (unknown_entity) when there is none."""
        return _require("Group", name, self.find_group(name))

    def instance(self, name: str) -> Instance:
        """Like ``find_instance``; ``OpPrereqError`` (unknown_entity) when there is none."""
        return _require("Instance", name, self.find_instance(name))

    def node_by_uuid(self, uuid: str) -> Node:
        """The node with this uuid; ``OpPrereqError`` when there is none."""
        with self._mutex:
            return _require("Node", uuid, self._nodes.get(uuid))

    def group_by_uuid(self, uuid: str) -> Group:
        """The group with this uuid; ``OpPrereqError`` when there is none."""
        with self._mutex:
            return _require("Group", uuid, self._groups.get(uuid))

    def instance_by_uuid(self, uuid: str) -> Instance:
        """The instance with this uuid; ``OpPrereqError`` when there is none."""
        with self._mutex:
            return _require("Instance", uuid, self._instances.get(uuid))

    def group_nodes(self, group_uuid: str) -> list[Node]:
        """The nodes of a group."""
        with self._mutex:
            return self._nodes.linked("group", group_uuid)

    def primary_instances(self, node_uuid: str) -> list[Instance]:
        """Instances that run on a node when they run."""
        with self._mutex:
            return self._instances.linked("primary", node_uuid)

    def secondary_instances(self, node_uuid: str) -> list[Instance]:
        """Instances whose disks a node mirrors."""
        with self._mutex:
            return self._instances.linked("secondary", node_uuid)

    # -- what is in use ----------------------------------------------------------

    def mac_in_use(self, mac: str) -> bool:
        """Has an instance this MAC address?"""
        with self._mutex:
            return self._instances.has_link("mac", mac)

    def port_in_use(self, port: int) -> bool:
        """Has an instance this network port?"""
        with self._mutex:
            return self._instances.has_link("port", port)

    def minors_in_use(self, node_uuid: str) -> set[int]:
        """DRBD minors that are taken on a node."""
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

    def beparams(self, instance: Instance) -> dict[str, Any]:
        """Backend parameters of an instance, the cluster's where it has none."""
        return params.fill(self.default_beparams(), instance.beparams)

    def default_beparams(self) -> dict[str, Any]:
        """Backend parameters of an instance that sets none; not to be changed."""
        return self.generation.cached(
            "beparams",
            lambda: params.fill(
                params.defaults(params.BACKEND), self.cluster.beparams.get("default", {})
            ),
        )

    def hvparams(self, instance: Instance) -> dict[str, Any]:
        """Hypervisor parameters: an instance's over its OS's over the cluster's."""
        return params.fill(
            self.default_hvparams(instance.hypervisor, instance.os), instance.hvparams
        )

    def default_hvparams(self, hypervisor: str, os_name: str = "") -> dict[str, Any]:
        """Hypervisor parameters of an instance that sets none; not to be changed."""
        os_name = os_name.partition("+")[0]
        if os_name not in self.cluster.os_hvp:
            os_name = ""
        return self.generation.cached(
            f"hvparams {hypervisor} {os_name}",
            lambda: params.fill(
                params.defaults(params.HYPERVISOR.get(hypervisor, {})),
                self.cluster.hvparams.get(hypervisor, {}),
                self.cluster.os_hvp.get(os_name, {}).get(hypervisor, {}),
            ),
        )

    def nicparams(self, nic: Nic) -> dict[str, Any]:
        """Mode, link and VLAN of a network card."""
        return params.fill(self._default_nicparams(), nic.nicparams)

    def _default_nicparams(self) -> dict[str, Any]:
        return self.generation.cached(
            "nicparams",
            lambda: params.fill(
                params.defaults(params.NIC), self.cluster.nicparams.get("default", {})
            ),
        )

    def ndparams(self, node: Node) -> dict[str, Any]:
        """Node parameters: a node's over its group's over the cluster's."""
        return params.fill(self.group_ndparams(self.group_by_uuid(node.group)), node.ndparams)

    def group_ndparams(self, group: Group) -> dict[str, Any]:
        """Node parameters of a node of this group that sets none."""
        return params.fill(params.defaults(params.NODE), self.cluster.ndparams, group.ndparams)

    def ipolicy(self, group: Group) -> dict[str, Any]:
        """The policy for instances of a group."""
        return ipolicy.fill(self.cluster.ipolicy, group.ipolicy)

    def diskparams(self, group: Group) -> dict[str, dict[str, Any]]:
        """Disk parameters of a group, by template."""
        return {
            template: params.fill(
                params.defaults(table),
                self.cluster.diskparams.get(template, {}),
                group.diskparams.get(template, {}),
            )
            for template, table in params.DISK.items()
        }

    def ssh_port(self, node: Node) -> int:
        """Where a node's SSH server would listen."""
        return int(self.ndparams(node)["ssh_port"])


class _Change(NamedTuple):
    """What happens to one object; ``base`` is the serial number that it replaces."""

    value: ConfigObject
    base: int | None
    removed: bool = False


class Transaction:
    """Objects to save and to remove, all or none."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._changes: dict[str, _Change] = {}

    @property
    def empty(self) -> bool:
        """Is there nothing to write?"""
        return not self._changes

    def save(self, value: ConfigObject) -> None:
        """Write this object; its serial number and times are set here.

        It must be new or a changed copy of the current one, and must not be
        changed any more once the transaction is committed.
        """
        now = self._config.clock()
        pending = self._changes.get(value.uuid)
        if pending is not None and not pending.removed:
            base = pending.base
        else:
            base = None if self._config.current(value) is None else value.serial_no
        value.serial_no = (base or 0) + 1
        value.mtime = now
        if base is None:
            value.ctime = value.ctime or now
        self._changes[value.uuid] = _Change(value, base)

    def remove(self, value: ConfigObject) -> None:
        """Delete this object; one that was never written is only forgotten."""
        self._changes.pop(value.uuid, None)
        if self._config.current(value) is not None:
            self._changes[value.uuid] = _Change(value, None, removed=True)

    def apply(self, connection: sqlite3.Connection) -> None:
        """Write all of it, within a change of the store.

        ``OpPrereqError`` (already_exists) when another object has the name,
        ``ProgrammerError`` when somebody changed the object in between.
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
        """Let readers see what was written; to be called once it is durable."""
        changes, self._changes = self._changes, {}
        if changes:
            self._config.replace_objects(
                [change.value for change in changes.values() if not change.removed],
                [change.value for change in changes.values() if change.removed],
            )

    def commit(self) -> None:
        """Make it durable now; the transaction is empty afterwards and may be used on."""
        if not self.empty:
            self._config.store.write(self.apply).result()
            self.publish()


def _write(
    connection: sqlite3.Connection, kind: str, value: ConfigObject, base: int | None
) -> None:
    name = getattr(value, "name")
    row = (kind, value.uuid, name, serializer.dumps(value.to_dict()))
    try:
        if base is None:
            connection.execute(_INSERT, (*row, checksum(*row)))
            return
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
            f"the {kind} {name} was changed in between; "
            "this change, prepared before, is not written"
        )


def create_objects(store: Store, created: Sequence[ConfigObject], now: float) -> None:
    """Write the objects of a new cluster into an empty database."""

    def change(connection: sqlite3.Connection) -> None:
        for value in created:
            value.ctime = value.mtime = now
            _write(connection, kind_of(value), value, None)

    store.write(change).result()
