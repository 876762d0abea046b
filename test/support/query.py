"""A cluster whose instances exist only in the configuration, and queries of it."""

import dataclasses
import itertools
import json
from pathlib import Path

from ganeti.locking import LockManager
from ganeti.objects import Disk, Instance, Nic
from ganeti.query import engine
from ganeti.query.engine import Reading, Sources
from support import DATA
from support.cluster import make_cluster

#: What Ganeti 3.0 answers to QueryFields: ``{kind: [[name, title, kind], ...]}``.
FACTS = json.loads((DATA / "query_fields.json").read_text())


class NoJobs:
    """A queue without jobs and filters."""

    drained = False
    watcher_pause = None
    filters = ()

    def jobs(self, ids=None, *, archived=False):
        return []

    def explainer(self):
        return lambda job_id: []


class CountingNodes:
    """Agents of nodes; records the names of the nodes that were asked."""

    def __init__(self, nodes):
        self.nodes = nodes
        self.asked = []

    @property
    def drivers(self):
        """The drivers of the master's node, which are read without an agent."""
        self.asked.append("node1.example.com")
        return self.nodes.drivers

    def agent(self, node):
        self.asked.append(node.name)
        return self.nodes.agent(node)


class QueryScene:
    """A cluster of three nodes; ``add`` saves instances, ``start`` starts their guests."""

    def __init__(self, root):
        self.store, self.config, nodes = make_cluster(root)
        self.nodes = CountingNodes(nodes)
        self.locks = LockManager()
        self.sources = Sources(self.config, self.nodes, NoJobs(), self.locks)
        self._numbers = itertools.count(1)

    def close(self):
        self.config.ssconf.flush()
        self.store.close()

    def save(self, value):
        transaction = self.config.begin()
        transaction.save(value)
        transaction.commit()
        return value

    def change(self, value, **fields):
        """Save a copy of an object with other values in some fields."""
        return self.save(type(value).from_dict({**dataclasses.asdict(value), **fields}))

    def add(self, name="web.example.com", node="node1", mirror=None, **fields):
        """Save an instance whose guest does not run."""
        defaults = {"hypervisor": "fake", "disk_template": "diskless", "os": "noop+default"}
        secondary = [self.config.node(mirror).uuid] if mirror else []
        return self.save(
            Instance(
                uuid=f"instance-{next(self._numbers)}",
                name=name,
                secondary_nodes=secondary,
                primary_node=self.config.node(node).uuid,
                **{**defaults, **fields},
            )
        )

    def start(self, instance, node=None):
        """Start the guest of an instance, on its primary node or another."""
        where = self.config.node(node) if node else self.config.node_by_uuid(instance.primary_node)
        self.nodes.nodes.agent(where).start(instance)

    def fail(self, node):
        """Make a simulated node fail, so that it does not answer."""
        path = Path(self.config.paths.simulated_failure(self.config.node(node).name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    # -- asking ------------------------------------------------------------------

    def data(self, what, fields, filter_=None):
        """Return the rows of a query, as [status, value] cells in JSON."""
        answer = engine.run(self.sources, what, fields, filter_)
        return json.loads(json.dumps(answer["data"]))

    def names(self, what, filter_=None):
        return [row[0][1] for row in self.data(what, ["name"], filter_)]

    def cell(self, what, name, field):
        """Return one field of one object, as [status, value]."""
        return self.data(what, [field], ["==", "name", name])[0][0]

    def reading(self, live=True):
        return Reading(self.sources, live=live, needed=())


def disk(size=1024, kind="file", **fields):
    return Disk(uuid=f"disk-{size}", dev_type=kind, size=size, **fields)


def nic(**fields):
    return Nic(**{"uuid": "nic", "mac": "aa:00:00:00:00:01", **fields})
