"""The ``ssconf_*`` files: facts about the cluster for scripts on its nodes.

Names and formats are Ganeti 3.0's: one value, or a list with an item in each line. The files are
copies of the configuration, so commits do not wait for them: a thread writes what has changed, and
whatever changes meanwhile in its next round. A master that starts writes all of them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ganeti import constants, params, pathutils
from ganeti.objects import Cluster, Group, Node
from ganeti.utils import io

logger = logging.getLogger(__name__)

MODE = 0o444
#: The thread rests for this many times as long as it wrote, up to this many seconds.
REST, MAX_REST = 10, 1.0

#: IP version -> number of the address family (AF_INET, AF_INET6).
_FAMILIES = {4: 2, 6: 10}


@dataclass(frozen=True)
class Facts:
    """The part of the configuration that the files show."""

    cluster: Cluster
    master: str
    nodes: Sequence[Node]
    #: Name of a node -> port of its SSH server.
    ssh_ports: Mapping[str, int]
    groups: Sequence[Group]
    instances: Sequence[str]


def _lines(items: Iterable[object]) -> str:
    return "".join(f"{item}\n" for item in items)


def cluster_values(facts: Facts) -> dict[str, str]:
    """Return the files about the cluster itself, name -> content."""
    cluster = facts.cluster
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


def node_values(facts: Facts) -> dict[str, str]:
    """Return the files about nodes and groups, name -> content."""
    nodes = facts.nodes
    candidates = [node for node in nodes if node.master_candidate]
    return {
        "master_node": _lines([facts.master]),
        "master_candidates": _lines(node.name for node in candidates),
        "master_candidates_ips": _lines(node.primary_ip for node in candidates),
        "node_list": _lines(node.name for node in nodes),
        "online_nodes": _lines(node.name for node in nodes if not node.offline),
        "offline_nodes": _lines(node.name for node in nodes if node.offline),
        "node_primary_ips": _lines(f"{node.name} {node.primary_ip}" for node in nodes),
        "node_secondary_ips": _lines(f"{node.name} {node.secondary_ip}" for node in nodes),
        "node_vm_capable": _lines(f"{node.name}={node.vm_capable}" for node in nodes),
        "nodegroups": _lines(f"{group.uuid} {group.name}" for group in facts.groups),
        "ssh_ports": _lines(f"{name}={port}" for name, port in facts.ssh_ports.items()),
    }


def instance_values(facts: Facts) -> dict[str, str]:
    """Return the files about instances, name -> content."""
    return {"instance_list": _lines(facts.instances)}


#: Kind of a changed object -> functions that return the files that it may change.
PARTS: Mapping[str, tuple[Callable[[Facts], dict[str, str]], ...]] = {
    "cluster": (cluster_values, node_values),
    "group": (node_values,),
    "node": (node_values,),
    "instance": (instance_values,),
}


class SsconfWriter:
    """Keeps the files up to date with the configuration, in a thread.

    After each round the thread rests for ten times as long as that took, so that it uses a tenth of
    the master's time at most. ``rest`` sleeps for some seconds.
    """

    def __init__(
        self,
        read: Callable[[], Facts],
        paths: pathutils.Paths,
        *,
        rest: Callable[[float], object] = time.sleep,
    ) -> None:
        self._rest = rest
        self._read = read
        self._paths = paths
        self._wake = threading.Condition()
        self._dirty: set[str] = set()
        self._failed: set[str] = set()  # kinds whose files are tried again at the next change
        self._writing = threading.Lock()
        self._written: dict[str, str] = {}
        self._thread: threading.Thread | None = None

    def mark(self, *kinds: str) -> None:
        """Schedule writing of the files about objects of these kinds; the thread writes them."""
        with self._wake:
            self._dirty.update(kinds, self._failed)
            self._failed.clear()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="ssconf", daemon=True)
                self._thread.start()
            self._wake.notify()

    def flush(self) -> None:
        """Write the files about everything that has changed; return when they are written."""
        with self._writing:
            with self._wake:
                kinds, self._dirty = self._dirty, set()
            if not kinds:
                return
            facts = self._read()
            for values in {values for kind in kinds for values in PARTS[kind]}:
                self._write(values(facts))

    def _work(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._dirty)
                kinds = set(self._dirty)
            begun = time.monotonic()
            try:
                self.flush()
            except Exception:
                # If the thread ended, the files would never be up to date again.
                logger.exception("Cannot write the ssconf files")
                with self._wake:
                    self._failed |= kinds
            # Files about thousands of instances take a while: changes are collected meanwhile.
            self._rest(min(MAX_REST, REST * (time.monotonic() - begun)))

    def _write(self, values: dict[str, str]) -> None:
        """Write the files whose content has changed.

        One that cannot be written is logged, and tried again at the next change.
        """
        for name, content in values.items():
            if self._written.get(name) == content:
                continue
            try:
                io.write_file(self._paths.ssconf(name), content, mode=MODE, durable=False)
                self._written[name] = content
            except OSError as err:
                logger.warning("Cannot write %s: %s", self._paths.ssconf(name), err.strerror)
