"""A cluster below a temporary directory, for many tests."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from ganeti import bootstrap
from ganeti.bootstrap import NodeSpec, Settings
from ganeti.config.config import Config
from ganeti.db.store import Store
from ganeti.node.agents import Nodes
from ganeti.objects import ConfigObject, Instance
from ganeti.pathutils import Paths

CLUSTER = "cluster.example.com"
#: This machine (its resources real but for what is given), and two simulated nodes.
NODES = (
    "node1.example.com:16G:512G:8",
    "node2.example.com:8G:100G:4",
    "node3.example.com:8G:100G:4",
)

_CERTIFICATE = "no certificate: tests that need one make it\n"


def make_paths(root: Path) -> Paths:
    """Return the paths of an installation below ``root``."""
    return Paths.from_environment({"GANETI_ROOTDIR": str(root)})


def make_cluster(
    root: Path, nodes: list[str] | tuple[str, ...] = NODES, **settings: object
) -> tuple[Store, Config, Nodes]:
    """Create a cluster below ``root``; the caller closes the store at the end.

    It has no real certificate, because making one takes longer than everything else.
    """
    paths = make_paths(root)
    certificate = Path(paths.rapi_cert)
    certificate.parent.mkdir(parents=True, exist_ok=True)
    certificate.write_text(_CERTIFICATE)
    specs = [NodeSpec.parse(node) for node in nodes]
    bootstrap.create(paths, CLUSTER, specs, Settings(**settings))  # type: ignore[arg-type]
    store = Store.open(paths.master_db)
    config = Config(store, paths)
    return store, config, Nodes(config, paths)


def make_instance(
    config: Config, name: str, node: str = "node1.example.com", **values: Any
) -> Instance:
    """Return a new instance that is not saved, diskless unless ``values`` say otherwise."""
    return Instance(
        **{  # type: ignore[arg-type]
            "uuid": str(uuid.uuid4()),
            "name": name,
            "primary_node": config.node(node).uuid,
            "os": "noop",
            "hypervisor": "fake",
            "disk_template": "diskless",
            **values,
        }
    )


def save(config: Config, *values: ConfigObject) -> None:
    """Save objects in one transaction, and commit it."""
    transaction = config.begin()
    for value in values:
        transaction.save(value)
    transaction.commit()
