"""An OS definition with its parameters: checked against a node, run on a guest.

A definition that will not do is an ``OpExecError`` here, although nothing has
been done yet: Ganeti 3.0 has its nodes check it, and what a node refuses comes
out as that class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ganeti import errors
from ganeti.config import Config
from ganeti.constants import ErrorCode
from ganeti.node import Nodes
from ganeti.objects import Node
from ganeti.osdef import OsDefinition

Params = dict[str, Any]


@dataclass(frozen=True)
class OsChoice:
    """What is to be installed; the secret parameters are stored nowhere."""

    os: str
    osparams: Params = field(default_factory=dict)
    private: Params = field(default_factory=dict, repr=False)
    secret: Params = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The definition's name, without the variant."""
        return self.os.partition("+")[0]

    @property
    def variant(self) -> str:
        """The variant, or an empty string."""
        return self.os.partition("+")[2]


def updated(old: Mapping[str, Any], given: Mapping[str, Any] | None) -> Params:
    """Parameters after a change: the word "default" takes one away."""
    result = {**old, **(given or {})}
    return {name: value for name, value in result.items() if value != "default"}


def check_allowed(config: Config, os_name: str) -> None:
    """``OpPrereqError`` (wrong_state) for an OS that the cluster's administrator forbids."""
    forbidden = config.cluster.blacklisted_os
    if os_name in forbidden or os_name.partition("+")[0] in forbidden:
        raise errors.OpPrereqError(f"The OS '{os_name}' is not allowed in this cluster",
                                   ErrorCode.STATE)


def check(config: Config, nodes: Nodes, node: Node, choice: OsChoice, *,
          force_variant: bool) -> None:
    """``OpExecError`` unless the node has this OS, valid, with variant and parameters."""
    definition = next((found for found in nodes.agent(node).os_definitions()
                       if found.name == choice.name), None)
    problem = _problem(config, definition, choice, force_variant)
    if problem:
        raise errors.OpExecError(f"Node '{node.name}' cannot install '{choice.os}': {problem}")


def _problem(config: Config, definition: OsDefinition | None, choice: OsChoice,
             force_variant: bool) -> str | None:
    if definition is None:
        return f"it has no OS definition '{choice.name}' on its search path"
    if not definition.valid:
        return f"the OS definition is not valid: {definition.problem}"
    if definition.variants and not force_variant:
        if not choice.variant:
            return "this OS has variants (" + ", ".join(definition.variants) + \
                   "), one must be given as name+variant"
        if choice.variant not in definition.variants:
            return f"it has no variant '{choice.variant}'"
    if not definition.variants and choice.variant and not force_variant:
        return "this OS has no variants"
    known = {name for name, _ in definition.parameters}
    filled = {**config.cluster.osparams.get(choice.name, {}), **choice.osparams,
              **choice.private, **choice.secret}
    unknown = sorted(filled.keys() - known)
    if unknown:
        return "it does not know the parameter(s) " + ", ".join(unknown)
    return None
