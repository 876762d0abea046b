"""The ``ssconf_*`` files: facts of the cluster that scripts on its nodes read.

Names and formats are Ganeti 3.0's: one value or one line each, lists a line an
item. They are a copy of the configuration, so they are written beside the
commits, not within them: a thread writes what changed, and what changes while
it writes goes into one further round. After a crash all are written anew.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from ganeti import constants, params, pathutils
from ganeti.objects import Cluster, Group, Instance, Node
from ganeti.utils import io

logger = logging.getLogger(__name__)

MODE = 0o444
#: How many times as long as it wrote the thread rests, and for how many seconds at most.
REST, MAX_REST = 10, 1.0

#: Address family of IPv4 and IPv6 as numbers of the socket interface.
_FAMILIES = {4: 2, 6: 10}


class SsconfSource(Protocol):
    """The part of the configuration that the files show."""

    @property
    def cluster(self) -> Cluster: ...

    @property
    def master(self) -> Node: ...

    def nodes(self) -> Sequence[Node]: ...

    def groups(self) -> Sequence[Group]: ...

    def instances(self) -> Sequence[Instance]: ...

    def ssh_port(self, node: Node) -> int: ...


def _lines(items: Iterable[object]) -> str:
    return "".join(f"{item}\n" for item in items)


def cluster_values(source: SsconfSource) -> dict[str, str]:
    """Files about the cluster itself -> content."""
    cluster = source.cluster
    values: dict[str, object] = {
        "cluster_name": cluster.name,
        "master_ip": cluster.master_ip,
        "master_netdev": cluster.master_netdev,
        "master_netmask": cluster.master_netmask,
        "file_storage_dir": cluster.file_storage_dir,
        "shared_file_storage_dir": cluster.shared_file_storage_dir,
        "gluster_storage_dir": cluster.gluster_storage_dir,
        "primary_ip_family": _FAMILIES[cluster.primary_ip_version],
        "release_version": constants.RELEASE_VERSION,
        "maintain_node_health": cluster.maintain_node_health,
        "enabled_user_shutdown": False,
    }
    result = {name: _lines([value]) for name, value in values.items()}
    result["cluster_tags"] = _lines(sorted(cluster.tags))
    result["hypervisor_list"] = _lines(cluster.enabled_hypervisors)
    result.update({name: "" for name in ("networks", "uid_pool", "master_candidates_certs")})
    for hypervisor, table in params.HYPERVISOR.items():
        filled = params.fill(params.defaults(table), cluster.hvparams.get(hypervisor, {}))
        result[f"hvparams_{hypervisor}"] = _lines(
            f"{name}={value}" for name, value in sorted(filled.items())
        )
    return result


def node_values(source: SsconfSource) -> dict[str, str]:
    """Files about nodes and groups -> content."""
    nodes = source.nodes()
    candidates = [node for node in nodes if node.master_candidate]
    return {
        "master_node": _lines([source.master.name]),
        "master_candidates": _lines(node.name for node in candidates),
        "master_candidates_ips": _lines(node.primary_ip for node in candidates),
        "node_list": _lines(node.name for node in nodes),
        "online_nodes": _lines(node.name for node in nodes if not node.offline),
        "offline_nodes": _lines(node.name for node in nodes if node.offline),
        "node_primary_ips": _lines(f"{node.name} {node.primary_ip}" for node in nodes),
        "node_secondary_ips": _lines(f"{node.name} {node.secondary_ip}" for node in nodes),
        "node_vm_capable": _lines(f"{node.name}={node.vm_capable}" for node in nodes),
        "nodegroups": _lines(f"{group.uuid} {group.name}" for group in source.groups()),
        "ssh_ports": _lines(f"{node.name}={source.ssh_port(node)}" for node in nodes),
    }


def instance_values(source: SsconfSource) -> dict[str, str]:
    """Files about instances -> content."""
    return {"instance_list": _lines(instance.name for instance in source.instances())}


#: Kind of a changed object -> which files it may change.
PARTS: Mapping[str, tuple[Callable[[SsconfSource], dict[str, str]], ...]] = {
    "cluster": (cluster_values, node_values),
    "group": (node_values,),
    "node": (node_values,),
    "instance": (instance_values,),
}


class SsconfWriter:
    """Keeps the files like the configuration, in a thread of its own.

    After each time the thread rests (``rest`` lets seconds pass) for many times as long
    as it took, so that it takes a tenth of the master's time at most.
    """

    def __init__(
        self,
        source: SsconfSource,
        paths: pathutils.Paths,
        *,
        rest: Callable[[float], object] = time.sleep,
    ) -> None:
        self._rest = rest
        self._source = source
        self._paths = paths
        self._wake = threading.Condition()
        self._dirty: set[str] = set()
        self._failed: set[str] = set()  # to be tried with the next change
        self._writing = threading.Lock()
        self._written: dict[str, str] = {}
        self._thread: threading.Thread | None = None

    def mark(self, *kinds: str) -> None:
        """Objects of these kinds changed; their files follow soon, in another thread."""
        with self._wake:
            self._dirty.update(kinds, self._failed)
            self._failed.clear()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="ssconf", daemon=True)
                self._thread.start()
            self._wake.notify()

    def flush(self) -> None:
        """Write now what changed."""
        with self._writing:
            with self._wake:
                kinds, self._dirty = self._dirty, set()
            for values in {values for kind in kinds for values in PARTS[kind]}:
                self._write(values(self._source))

    def _work(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._dirty)
                kinds = set(self._dirty)
            begun = time.monotonic()
            try:
                self.flush()
            except Exception:
                # Without this thread no file would ever follow again.
                logger.exception("Cannot write the ssconf files")
                with self._wake:
                    self._failed |= kinds
            # Files about thousands of instances take a while: not for every change of one.
            self._rest(min(MAX_REST, REST * (time.monotonic() - begun)))

    def _write(self, values: dict[str, str]) -> None:
        """A file that cannot be written is logged, and tried at the next change."""
        for name, content in values.items():
            if self._written.get(name) == content:
                continue
            try:
                io.write_file(self._paths.ssconf(name), content, mode=MODE, durable=False)
                self._written[name] = content
            except OSError as err:
                logger.warning("Cannot write %s: %s", self._paths.ssconf(name), err.strerror)
