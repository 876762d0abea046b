"""An OS definition with its parameters: checked against a node, run on a guest.

A definition that will not do is an ``OpExecError`` here, although nothing has
been done yet: Ganeti 3.0 has its nodes check it, and what a node refuses comes
out as that class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ganeti import errors, osdef
from ganeti.config import Config
from ganeti.constants import ErrorCode
from ganeti.node import Nodes
from ganeti.objects import Node

Params = dict[str, Any]


@dataclass(frozen=True)
class OsChoice:
    """What is to be installed; the secret parameters are stored nowhere."""

    os: str
    osparams: Params = field(default_factory=dict)
    private: Params = field(default_factory=dict, repr=False)
    secret: Params = field(default_factory=dict, repr=False)


def updated(old: Mapping[str, Any], given: Mapping[str, Any] | None) -> Params:
    """Parameters after a change: the word "default" takes one away."""
    result = {**old, **(given or {})}
    return {name: value for name, value in result.items() if value != "default"}


def check_allowed(config: Config, os_name: str) -> None:
    """``OpPrereqError`` (wrong_state) for an OS that the cluster's administrator forbids."""
    forbidden = config.cluster.blacklisted_os
    if os_name in forbidden or osdef.split_name(os_name)[0] in forbidden:
        raise errors.OpPrereqError(f"The OS '{os_name}' is not allowed in this cluster",
                                   ErrorCode.STATE)


def check(config: Config, nodes: Nodes, node: Node, choice: OsChoice, *,
          force_variant: bool) -> None:
    """``OpExecError`` unless the node has this OS, valid, with variant and parameters."""
    of_cluster = config.cluster.osparams.get(osdef.split_name(choice.os)[0], {})
    filled = {**of_cluster, **choice.osparams, **choice.private, **choice.secret}
    try:
        definition = nodes.agent(node).os_definition(choice.os)
        osdef.check_variant(definition, choice.os, force=force_variant)
        osdef.check_parameters(definition, filled)
    except errors.OpPrereqError as err:
        raise errors.OpExecError(f"Node '{node.name}' cannot install this OS: {err}") from err
