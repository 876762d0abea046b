"""OS definitions with their parameters: checked on the nodes, then run for an instance.

A definition that is missing or invalid is an ``OpExecError`` here, although nothing has been
done yet: in Ganeti 3.0 the nodes check it, and their refusals have that class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ganeti import errors
from ganeti.cmdlib.base import JobContext
from ganeti.config.config import Config
from ganeti.constants import ErrorCode
from ganeti.node import osdef
from ganeti.node.agents import Nodes
from ganeti.objects import Instance, Node

#: The value that removes a stored parameter.
_UNSET = "default"


@dataclass(frozen=True)
class OsChoice:
    """An OS to install, with all parameters; the secret ones are stored nowhere."""

    os: str
    osparams: Mapping[str, object] = field(default_factory=dict)
    private: Mapping[str, object] = field(default_factory=dict, repr=False)
    secret: Mapping[str, object] = field(default_factory=dict, repr=False)


def as_text(given: Mapping[str, object] | None) -> dict[str, str]:
    """Return parameters as they are stored and as scripts see them: numbers as text."""
    return {name: osdef.text_of(name, value) for name, value in (given or {}).items()}


def updated(old: Mapping[str, object], given: Mapping[str, object] | None) -> dict[str, object]:
    """Return the parameters after a change; the value "default" removes one."""
    result = {**old, **as_text(given)}
    return {name: value for name, value in result.items() if value != _UNSET}


def kept_parameters(
    definition: osdef.OsDefinition,
    old: Mapping[str, object],
    given: Sequence[str],
    *,
    same_os: bool,
) -> dict[str, object]:
    """Return the stored parameters that stay valid when an instance is reinstalled.

    Dropped are those that the definition does not have, and, if the OS changes, those whose
    variable would be the same as that of one in ``given``.
    """
    unknown = set(osdef.unknown_parameters(definition, old))
    if not same_os:
        variables = {*map(osdef.variable_of, given)}
        unknown |= {name for name in old if osdef.variable_of(name) in variables}
    return {name: value for name, value in old.items() if name not in unknown}


def check_allowed(config: Config, os_name: str) -> None:
    """Raise ``OpPrereqError`` (wrong_state) for an OS that the administrator has blacklisted."""
    forbidden = config.cluster.blacklisted_os
    if os_name in forbidden or osdef.split_name(os_name)[0] in forbidden:
        raise errors.OpPrereqError(
            f"The OS '{os_name}' is not allowed in this cluster", ErrorCode.STATE
        )


def definition_on(nodes: Nodes, node: Node, os_name: str) -> osdef.OsDefinition:
    """Return the definition of an OS on a node; ``OpExecError`` if it is missing or invalid."""
    try:
        return nodes.agent(node).os_definition(os_name)
    except errors.OpPrereqError as err:
        raise _refusal(node, err) from err


def check(
    config: Config, nodes: Nodes, members: Sequence[Node], choice: OsChoice, *, force_variant: bool
) -> None:
    """Raise an error unless the OS can be installed on an instance with these nodes.

    ``OpExecError`` unless each node has a valid definition with this variant and these
    parameters; ``OpPrereqError`` for two parameters with the same variable.
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
    """Have the OS's script check the values of its parameters on each node, as Ganeti does.

    ``OpExecError`` with the script's own words; ``JobCanceled`` when the job is cancelled
    meanwhile. ``run`` is None in a dry run.
    """
    for node in members:
        try:
            nodes.agent(node).run_os_verify(
                choice.os, choice.osparams, {**choice.private, **choice.secret}, run
            )
        except errors.OpExecError as err:
            raise _refusal(node, err) from err


def install(
    nodes: Nodes,
    node: Node,
    instance: Instance,
    choice: OsChoice,
    run: JobContext,
    *,
    reinstall: bool,
    debug_level: int | None,
) -> None:
    """Run the OS's create script for an instance, whose record need not be stored yet.

    ``OpExecError`` if the script fails, ``JobCanceled`` when the job is cancelled meanwhile.
    """
    run.log(f"Running the create script of the OS '{instance.os}'")
    nodes.agent(node).run_os_create(
        instance,
        reinstall=reinstall,
        run=run,
        secrets=choice.secret,
        debug_level=debug_level or 0,
    )


def _refusal(node: Node, err: errors.Error) -> errors.OpExecError:
    return errors.OpExecError(f"Node '{node.name}' cannot install this OS: {err}")
