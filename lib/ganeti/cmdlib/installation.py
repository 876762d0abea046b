"""An OS definition with its parameters: checked against a node, run on a guest.

A definition that will not do is an ``OpExecError`` here, although nothing has
been done yet: Ganeti 3.0 has its nodes check it, and what a node refuses comes
out as that class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ganeti import errors
from ganeti.cmdlib.base import JobContext
from ganeti.config.config import Config
from ganeti.constants import ErrorCode
from ganeti.node import osdef
from ganeti.node.agents import Nodes
from ganeti.objects import Node

Params = dict[str, Any]

#: The value that takes a stored parameter away.
_UNSET = "default"


@dataclass(frozen=True)
class OsChoice:
    """What is to be installed; the secret parameters are stored nowhere."""

    os: str
    osparams: Params = field(default_factory=dict)
    private: Params = field(default_factory=dict, repr=False)
    secret: Params = field(default_factory=dict, repr=False)


def as_text(given: Mapping[str, Any] | None) -> Params:
    """Parameters as they are stored and as scripts see them: whole numbers in digits."""
    return {name: osdef.text_of(name, value) for name, value in (given or {}).items()}


def updated(old: Mapping[str, Any], given: Mapping[str, Any] | None) -> Params:
    """Parameters after a change: the word "default" takes one away."""
    result = {**old, **as_text(given)}
    return {name: value for name, value in result.items() if value != _UNSET}


def kept_parameters(
    definition: osdef.OsDefinition, old: Mapping[str, Any], given: Sequence[str], *, same_os: bool
) -> Params:
    """Those of an instance's stored parameters that hold for a reinstallation.

    What the definition does not have (any more) is left out. Another OS than before may also
    be ``given`` one that would come to the same variable.
    """
    unknown = set(osdef.unknown_parameters(definition, old))
    if not same_os:
        variables = {*map(osdef.variable_of, given)}
        unknown |= {name for name in old if osdef.variable_of(name) in variables}
    return {name: value for name, value in old.items() if name not in unknown}


def check_allowed(config: Config, os_name: str) -> None:
    """``OpPrereqError`` (wrong_state) for an OS that the cluster's administrator forbids."""
    forbidden = config.cluster.blacklisted_os
    if os_name in forbidden or osdef.split_name(os_name)[0] in forbidden:
        raise errors.OpPrereqError(
            f"The OS '{os_name}' is not allowed in this cluster", ErrorCode.STATE
        )


def definition_on(nodes: Nodes, node: Node, os_name: str) -> osdef.OsDefinition:
    """The definition of an OS on a node; ``OpExecError`` unless it is there and whole."""
    try:
        return nodes.agent(node).os_definition(os_name)
    except errors.OpPrereqError as err:
        raise _refusal(node, err) from err


def check(
    config: Config, nodes: Nodes, members: Sequence[Node], choice: OsChoice, *, force_variant: bool
) -> None:
    """May this be installed on an instance with these nodes?

    ``OpExecError`` unless each node has the OS, valid, with variant and parameters;
    ``OpPrereqError`` for two parameters that have the same variable.
    """
    osdef.check_variables(choice.osparams, choice.private, choice.secret)
    of_cluster = config.cluster.osparams
    filled = {
        **of_cluster.get(osdef.split_name(choice.os)[0], {}),
        **of_cluster.get(choice.os, {}),
        **choice.osparams,
        **choice.private,
        **choice.secret,
    }
    for node in members:
        definition = definition_on(nodes, node, choice.os)
        try:
            osdef.check_variant(definition, choice.os, force=force_variant)
            osdef.check_parameters(definition, filled)
            as_text(filled)
        except errors.OpPrereqError as err:
            raise _refusal(node, err) from err


def verify(nodes: Nodes, members: Sequence[Node], choice: OsChoice, run: JobContext | None) -> None:
    """Have the OS check the values of its parameters, on each node, as Ganeti does.

    ``OpExecError`` with the script's own words; ``JobCanceled`` when the job is told to stop
    (``run`` is None when there is nothing but a dry run).
    """
    for node in members:
        try:
            nodes.agent(node).run_os_verify(
                choice.os, choice.osparams, {**choice.private, **choice.secret}, run
            )
        except errors.OpExecError as err:
            raise _refusal(node, err) from err


def _refusal(node: Node, err: errors.Error) -> errors.OpExecError:
    return errors.OpExecError(f"Node '{node.name}' cannot install this OS: {err}")
